/**
 * Runs the coroutines of one client over one fabric, on one thread.
 *
 * Rules of this file:
 * - A turn advances every coroutine that may go on, posts what they yield, and polls the fabric once.
 * - Requests begin together: all that begin in a turn are staged and hashed first, then the cache entries of
 *   all are touched, so that memory is waited for once and not once each; then all are begun.
 * - Nothing is allocated per round trip but the generators' own result objects.
 * - Background work is one more coroutine: it has a round when it is due, or after so many turns; its batches
 *   are small, so that requests wait little behind them.
 * - Who polls waits longer each time; when nobody has anything else to do, the thread sleeps, so that a
 *   winner that shares the core can run.
 */
import type { Janitor } from '../background/index.js';
import type { Fabric } from '../fabric/contract.js';
import type { IndexCache } from '../index/index.js';
import type { Coroutine } from '../ops/index.js';
import { DONE, type Ledger, type OpLoop, resume, type VerbBatch } from '../verbs/index.js';

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
}

/** One second: far beyond any healthy contention, and short for a person. */
export const DEFAULT_DEADLINE_NS = 1e9;

/** Turns from the end of one round of background work to the next, unless it is due before. */
const ROUND_TURNS = 256;
/** Turns a poller skips at most between two polls. */
const POLL_SKIP_MAX = 64;
/** Idle turns before the thread sleeps, and how long it then sleeps. */
const IDLE_TURNS = 256;
const SLEEP_MS = 0.05;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** State of one coroutine in the reactor. */
const RESTING = 0;
const READY = 1;
const POSTED = 2;
/** Yielded a poll, or an empty batch, and waits for its next turn. */
const WAITING = 3;
/** Has its next request staged, and begins it before the turn ends. */
const STAGED = 4;

/** Drives the coroutines of one client; the head of this file states its rules. */
export class Reactor {
  readonly #fabric: Fabric;
  readonly #coroutines: readonly Coroutine[];
  readonly #source: RequestSource;
  readonly #deadlineNs: number;
  readonly #loops: (OpLoop | null)[];
  readonly #state: Uint8Array;
  readonly #batches: (VerbBatch | null)[];
  /** First post of the request, or when it began to wait, 0 before; last completion. */
  readonly #postedNs: Float64Array;
  readonly #completedNs: Float64Array;
  /** Turns a waiting coroutine still skips, and how many it skipped last. */
  readonly #skip: Uint16Array;
  readonly #skipped: Uint16Array;
  readonly #done: VerbBatch[] = [];
  /** Coroutines that begin a request in this turn. */
  readonly #staged: Uint16Array;
  #stagedCount = 0;
  /** Where the cache has their keys. */
  readonly #sets: Uint32Array;
  readonly #cache: IndexCache;
  #active = 0;
  #idleTurns = 0;
  /** Runs as coroutine number {@link #coroutines}.length. */
  readonly #janitor: Janitor | null;
  #roundTurns = 0;

  constructor(
    fabric: Fabric,
    coroutines: readonly Coroutine[],
    source: RequestSource,
    options: ReactorOptions = { deadlineNs: DEFAULT_DEADLINE_NS },
  ) {
    const n = coroutines.length;
    this.#fabric = fabric;
    this.#coroutines = coroutines;
    this.#source = source;
    this.#deadlineNs = options.deadlineNs;
    this.#janitor = options.janitor ?? null;
    this.#loops = new Array<OpLoop | null>(n).fill(null);
    this.#loops.push(this.#janitor === null ? null : this.#janitor.loop);
    this.#state = new Uint8Array(n + 1);
    this.#batches = new Array<VerbBatch | null>(n + 1).fill(null);
    this.#postedNs = new Float64Array(n + 1);
    this.#completedNs = new Float64Array(n + 1);
    this.#skip = new Uint16Array(n + 1);
    this.#skipped = new Uint16Array(n + 1);
    this.#staged = new Uint16Array(n);
    this.#sets = new Uint32Array(n);
    // All coroutines of a client share its cache.
    this.#cache = coroutines[0].cx.client.cache;
  }

  /** Coroutines with a request in flight. */
  get active(): number {
    return this.#active;
  }

  /** True when no batch of background work is in flight, so that others may use the fabric. */
  get isQuiet(): boolean {
    return this.#state[this.#coroutines.length] === RESTING;
  }

