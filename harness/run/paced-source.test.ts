import { describe, expect, it } from 'vitest';
import type { RequestSource } from '../../fusee/client/request-source.js';
import { type Coroutine, Outcome } from '../../fusee/ops/index.js';
import type { OpLoop } from '../../fusee/verbs/index.js';
import { PacedSource } from './paced-source.js';
import type { ClientSchedule } from './plan-open-loop.js';
import { Schedule } from './schedule.js';
import type { StreamSource } from './stream-source.js';

const MS = 1e6;
const constant: ClientSchedule = {
  arrivals: 'constant',
  intervalNs: 10 * MS,
  offsetNs: 0,
  skipAfterNs: null,
  seed: 1,
};

/** A paced source over one that notes what it is asked, with a clock that a test sets. */
class Bench {
  now = 0;
  measureNs = 0;
  begun: [coroutine: number, intendedMs: number][] = [];
  responses: [coroutine: number, responseMs: number][] = [];
  midway = new Set<number>();
  refuses = false;
  readonly coroutines: Coroutine[];
  readonly paced: PacedSource;
  #intendedNs = 0;

  constructor(schedule: Partial<ClientSchedule> = {}, coroutines = 2) {
    this.coroutines = Array.from(
      { length: coroutines },
      (_, coroutine) => ({ cx: { coroutine, outcome: Outcome.OK } }) as unknown as Coroutine,
    );
    const inner: RequestSource = {
      next: ({ cx }) => {
        if (this.refuses) return null;
        if (!this.midway.has(cx.coroutine)) this.begun.push([cx.coroutine, this.#intendedNs / MS]);
        return {} as OpLoop;
      },
      ended: () => {},
      ledger: () => {
        throw new Error('nobody asks');
      },
    };
    const bench = this;
    const source = {
      begunAt: (ns: number) => {
        this.#intendedNs = ns;
      },
      isMeasured: () => this.#intendedNs >= this.measureNs,
      isMidway: (i: number) => this.midway.has(i),
      responded: ({ cx }: Coroutine, intendedNs: number, completedNs: number) =>
        this.responses.push([cx.coroutine, (completedNs - intendedNs) / MS]),
      get measureNs() {
        return bench.measureNs;
      },
    } as unknown as StreamSource;
    this.paced = new PacedSource(inner, {
      source,
      schedule: { ...constant, ...schedule },
      startNs: 0,
      coroutines,
      nowNs: () => this.now,
    });
  }

  /** As the reactor: every coroutine that rests asks. */
  wakeAt(ms: number, ...resting: number[]): void {
    this.now = ms * MS;
    for (const i of resting) this.paced.next(this.coroutines[i]);
  }

  end(i: number, ms: number): void {
    this.now = ms * MS;
    this.paced.ended(this.coroutines[i], this.now - 1, this.now);
  }
}

describe('a schedule', () => {
  it('that is constant does not drift, and begins at its offset', () => {
    const schedule = new Schedule({ ...constant, intervalNs: 1e9 / 3, offsetNs: 5 }, 1000);
    expect(schedule.nextNs).toBe(1005);
    for (let i = 0; i < 3_000_000; i++) schedule.advance();
    expect(schedule.nextNs).toBeCloseTo(1005 + 1e15, -1);
  });

  it('that is Poisson has exponential intervals, and is repeated by its seed', () => {
    const drawn = (seed: number): number[] => {
      const schedule = new Schedule({ ...constant, arrivals: 'poisson', seed }, 0);
      return Array.from({ length: 20_000 }, () => {
        const before = schedule.nextNs;
        schedule.advance();
        return (schedule.nextNs - before) / constant.intervalNs;
      });
    };
    const intervals = drawn(7);
    const mean = intervals.reduce((sum, one) => sum + one, 0) / intervals.length;
    const square = intervals.reduce((sum, one) => sum + one * one, 0) / intervals.length;
    // Standard errors are 0.007 and 0.03.
    expect(mean).toBeGreaterThan(0.96);
    expect(mean).toBeLessThan(1.04);
    expect(square).toBeGreaterThan(1.8);
    expect(square).toBeLessThan(2.2);
    expect(Math.min(...intervals)).toBeGreaterThan(0);
    expect(drawn(7)).toEqual(intervals);
    expect(drawn(8)[0]).not.toBe(intervals[0]);
  });
});

describe('a paced source', () => {
  it('begins no request ahead of its time, and one for each time', () => {
    const bench = new Bench({ offsetNs: 10 * MS });
    bench.wakeAt(9, 0, 1);
    expect([bench.begun, bench.paced.isDue(9 * MS), bench.paced.isDue(10 * MS)]).toEqual([[], false, true]);
    bench.wakeAt(10, 0, 1);
    expect(bench.begun).toEqual([[0, 10]]);
    expect(bench.paced.isDue(19 * MS)).toBe(false);
    bench.wakeAt(20, 1);
    expect(bench.begun).toEqual([
      [0, 10],
      [1, 20],
    ]);
  });

  it('gives requests to whoever has rested longest', () => {
    const bench = new Bench({ offsetNs: 10 * MS }, 3);
    bench.wakeAt(1, 2, 0, 1);
    bench.wakeAt(10, 0, 1, 2);
    bench.wakeAt(20, 0, 1);
    expect(bench.begun.map(([coroutine]) => coroutine)).toEqual([2, 0]);
  });

  it('after a stall begins all that were due, in order, and times them from when they were due', () => {
    const bench = new Bench();
    bench.wakeAt(0, 0, 1);
    // 50 ms without a turn: 10, 20, 30, 40 and 50 are due.
    bench.end(0, 51);
    for (let i = 0; i < 5; i++) {
      bench.wakeAt(51, 1);
      bench.end(1, 51);
    }
    expect(bench.begun.map(([, intended]) => intended)).toEqual([0, 10, 20, 30, 40, 50]);
    expect(bench.responses.map(([, response]) => Math.round(response))).toEqual([51, 41, 31, 21, 11, 1]);
    expect(bench.paced.counts).toEqual({ scheduled: 6, late: 4, skipped: 0, dropped: 0 });
  });

  it('passes over what is too late, and counts it, when that is the policy', () => {
    const bench = new Bench({ skipAfterNs: 25 * MS });
    bench.wakeAt(51, 0);
    expect(bench.begun).toEqual([[0, 30]]);
    expect(bench.paced.counts).toEqual({ scheduled: 4, late: 1, skipped: 3, dropped: 0 });
  });

  it('counts what was due and never began; of the warm-up it counts nothing', () => {
    const bench = new Bench();
    bench.measureNs = 15 * MS;
    bench.wakeAt(10, 0);
    bench.wakeAt(21, 1);
    expect(bench.paced.counts.scheduled).toBe(0);
    expect(bench.paced.closedAt(49 * MS)).toEqual({ scheduled: 3, late: 0, skipped: 0, dropped: 3 });
  });

  it('lets the second half of a request go on at once, and times the whole', () => {
    const bench = new Bench();
    bench.wakeAt(0, 0);
    bench.midway.add(0);
    bench.end(0, 2);
    expect(bench.responses).toEqual([]);
    expect(bench.paced.next(bench.coroutines[0])).not.toBeNull();
    bench.midway.delete(0);
    bench.end(0, 5);
    expect([bench.begun, bench.responses]).toEqual([[[0, 0]], [[0, 5]]]);
  });

  it('loses no request that a source has no coroutine for at the moment', () => {
    const bench = new Bench();
    bench.refuses = true;
    bench.wakeAt(0, 0, 1);
    bench.refuses = false;
    bench.wakeAt(1, 0, 1);
    expect(bench.begun).toEqual([[0, 0]]);
  });
});
