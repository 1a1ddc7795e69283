/**
 * Makes an open loop of a client's requests: each begins at its intended start, or as soon behind it as a
 * coroutine is free, in order. So a stall delays all that were due meanwhile, and their response times, from
 * the intended start, say so; service times cannot.
 *
 * Rules of this file:
 * - Coroutines that rest stand in a queue, and the first one gets the next request: so streams are played
 *   evenly, and the first to end does not cut the run short.
 * - The second half of a read-modify-write belongs to its request and waits for no schedule.
 * - Nothing is left out unless the policy says so, and then it is counted.
 */
import type { Reactor } from '../../fusee/client/reactor.js';
import type { RequestSource } from '../../fusee/client/request-source.js';
import type { Coroutine } from '../../fusee/ops/index.js';
import type { Ledger, OpLoop } from '../../fusee/verbs/index.js';
import type { ArrivalCounts } from './messages.js';
import type { ClientSchedule } from './plan-open-loop.js';
import { Schedule } from './schedule.js';
import type { StreamSource } from './stream-source.js';

/** A request that begins this much behind its intended start is late. */
export const LATE_NS = 1e6;

/** Before a request is due, the clock is watched for so long: a sleep may end that much too late. */
const WATCH_NS = 300e3;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Turns until `untilNs`, or until nothing is left. Returns the time then. */
export function turnPaced(
  reactor: Pick<Reactor, 'active' | 'turn' | 'wake'>,
  paced: PacedSource,
  untilNs: number,
): number {
  let now = paced.nowNs();
  while (now < untilNs) {
    if (paced.isDue(now)) reactor.wake();
    reactor.turn();
    if (reactor.active === 0) {
      if (paced.isStopping) return now;
      const restNs = Math.min(paced.nextNs, untilNs) - paced.nowNs() - WATCH_NS;
      if (restNs > 0) Atomics.wait(sleeper, 0, 0, restNs / 1e6);
    }
    now = paced.nowNs();
  }
  return now;
}

/** Wraps whatever surrounds a source. */
export class PacedSource implements RequestSource {
  readonly #inner: RequestSource;
  readonly #source: StreamSource;
  readonly #schedule: Schedule;
  readonly #skipAfterNs: number;
  readonly #nowNs: () => number;
  readonly #intendedNs: Float64Array;
  /** The queue of resting coroutines, a ring. */
  readonly #queue: Uint16Array;
  readonly #isResting: Uint8Array;
  #first = 0;
  #resting = 0;
  #scheduled = 0;
  #late = 0;
  #skipped = 0;

  /** @param options.source what `inner` feeds from in the end. */
  constructor(
    inner: RequestSource,
    options: {
      source: StreamSource;
      schedule: ClientSchedule;
      startNs: number;
      coroutines: number;
      nowNs: () => number;
    },
  ) {
    this.#inner = inner;
    this.#source = options.source;
    this.#schedule = new Schedule(options.schedule, options.startNs);
    this.#skipAfterNs = options.schedule.skipAfterNs ?? Number.POSITIVE_INFINITY;
    this.#nowNs = options.nowNs;
    this.#intendedNs = new Float64Array(options.coroutines);
    this.#queue = new Uint16Array(options.coroutines);
    this.#isResting = new Uint8Array(options.coroutines);
  }

  /** No more requests begin. */
  get isStopping(): boolean {
    return this.#source.stopping;
  }

  /** The clock that the schedule goes by. */
  nowNs(): number {
    return this.#nowNs();
  }

  /** When the next request is due. */
  get nextNs(): number {
    return this.#schedule.nextNs;
  }

  /** A request is due, and a coroutine rests: whoever drives them has to wake it. */
  isDue(nowNs: number): boolean {
    return this.#resting > 0 && this.#schedule.nextNs <= nowNs;
  }

  next(coroutine: Coroutine): OpLoop | null {
    const i = coroutine.cx.coroutine;
    if (this.#source.isMidway(i)) return this.#inner.next(coroutine);
    if (this.#resting > 0 && this.#queue[this.#first] !== i) return this.#rest(i);
    const now = this.#nowNs();
    this.#skipUntil(now - this.#skipAfterNs);
    const intendedNs = this.#schedule.nextNs;
    if (intendedNs > now) return this.#rest(i);
    this.#source.begunAt(intendedNs);
    const loop = this.#inner.next(coroutine);
    // It has none now, and may have none for a while: others come first.
    this.#leaveQueue(i);
    if (loop === null) return this.#rest(i);
    this.#schedule.advance();
    this.#intendedNs[i] = intendedNs;
    if (this.#source.isMeasured(i)) {
      this.#scheduled++;
      if (now - intendedNs > LATE_NS) this.#late++;
    }
    return loop;
  }

  ended(coroutine: Coroutine, postedNs: number, completedNs: number): void {
    const i = coroutine.cx.coroutine;
    this.#inner.ended(coroutine, postedNs, completedNs);
    if (!this.#source.isMidway(i)) this.#source.responded(coroutine, this.#intendedNs[i], completedNs);
  }

  ledger(coroutine: Coroutine): Ledger {
    return this.#inner.ledger(coroutine);
  }

  /** What became of the schedule so far. */
  get counts(): ArrivalCounts {
    return { scheduled: this.#scheduled, late: this.#late, skipped: this.#skipped, dropped: 0 };
  }

  /** The same at the end: what was due until `closedNs` and has not begun was dropped. */
  closedAt(closedNs: number): ArrivalCounts {
    let dropped = 0;
    for (; this.#schedule.nextNs <= closedNs; this.#schedule.advance()) {
      if (this.#schedule.nextNs >= this.#source.measureNs) dropped++;
    }
    return { ...this.counts, scheduled: this.#scheduled + dropped, dropped };
  }

  /** Passes over what was due before `untilNs`. */
  #skipUntil(untilNs: number): void {
    for (; this.#schedule.nextNs < untilNs; this.#schedule.advance()) {
      if (this.#schedule.nextNs < this.#source.measureNs) continue;
      this.#scheduled++;
      this.#skipped++;
    }
  }

  #rest(i: number): null {
    if (this.#isResting[i] === 0) {
      this.#isResting[i] = 1;
      this.#queue[(this.#first + this.#resting++) % this.#queue.length] = i;
    }
    return null;
  }

  /** If it stands there at all, it stands first. */
  #leaveQueue(i: number): void {
    if (this.#isResting[i] === 0) return;
    this.#isResting[i] = 0;
    this.#first = (this.#first + 1) % this.#queue.length;
    this.#resting--;
  }
}