  /** Lets resting coroutines ask the source again. */
  wake(): void {
    for (let i = 0; i < this.#coroutines.length; i++) if (this.#state[i] === RESTING) this.#stage(i);
  }

  /**
   * One turn. Returns the number of batches that completed.
   * @throws CorruptionError when bytes are wrong, FabricError when a coroutine has ended by an error before.
   */
  turn(): number {
    const state = this.#state;
    for (let i = 0; i < state.length; i++) {
      if (state[i] === READY) this.#advance(i);
      else if (state[i] === WAITING && this.#skip[i]-- === 0) this.#retry(i);
    }
    while (this.#stagedCount > 0) this.#begin();
    if (this.#janitor !== null) this.#startRound(this.#janitor);
    const done = this.#done;
    const completed = this.#fabric.poll(done);
    for (let k = 0; k < completed; k++) {
      const batch = done[k];
      const i = batch.tag;
      state[i] = READY;
      if (!batch.isPoll) this.#skipped[i] = 0;
      if (i === this.#coroutines.length) {
        this.#janitor?.count(batch);
        continue;
      }
      this.#source.ledger(this.#coroutines[i]).add(batch);
      if (this.#postedNs[i] === 0) this.#postedNs[i] = batch.postedNs;
      this.#completedNs[i] = batch.completedNs;
    }
    if (completed > 0) this.#idleTurns = 0;
    else if (this.#active > 0 && this.#fabric.outstanding === 0 && ++this.#idleTurns > IDLE_TURNS) {
      Atomics.wait(sleeper, 0, 0, SLEEP_MS);
    }
    return completed;
  }

  /** Lets the source stage the coroutine's next request, if it has one. */
  #stage(i: number): void {
    const coroutine = this.#coroutines[i];
    const loop = this.#source.next(coroutine);
    this.#loops[i] = loop;
    if (loop === null) {
      this.#state[i] = RESTING;
      return;
    }
    this.#sets[this.#stagedCount] = coroutine.cx.prepare();
    coroutine.cx.write.expired = false;
    this.#postedNs[i] = 0;
    this.#skipped[i] = 0;
    this.#state[i] = STAGED;
    this.#staged[this.#stagedCount++] = i;
    this.#active++;
  }

  /**
   * Lets background work begin a round, if none is under way and it is time. None begins while no request is
   * in flight: where no grace passes, since a client has died, rounds are always due, and whoever waits for
   * them to end would wait for ever.
   */
  #startRound(janitor: Janitor): void {
    const i = this.#coroutines.length;
    if (this.#active === 0) return;
    if (this.#state[i] !== RESTING || (++this.#roundTurns < ROUND_TURNS && !janitor.isDue)) return;
    this.#roundTurns = 0;
    this.#advance(i);
  }

  /** Begins all requests that are staged; those that end at once may stage others. */
  #begin(): void {
    const count = this.#stagedCount;
    const staged = this.#staged;
    this.#cache.touch(this.#sets, count);
    // Should one of them throw, the others go on with the next turn.
    for (let k = 0; k < count; k++) this.#state[staged[k]] = READY;
    // One that ends at once takes a place ahead of those not yet looked at, never one of theirs.
    this.#stagedCount = 0;
    for (let k = 0; k < count; k++) this.#advance(staged[k]);
  }

  /**
   * Runs coroutine `i` up to its next round trip, or to the end of its request and the staging of another.
   */
  #advance(i: number): void {
    const batch = resume(this.#loops[i] as OpLoop);
    if (batch !== DONE) {
      this.#submit(i, batch);
      return;
    }
    if (i === this.#coroutines.length) {
      this.#state[i] = RESTING;
      return;
    }
    const now = this.#completedNs[i];
    this.#source.ended(this.#coroutines[i], this.#postedNs[i] === 0 ? now : this.#postedNs[i], now);
    this.#active--;
    this.#stage(i);
  }

  #submit(i: number, batch: VerbBatch): void {
    batch.tag = i;
    this.#batches[i] = batch;
    if (batch.count === 0 || (batch.isPoll && this.#skipped[i] > 0)) {
      // An empty batch waits for a sibling coroutine: its next turn is its completion. A request may begin
      // with waiting: its time and its deadline count from there.
      if (this.#postedNs[i] === 0) this.#postedNs[i] = this.#fabric.nowNs();
      this.#state[i] = WAITING;
      this.#skip[i] = this.#skipped[i];
    } else {
      this.#post(i, batch);
    }
    if (batch.isPoll) this.#skipped[i] = Math.min(this.#skipped[i] * 2 + 1, POLL_SKIP_MAX);
  }

  #retry(i: number): void {
    const batch = this.#batches[i] as VerbBatch;
    const now = this.#fabric.nowNs();
    // Background work has no deadline: it waits for as long as others' requests last.
    const hasDeadline = i < this.#coroutines.length && this.#postedNs[i] !== 0;
    if (hasDeadline && now - this.#postedNs[i] > this.#deadlineNs) {
      this.#coroutines[i].cx.write.expired = true;
    }
    if (batch.count === 0) {
      this.#state[i] = READY;
      // It may end now without a completion of its own.
      this.#completedNs[i] = now;
    } else this.#post(i, batch);
  }

  #post(i: number, batch: VerbBatch): void {
    if (this.#fabric.post(batch)) {
      this.#state[i] = POSTED;
    } else {
      this.#state[i] = WAITING;
      this.#skip[i] = 0;
    }
  }
}
