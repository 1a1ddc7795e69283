/** What a reactor is given: where its requests come from, and its limits. */
import type { Janitor } from '../background/index.js';
import type { Coroutine } from '../ops/index.js';
import type { Ledger, OpLoop } from '../verbs/index.js';
import type { Failover } from './failover.js';

/** Where requests come from, and where their ends go. */
export interface RequestSource {
  /**
   * Stages the coroutine's next request and returns its loop, or null when there is none now: the coroutine
   * then rests until {@link Reactor.wake}.
   */
  next(coroutine: Coroutine): OpLoop | null;
  /** A request ended; its outcome stands in the coroutine's context. Times are of the fabric's clock. */
  ended(coroutine: Coroutine, postedNs: number, completedNs: number): void;
  /** The ledger that the coroutine's current request is charged to. */
  ledger(coroutine: Coroutine): Ledger;
}

export interface ReactorOptions {
  /**
   * A request that has only waited for others for this long ends UNAVAILABLE. It never cuts a request that is
   * not waiting: what is decided is carried through (hazard H10).
   */
  readonly deadlineNs: number;
  /** The client's background work, for a client that has any. */
  readonly janitor?: Janitor;
  /** Its part in changes of the view, for a client that has a master. */
  readonly failover?: Failover | null;
}

/** One second: far beyond any healthy contention, and short for a person. */
export const DEFAULT_DEADLINE_NS = 1e9;
