/**
 * The janitor: one generator per client that does everything no request waits for. Its driver runs it beside
 * the coroutines, a round now and then; each of its batches is background work in the ledger.
 */
import type { ClientState } from '../ops/index.js';
import { DONE, type Op, type OpLoop } from '../verbs/index.js';
import { RECLAIM_BYTES, Reclaim } from './reclaim.js';

/** Registered memory that one {@link Janitor} takes. */
export const JANITOR_BYTES: number = RECLAIM_BYTES;

/** Queued frees that make a round worth its while before its time. */
const MANY_FREES = 64;

/** One client's background work. */
export class Janitor {
  readonly reclaim: Reclaim;
  /** Yields the batches of a round, and DONE behind it. */
  readonly loop: OpLoop;
  readonly #client: ClientState;

  constructor(client: ClientState) {
    this.#client = client;
    this.reclaim = new Reclaim(client);
    this.loop = this.#rounds();
    client.hasJanitor = true;
  }

  /** True when a round should begin at once, and not at its time. */
  get isDue(): boolean {
    const { frees, waiting } = this.#client;
    return waiting > 0 || frees.objects.count + frees.cells.count >= MANY_FREES;
  }

  /** True when rounds would find nothing to do but to look whether others have freed something. */
  get isIdle(): boolean {
    const { frees } = this.#client;
    return this.reclaim.isStopped || frees.objects.count + frees.cells.count + this.reclaim.awaiting === 0;
  }

  *#rounds(): OpLoop {
    for (;;) {
      if (!this.reclaim.isStopped) yield* this.#round();
      yield DONE;
    }
  }

  *#round(): Op<void> {
    const { reclaim } = this;
    const { grace, contexts } = this.#client;
    if (grace.isActive && grace.mayAdvance(contexts) && (yield* grace.advance()) < 0) {
      reclaim.isStopped = true;
      return;
    }
    while (yield* reclaim.settle());
    yield* reclaim.free();
    yield* reclaim.collect();
  }
}
