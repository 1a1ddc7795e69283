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
 * - With a master, nobody goes on with an answer that failed before the view says that the node is dead, or
 *   the deadline has passed (`failover.ts`, `ops/mend.ts`).
 * - Who polls waits longer each time; when nobody has anything else to do, the thread sleeps, so that a
 *   winner that shares the core can run.
 */
import type { Janitor } from '../background/index.js';
import type { Fabric } from '../fabric/contract.js';
import type { IndexCache } from '../index/index.js';
import { NO_PERIOD } from '../memory/index.js';
import {
  type Coroutine,
  continueRequest,
  type Decisions,
  isInterrupted,
  NO_DECISIONS,
  type RequestKind,
} from '../ops/index.js';
import { Fate, fateOf, isForLost, MEND_VERBS, mend, mended } from '../ops/mend.js';
import { DONE, type OpLoop, resume, Status, VerbBatch } from '../verbs/index.js';
import type { Driver, Failover } from './failover.js';
import { DEFAULT_DEADLINE_NS, type ReactorOptions, type RequestSource } from './request-source.js';

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
const WAITING = 3; // yielded a poll, or an empty batch, and waits for its next turn
const STAGED = 4; // has its next request staged, and begins it before the turn ends
const HELD = 5; // has an answer that failed, and waits for another view, or for its deadline
const MENDING = 6; // its batch is being mended

