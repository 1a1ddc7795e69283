/**
 * Where the level of a series changes: E-divisive (Matteson and James, JASA 2014), as Hunter and Otava use
 * it.
 *
 * The energy statistic of a split is the weighted distance between what lies on either side, and is large
 * only when the two come from different distributions; no shape of the noise is assumed. The best split of a
 * segment is kept when few of the segment's permutations have one as good, and its sides are split alike.
 * The test of one segment is exact: an unchanging series is split in at most `significance` of all cases.
 *
 * *Deviation:* Hunter and Otava put Student's t in place of permutations, to have the same answer each time;
 * here the seed gives that.
 */
import { mean } from './distributions.js';
import { type Random, seededRandom, shuffle } from './random.js';

/** From so many times the shortest segment on, splits are sought in the beginnings of a segment too. */
const WINDOW_SEGMENTS = 5;

/** A change of level. */
export interface ChangePoint {
  /** The first value of the new level. */
  readonly index: number;
  /** Means of the levels to either side, up to the neighbouring changes. */
  readonly before: number;
  readonly after: number;
  /** after / before - 1. */
  readonly change: number;
  /** Share of permutations with a split as good. */
  readonly p: number;
}

/** What counts as a change. */
export interface ChangeOptions {
  /** @default 0.0099 */
  readonly significance?: number;
  /** @default 1999 */
  readonly permutations?: number;
  /** Fewest values on either side. @default 6 */
  readonly segmentMin?: number;
  /** Smaller changes are left out, by |after / before - 1|. @default 0 */
  readonly changeMin?: number;
  /** @default 1 */
  readonly seed?: number;
}

interface Test {
  readonly significance: number;
  readonly permutations: number;
  readonly segmentMin: number;
  readonly random: Random;
}

/**
 * The changes of level in a series, in order; none in a series too short for two segments.
 * @throws RangeError when a value is no number, or segments of fewer than 2 values are asked for.
 */
export const changePoints = (series: readonly number[], options: ChangeOptions = {}): ChangePoint[] => {
  for (const value of series)
    if (!Number.isFinite(value)) throw new RangeError(`a series holds ${value}; values must be finite`);
  const { significance = 0.0099, permutations = 1999, segmentMin = 6, changeMin = 0, seed = 1 } = options;
  if (!(Number.isInteger(segmentMin) && segmentMin >= 2))
    throw new RangeError(`a segment of ${segmentMin} values has no spread; it must have 2 or more`);
  const test: Test = { significance, permutations, segmentMin, random: seededRandom(seed) };
  const found: Split[] = [];
  divide(series, 0, test, found);
  found.sort((a, b) => a.index - b.index);
  return describe(series, found).filter(({ change }) => Math.abs(change) >= changeMin);
};

interface Split {
  readonly index: number;
  readonly p: number;
}

/** Splits a segment that begins at `start` of the whole, and what comes of it. */
const divide = (segment: readonly number[], start: number, test: Test, found: Split[]): void => {
  const split = bestSplit(segment, test);
  if (split === null) return;
  found.push({ index: start + split.index, p: split.p });
  divide(segment.slice(0, split.index), start, test, found);
  divide(segment.slice(split.index), start + split.index, test, found);
};

const bestSplit = (segment: readonly number[], test: Test): Split | null => {
  const n = segment.length;
  if (n < 2 * test.segmentMin) return null;
  const distances = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) distances[i * n + j] = Math.abs(segment[i] - segment[j]);
  const order = Uint32Array.from(segment, (_, i) => i);
  const observed = strongest(distances, order, test.segmentMin);
  if (!(observed.energy > 0)) return null;
  const { permutations, significance, random } = test;
  // So many permutations as good make it insignificant: more need not be looked at.
  const enough = Math.floor(significance * (permutations + 1));
  let asGood = 0;
  for (let i = 0; i < permutations && asGood < enough; i++) {
    shuffle(order, random);
    // Sums in another order differ in their last bits.
    if (strongest(distances, order, test.segmentMin).energy >= observed.energy * (1 - 1e-12)) asGood++;
  }
  if (asGood >= enough) return null;
  return { index: observed.index, p: (asGood + 1) / (permutations + 1) };
};

/**
 * The split with the largest energy when the values stand in `order`. In a segment long enough, what lies
 * right of a split may end before the segment does: a level that is left and come back to would hide in the
 * whole.
 */
const strongest = (
  distances: Float64Array,
  order: Uint32Array,
  segmentMin: number,
): { energy: number; index: number } => {
  const n = order.length;
  const endMin = n >= WINDOW_SEGMENTS * segmentMin ? 2 * segmentMin : n;
  /** Sums of distances within [0, i), and within [i, end). */
  const before = new Float64Array(n + 1);
  const within = new Float64Array(n);
  let energy = -Infinity;
  let index = -1;
  for (let end = 1; end <= n; end++) {
    const row = order[end - 1] * n;
    let toLast = 0;
    for (let i = end - 2; i >= 0; i--) {
      toLast += distances[row + order[i]];
      within[i] += toLast;
    }
    before[end] = within[0];
    if (end < endMin) continue;
    for (let split = segmentMin; split <= end - segmentMin; split++) {
      const rest = end - split;
      const across = (within[0] - before[split] - within[split]) / (split * rest);
      const inside = before[split] / (split * split) + within[split] / (rest * rest);
      const weighted = ((split * rest) / end) * 2 * (across - inside);
      if (weighted > energy) {
        energy = weighted;
        index = split;
      }
    }
  }
  return { energy, index };
};

const describe = (series: readonly number[], splits: readonly Split[]): ChangePoint[] =>
  splits.map(({ index, p }, i) => {
    const before = mean(series.slice(splits[i - 1]?.index ?? 0, index));
    const after = mean(series.slice(index, splits[i + 1]?.index ?? series.length));
    return { index, before, after, change: after / before - 1, p };
  });
