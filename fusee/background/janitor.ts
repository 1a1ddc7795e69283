/**
 * The janitor: one generator per client that does everything no request waits for. Its driver runs it beside
 * the coroutines, a round now and then; each of its batches is background work in the ledger.
 */
import {
  advancePeriod,
  type ClientState,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  enterPool,
} from '../ops/index.js';
import { DONE, type Op, type OpLoop, VerbBatch } from '../verbs/index.js';
import { BLOCKS_BYTES, Blocks } from './blocks.js';
import { RECLAIM_BYTES, Reclaim } from './reclaim.js';
import { SPLITTER_BYTES, Splitter } from './split.js';

/** Registered memory that one {@link Janitor} takes. */
export const JANITOR_BYTES: number =
  RECLAIM_BYTES + SPLITTER_BYTES + BLOCKS_BYTES + DIRECTORY_READ_BYTES + (DIRECTORY_READ_VERBS + 2) * 64;

/** Queued frees that make a round worth its while before its time. */
const MANY_FREES = 64;
/** Rounds from one look for empty blocks to the next. */
const ROUNDS_PER_LOOK = 64;

/** One client's background work. */
export class Janitor {
  readonly reclaim: Reclaim;
  /** Yields the batches of a round, and DONE behind it. */
  readonly loop: OpLoop;
  readonly splitter: Splitter;
  readonly blocks: Blocks;
  /** What background work has cost: its round trips, verbs and bytes, which no request waits for. */
  readonly work = { rtts: 0, verbs: 0, bytes: 0 };
  readonly #client: ClientState;
  readonly #room: { batch: VerbBatch; into: number };

  constructor(client: ClientState) {
    this.#client = client;
    this.reclaim = new Reclaim(client);
    // Splits wait for graces, and memory is to be freed meanwhile.
    this.splitter = new Splitter(client, () => this.#reclaimRound());
    this.blocks = new Blocks(client, this.reclaim, () => this.#reclaimRound());
    this.#room = {
      batch: new VerbBatch(client.local, DIRECTORY_READ_VERBS),
      into: client.local.reserve(DIRECTORY_READ_BYTES),
    };
    this.loop = this.#loop();
    client.hasJanitor = true;
  }

  /** True when a round should begin at once, and not at its time. */
  get isDue(): boolean {
    const { frees, waiting, short } = this.#client;
    return waiting + short > 0 || frees.objects.count + frees.cells.count >= MANY_FREES;
  }

  /** True when rounds would find nothing to do but to look whether others have freed something. */
  get isIdle(): boolean {
    const { frees } = this.#client;
    if (this.splitter.isWanted) return false;
    const { isStopped, isOwing, awaiting } = this.reclaim;
    return isStopped || (!isOwing && frees.objects.count + frees.cells.count + awaiting === 0);
  }

  /** Counts a completed batch of background work. */
  count({ count, bytes }: VerbBatch): void {
    if (count === 0) return;
    this.work.rtts++;
    this.work.verbs += count;
    this.work.bytes += bytes;
  }

  /** Announces that requests will begin, and loads the directory. False: a node was silent. */
  enter(): Op<boolean> {
    return enterPool(this.#client, this.#room);
  }

  /**
   * Tells the others that no request is in flight, and none will begin before {@link enter}. False: a node
   * was silent. The client's word stands then, and somebody has to declare it dead: it may have set free bits
   * that recovery would set again, and what they free must not be reused before.
   */
  *rest(): Op<boolean> {
    if (this.reclaim.isOwing && !(yield* this.reclaim.payDebts())) return false;
    return yield* this.#client.grace.rest();
  }

  *#loop(): OpLoop {
    for (;;) {
      yield* this.round();
      yield DONE;
    }
  }

  /** One round: what has been asked for, and a look at some of the memory. */
  *round(): Op<void> {
    yield* this.#reclaimRound();
    if (this.splitter.isWanted) yield* this.splitter.tend();
    const isShort = this.#client.short > 0;
    if (!this.reclaim.isStopped && (++this.#client.rounds % ROUNDS_PER_LOOK === 0 || isShort))
      yield* this.blocks.giveBack(isShort ? 0 : 1);
  }

  *#reclaimRound(): Op<void> {
    const { reclaim } = this;
    // One period at most from a bit to the log head that covers it: the round behind this pays what is owed.
    const mayAdvance = !(reclaim.isStopped && reclaim.isOwing);
    if (this.#client.grace.isActive && mayAdvance) yield* advancePeriod(this.#client, this.#room);
    if (this.#client.grace.isSilent) reclaim.isStopped = true;
    if (reclaim.isStopped) return;
    while (yield* reclaim.settle());
    if (!(yield* reclaim.collect())) yield* reclaim.free();
  }
}
