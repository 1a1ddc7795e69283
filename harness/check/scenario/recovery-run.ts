/**
 * The recovery of one crashed client of a scenario, run by the product's generator as another client would.
 */
import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import { IndexCache } from '../../../fusee/index/index.js';
import { ClientState, type Context, type Coroutine, makeCoroutine } from '../../../fusee/ops/index.js';
import { Recovered, recoverRequest } from '../../../fusee/recovery/index.js';
import {
  CorruptionError,
  DONE,
  LocalMemory,
  type OpLoop,
  type VerbBatch,
} from '../../../fusee/verbs/index.js';
import { RUN_BYTES, type Run, type TakenObject } from './client-run.js';
import type { TinyPool } from './pool.js';

/** What recovery is told: the last objects in the dead client's log list, oldest first. */
export interface Task {
  readonly client: number;
  readonly request: number;
  readonly objects: readonly TakenObject[];
  /** The node that is dead by the view in which it recovers. @default none */
  readonly dead?: number;
}

/** A recoverer and its task. */
export class RecoveryRun implements Run {
  readonly pool: TinyPool;
  readonly task: Task;
  readonly cx: Context;
  readonly coroutine: Coroutine;
  batch: VerbBatch | null = null;
  error: string | undefined;
  isUnavailable = false;
  readonly isCut = false;
  readonly isFresh = false;
  readonly responses: readonly number[] = [];
  readonly kind = -1;
  readonly returnedCell = 0;
  readonly openSlots: readonly number[] = [];
  readonly isInterruptible = false;
  readonly #loop: OpLoop;

  constructor(pool: TinyPool, task: Task, buffer: ArrayBuffer = new ArrayBuffer(RUN_BYTES)) {
    this.pool = pool;
    this.task = task;
    const local = new LocalMemory(buffer, crc32cOver(buffer));
    local.bytes.fill(0);
    const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
    const state = new ClientState({
      view: pool.viewWithout(task.dead),
      local,
      cache,
      cid: 99,
      coroutines: 1,
    });
    this.coroutine = makeCoroutine(state, 0);
    this.cx = this.coroutine.cx;
    const variant = pool.scenario.variant?.recovery?.(this);
    this.#loop = variant ?? recoverAll(this);
  }

  get request(): number {
    return this.task.request;
  }

  get objects(): readonly TakenObject[] {
    return this.task.objects;
  }

  get verdicts(): number {
    return 0;
  }

  start(): void {
    this.resume();
  }

  resume(): void {
    try {
      const next = this.#loop.next().value;
      this.batch = next === DONE ? null : next;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.batch = null;
      this.error = error.message;
    }
  }

  /** Recoveries begin once and poll at most once: their states need no merging. */
  lasting(): string {
    return '';
  }
}

/** The newest object first: while its log entry is not there, the one before may be the one in flight. */
function* recoverAll(run: RecoveryRun): OpLoop {
  for (;;) {
    for (const { cell } of [...run.task.objects].reverse()) {
      const recovered = yield* recoverRequest(run.cx, { cell, sizeClass: 0 });
      if (recovered === Recovered.FAILED) run.isUnavailable = true;
      if (recovered !== Recovered.DROPPED) break;
    }
    yield DONE;
  }
}
