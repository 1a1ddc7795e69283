/** What series of samples say: is memory flat, is the end as fast as the beginning. */

/** Share of a run that belongs to its warm-up, and length of the parts that throughput is compared in. */
export const TENTH = 0.1;
/** Memory is flat when it grows by no more than this share behind the warm-up. */
export const GROWTH_MAX = 0.05;
/** The end is as fast as the beginning when it is no slower than this share of it. */
export const THROUGHPUT_LEAST = 0.95;

/** The middle value, the upper one of two; 0 of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this share of the values lies; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** One look at a pool's memory. */
export interface MemorySample {
  /** Share of the run's bytes that had been written. */
  readonly progress: number;
  /** Blocks that belong to somebody, by node (primaries). */
  readonly blocks: readonly number[];
}

/** Memory behind the warm-up. */
export interface Flatness {
  /** Blocks in use when the warm-up ended (or at most in the first cycle), and at most from then on. */
  readonly atWarm: number;
  readonly most: number;
  /** `most` over `atWarm`, less 1. */
  readonly growth: number;
  readonly isFlat: boolean;
  /** Samples behind the warm-up: with fewer than two nothing has been shown. */
  readonly samples: number;
}

/**
 * Compares the most that was in use behind the warm-up with what was when it ended.
 * @param cycle for a load that goes in cycles: the first one ends at this share of the run, and is compared
 * as a   whole, by its most, with what comes behind it.
 */
export function flatness(samples: readonly MemorySample[], cycle: number | null = null): Flatness {
  const blocksOf = (part: readonly MemorySample[]): number[] =>
    part.map((sample) => sample.blocks.reduce((sum, n) => sum + n, 0));
  const blocks = blocksOf(samples.filter(({ progress }) => progress >= (cycle ?? TENTH)));
  const first = cycle === null ? blocks.slice(0, 1) : blocksOf(samples.filter((s) => s.progress < cycle));
  const atWarm = Math.max(0, ...first);
  const most = Math.max(0, ...blocks);
  return {
    atWarm,
    most,
    growth: atWarm === 0 ? 0 : most / atWarm - 1,
    isFlat: blocks.length >= 2 && most <= atWarm * (1 + GROWTH_MAX),
    samples: blocks.length,
  };
}

/** One look at the pool's cells. */
export interface CellBytes {
  readonly progress: number;
  readonly live: number;
  readonly tombstones: number;
  /** Freed, and not yet taken back by their owners. */
  readonly awaiting: number;
}

/** Cells in use behind the warm-up. */
export interface CellFlatness {
  /** Mean bytes of live objects and tombstones, over the two halves of what lies behind the warm-up. */
  readonly first: number;
  readonly last: number;
  readonly growth: number;
  readonly isFlat: boolean;
  readonly samples: number;
}

/** Samples of each half without which nothing has been shown. */
const CELL_SAMPLES_LEAST = 2;

/**
 * Compares what objects and tombstones took in the two halves behind the warm-up. A small pool has all of its
 * blocks in use before a tenth is written, so counting those shows nothing there. Means, since the sizes of
 * values are drawn: single looks differ by a few percent.
 */
export function cellFlatness(cells: readonly CellBytes[]): CellFlatness {
  const mean = (part: readonly CellBytes[]): number =>
    part.reduce((sum, { live, tombstones }) => sum + live + tombstones, 0) / Math.max(1, part.length);
  const half = (TENTH + 1) / 2;
  const early = cells.filter(({ progress }) => progress >= TENTH && progress < half);
  const late = cells.filter(({ progress }) => progress >= half);
  const [first, last] = [mean(early), mean(late)];
  return {
    first,
    last,
    growth: first === 0 ? 0 : last / first - 1,
    isFlat: Math.min(early.length, late.length) >= CELL_SAMPLES_LEAST && last <= first * (1 + GROWTH_MAX),
    samples: early.length + late.length,
  };
}

/** An interval of the run, over all clients. */
export interface Interval {
  readonly operations: number;
  readonly cpuMs: number;
}

/** Adds up series of several clients that began together. */
export function mergeSeries(series: readonly (readonly Interval[])[]): Interval[] {
  // The last clients to end run with less company: what all have counts.
  const length = Math.min(...series.map((parts) => parts.length));
  return Array.from({ length }, (_, i) => ({
    operations: series.reduce((sum, parts) => sum + parts[i].operations, 0),
    cpuMs: series.reduce((sum, parts) => sum + parts[i].cpuMs, 0),
  }));
}

/** Throughput of the first tenth behind the warm-up, and of the last. */
export interface Throughput {
  /** Median operations per second over the intervals. */
  readonly first: number;
  readonly last: number;
  readonly ratio: number;
  /** The ratio of operations per second of CPU time, which other jobs on the machine disturb less. */
  readonly cpuRatio: number;
  /** (third quartile - first quartile) / median over the whole run: how much of a ratio is noise. */
  readonly spread: number;
  readonly intervals: number;
}

/**
 * Compares the second tenth of a series with its last. Medians, since a machine that does other things too
 * takes whole intervals away.
 */
export function throughput(series: readonly Interval[], intervalMs: number): Throughput {
  const n = series.length;
  const part = (from: number, to: number): readonly Interval[] =>
    series.slice(Math.floor(from * n), Math.max(Math.floor(from * n) + 1, Math.floor(to * n)));
  const rates = (intervals: readonly Interval[]): number[] =>
    intervals.map(({ operations }) => (operations * 1000) / intervalMs);
  const perCpu = (intervals: readonly Interval[]): number =>
    median(intervals.filter(({ cpuMs }) => cpuMs > 0).map(({ operations, cpuMs }) => operations / cpuMs));
  const [early, late] = [part(TENTH, 2 * TENTH), part(1 - TENTH, 1)];
  const [first, last] = [median(rates(early)), median(rates(late))];
  const all = rates(series);
  return {
    first,
    last,
    ratio: first === 0 ? 0 : last / first,
    cpuRatio: perCpu(early) === 0 ? 0 : perCpu(late) / perCpu(early),
    spread: median(all) === 0 ? 0 : (quantile(all, 0.75) - quantile(all, 0.25)) / median(all),
    intervals: n,
  };
}

/** Spans of time without those that touch or overlap, ascending. */
export function mergeSpans(spans: readonly (readonly [number, number])[]): [number, number][] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}