/** Drives the coroutines of one client; the head of this file states its rules. */
export class Reactor implements Driver {
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
  /** What kind of request was interrupted. */
  readonly #kinds: Uint8Array;
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
  readonly #failover: Failover | null;
  #heldCount = 0;
  /** What is posted once more for a mended batch; whose it is, and who waits to be mended next. */
  readonly #again: VerbBatch | null;
  #mending = -1;
  readonly #bereft: number[] = [];

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
    this.#failover = options.failover ?? null;
    this.#again = null;
    if (this.#failover !== null) {
      const { client } = coroutines[0].cx;
      client.mendBatch ??= new VerbBatch(client.local, MEND_VERBS);
      this.#again = client.mendBatch;
      this.#again.tag = n + 1;
      this.#failover.drivenBy(this);
    }
    this.#loops = new Array<OpLoop | null>(n).fill(null);
    this.#loops.push(this.#janitor === null ? null : this.#janitor.loop);
    this.#state = new Uint8Array(n + 1);
    this.#batches = new Array<VerbBatch | null>(n + 1).fill(null);
    this.#postedNs = new Float64Array(n + 1);
    this.#completedNs = new Float64Array(n + 1);
    this.#skip = new Uint16Array(n + 1);
    this.#skipped = new Uint16Array(n + 1);
    this.#staged = new Uint16Array(n);
    this.#kinds = new Uint8Array(n);
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
    const failover = this.#failover;
    if (failover !== null) {
      if (failover.isStopped) return this.#drain(failover);
      if (this.#heldCount + this.#bereft.length > 0) this.#tendFailed();
    }
    const state = this.#state;
    for (let i = 0; i < state.length; i++) {
      if (state[i] === READY) this.#advance(i);
      else if (state[i] === WAITING && this.#skip[i]-- === 0) this.#retry(i);
    }
    while (this.#stagedCount > 0) this.#begin();
    if (this.#janitor !== null) this.#startRound(this.#janitor);
    const completed = this.#poll();
    if (completed > 0) this.#idleTurns = 0;
    else if (this.#active > 0 && this.#fabric.outstanding === 0 && ++this.#idleTurns > IDLE_TURNS) {
      Atomics.wait(sleeper, 0, 0, SLEEP_MS);
    }
    return completed;
  }

  /** Takes what is answered. Returns how many batches. */
  #poll(): number {
    const state = this.#state;
    const completed = this.#fabric.poll(this.#done);
    for (let k = 0; k < completed; k++) {
      const batch = this.#done[k];
      const i = batch.tag;
      if (i > this.#coroutines.length) {
        this.#mended(batch);
        continue;
      }
      state[i] = READY;
      if (!batch.isPoll) this.#skipped[i] = 0;
      if (i === this.#coroutines.length) {
        this.#janitor?.count(batch);
      } else {
        this.#source.ledger(this.#coroutines[i]).add(batch);
        if (this.#postedNs[i] === 0) this.#postedNs[i] = batch.postedNs;
        this.#completedNs[i] = batch.completedNs;
      }
      if (this.#failover !== null && batch.hasFailures()) this.#admit(i, batch);
    }
    return completed;
  }

  /** The client is to stop: what was posted is answered, and nobody goes on. */
  #drain(failover: Failover): number {
    for (let i = 0; i < this.#state.length; i++) {
      const batch = this.#batches[i];
      // It found the fabric full: of the present view, it must be posted in it.
      if (this.#state[i] === WAITING && batch !== null && batch.count > 0 && !batch.isPoll)
        this.#post(i, batch);
    }
    const completed = this.#poll();
    failover.look();
    return completed;
  }

  /** All that was posted is answered, and nothing waits to be posted but polls. */
  get isDrained(): boolean {
    for (let i = 0; i < this.#state.length; i++) {
      const batch = this.#batches[i];
      if (this.#state[i] === POSTED) return false;
      if (this.#state[i] === WAITING && batch !== null && batch.count > 0 && !batch.isPoll) return false;
    }
    return this.#mending < 0;
  }

  /**
   * The view has changed: requests that it touches go by what was decided, failed answers are looked at anew.
   */
  adopted(decided: Decisions): void {
    for (let i = 0; i < this.#state.length; i++) {
      const state = this.#state[i];
      if (state === RESTING || state === MENDING) continue;
      const coroutine = this.#coroutines[i] as Coroutine | undefined;
      if (coroutine !== undefined && isInterrupted(coroutine.cx)) this.#interrupt(i, coroutine, decided);
      else if (state === HELD || (state === READY && this.#batches[i]?.hasFailures() === true)) {
        if (state === HELD) this.#heldCount--;
        this.#state[i] = READY;
        this.#admit(i, this.#batches[i] as VerbBatch);
      }
    }
  }

  /** A batch of which verbs failed has been answered. */
  #admit(i: number, batch: VerbBatch): void {
    // Looked at when the view has changed.
    if (this.#failover?.isStopped === true) return;
    const coroutine = this.#coroutines[i] as Coroutine | undefined;
    const { view } = this.#coroutines[0].cx.client;
    const isRequest = coroutine !== undefined && coroutine.cx.period !== NO_PERIOD;
    const fate = fateOf(batch, view);
    switch (fate === Fate.BEREFT && isRequest && isForLost(batch, view) ? Fate.WAIT : fate) {
      case Fate.GO_ON:
        return;
      case Fate.WAIT:
        this.#state[i] = HELD;
        this.#heldCount++;
        for (let v = 0; v < batch.count; v++)
          if (batch.status(v) === Status.FAIL && !view.isDead(batch.mn(v)))
            this.#failover?.suspect(batch.mn(v));
        return;
      default:
        if (coroutine !== undefined && isRequest) this.#interrupt(i, coroutine, NO_DECISIONS);
        else {
          this.#state[i] = MENDING;
          this.#bereft.push(i);
        }
    }
  }

  #interrupt(i: number, coroutine: Coroutine, decided: Decisions): void {
    if (this.#state[i] === HELD) this.#heldCount--;
    const kind = coroutine.loops.indexOf(this.#loops[i] as OpLoop);
    // A request that goes on in a new view for the second time is what it was.
    if (kind >= 0) this.#kinds[i] = kind;
    this.#loops[i] = continueRequest(coroutine, this.#kinds[i] as RequestKind, decided);
    this.#skipped[i] = 0;
    this.#state[i] = READY;
  }

  /** Ends what was held for too long, and mends what waits for it. */
  #tendFailed(): void {
    const now = this.#fabric.nowNs();
    for (let i = 0; i < this.#state.length && this.#heldCount > 0; i++) {
      const batch = this.#batches[i] as VerbBatch;
      if (
        this.#state[i] !== HELD ||
        now - Math.min(this.#postedNs[i] || now, batch.postedNs) < this.#deadlineNs
      )
        continue;
      if (i < this.#coroutines.length) this.#coroutines[i].cx.write.expired = true;
      this.#heldCount--;
      this.#state[i] = READY;
    }
    if (this.#mending >= 0 || this.#bereft.length === 0) return;
    const i = this.#bereft[0];
    const again = this.#again as VerbBatch;
    mend(this.#batches[i] as VerbBatch, this.#coroutines[0].cx.client.view, again);
    if (again.count > 0 && !this.#fabric.post(again)) return;
    this.#bereft.shift();
    if (again.count === 0) this.#state[i] = READY;
    else this.#mending = i;
  }

  #mended(again: VerbBatch): void {
    const i = this.#mending;
    this.#mending = -1;
    const batch = this.#batches[i] as VerbBatch;
    mended(batch, this.#coroutines[0].cx.client.view, again);
    this.#state[i] = READY;
    // Another node may have died meanwhile.
    if (batch.hasFailures()) this.#admit(i, batch);
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
   * Lets background work begin a round, if none is under way and it is time; ahead of time only while
   * requests are in flight: where no grace passes, since a client has died, rounds are always due, and who
   * waits for them to end would wait for ever.
   */
  #startRound(janitor: Janitor): void {
    const i = this.#coroutines.length;
    const isDue = this.#active > 0 && janitor.isDue;
    if (this.#state[i] !== RESTING || (++this.#roundTurns < ROUND_TURNS && !isDue)) return;
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
