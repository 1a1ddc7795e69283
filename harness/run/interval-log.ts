/** A client's latencies interval by interval: of a long window in wider intervals, so that they stay few. */
import type { LatencyHistogram, PackedHistogram } from '../../results/histogram.js';
import type { Operation } from '../../results/schema.js';

/** So many intervals are kept; one more, and each two become one. */
const INTERVALS_MAX = 64;

/** Latencies of all intervals since the window's start. */
export interface IntervalReport {
  readonly intervalMs: number;
  /** By place among the intervals, which have latencies or none. */
  readonly intervals: readonly Readonly<Partial<Record<Operation, PackedHistogram>>>[];
}

/** Keeps what intervals held. Allocates when one ends, and not while it lasts. */
export class IntervalLog {
  #intervals: Partial<Record<Operation, PackedHistogram>>[] = [];
  #intervalMs: number;
  /** How many of the recorder's intervals make one of these, and how many the last one has. */
  #width = 1;
  #filled = 1;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Begins an interval. */
  begin(): void {
    if (this.#intervals.length > 0 && this.#filled < this.#width) {
      this.#filled++;
      return;
    }
    if (this.#intervals.length === INTERVALS_MAX) {
      this.#intervals = coarsened(this.#intervals, 2);
      this.#width *= 2;
      this.#intervalMs *= 2;
    }
    this.#intervals.push({});
    this.#filled = 1;
  }

  /** Adds latencies to the interval that has begun last. */
  add(operation: Operation, histogram: LatencyHistogram): void {
    const interval = this.#intervals[this.#intervals.length - 1];
    const packed = histogram.pack();
    const present = interval[operation];
    interval[operation] = present === undefined ? packed : mergePacked(present, packed);
  }

  /** All intervals so far. */
  report(): IntervalReport {
    return { intervalMs: this.#intervalMs, intervals: this.#intervals };
  }
}

/** The intervals of all clients together, in the widest of theirs; null without any. */
export function mergeIntervals(reports: readonly IntervalReport[]): IntervalReport | null {
  if (reports.length === 0 || reports.some(({ intervals }) => intervals.length === 0)) return null;
  const intervalMs = Math.max(...reports.map((report) => report.intervalMs));
  const alike = reports.map((report) => coarsened(report.intervals, intervalMs / report.intervalMs));
  const length = Math.max(...alike.map((intervals) => intervals.length));
  const intervals = Array.from({ length }, (_, i) => alike.map((each) => each[i] ?? {}).reduce(together, {}));
  return { intervalMs, intervals };
}

type Interval = IntervalReport['intervals'][number];

/** Each `count` neighbours as one. */
function coarsened(intervals: readonly Interval[], count: number): Interval[] {
  return Array.from({ length: Math.ceil(intervals.length / count) }, (_, i) =>
    intervals.slice(i * count, (i + 1) * count).reduce(together, {}),
  );
}

const together = (a: Interval, b: Interval): Interval => {
  const merged: Partial<Record<Operation, PackedHistogram>> = { ...a };
  for (const [name, packed] of Object.entries(b) as [Operation, PackedHistogram][]) {
    const present = merged[name];
    merged[name] = present === undefined ? packed : mergePacked(present, packed);
  }
  return merged;
};

/** Two packed histograms as one, without unpacking: their counters are in rising order. */
function mergePacked(a: PackedHistogram, b: PackedHistogram): PackedHistogram {
  const counters: number[] = [];
  let [i, j] = [0, 0];
  while (i < a.counters.length || j < b.counters.length) {
    const [left, right] = [a.counters[i] ?? Infinity, b.counters[j] ?? Infinity];
    const index = Math.min(left, right);
    const count = (left === index ? a.counters[i + 1] : 0) + (right === index ? b.counters[j + 1] : 0);
    counters.push(index, count);
    if (left === index) i += 2;
    if (right === index) j += 2;
  }
  return {
    counters,
    minNs: a.minNs === null ? b.minNs : b.minNs === null ? a.minNs : Math.min(a.minNs, b.minNs),
    maxNs: a.maxNs === null ? b.maxNs : b.maxNs === null ? a.maxNs : Math.max(a.maxNs, b.maxNs),
    overflow: a.overflow + b.overflow,
  };
}
