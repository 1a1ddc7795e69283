/** Mann and Whitney's test: whether values of one sample tend to be larger than those of another. */
import { normalBelow } from './distributions.js';

/** Up to so many values together the distribution is counted out; beyond, the normal one stands in. */
const EXACT_COUNT_MAX = 60;

/** What the test found. */
export interface MannWhitney {
  /** Pairs in which the value of `a` is larger, ties counted half. */
  readonly u: number;
  /** Probability that a value of `a` is larger than one of `b`, ties counted half. */
  readonly superiority: number;
  /** Two-sided: how likely a U at least so far from its mean is when both samples come from one source. */
  readonly p: number;
  /** Whether `p` is counted out, ties included, rather than approximated. */
  readonly isExact: boolean;
}

/**
 * Compares two samples by ranks. With up to 60 values together `p` is exact, also with ties: it counts the
 * ways to draw the first sample's mid-ranks out of all. Beyond, it is normal with corrections for ties and
 * continuity.
 * @throws RangeError when a sample is empty or holds what is no number.
 */
export const mannWhitney = (a: readonly number[], b: readonly number[]): MannWhitney => {
  if (a.length === 0 || b.length === 0) throw new RangeError('a comparison needs a value of each sample');
  const ranks = doubledRanks([...a, ...b]);
  let doubledSum = 0;
  for (let i = 0; i < a.length; i++) doubledSum += ranks[i];
  const pairs = a.length * b.length;
  const u = doubledSum / 2 - (a.length * (a.length + 1)) / 2;
  const isExact = ranks.length <= EXACT_COUNT_MAX;
  const p = isExact ? exactP(ranks, a.length, doubledSum) : normalP(ranks, a.length, u);
  return { u, superiority: u / pairs, p, isExact };
};

/** Twice the mid-rank of each value, which is whole: equal values share the mean of their ranks. */
const doubledRanks = (values: readonly number[]): number[] => {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  const ranks = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    const value = values[order[from]];
    if (!Number.isFinite(value)) throw new RangeError(`a sample holds ${value}; values must be finite`);
    let to = from + 1;
    while (to < order.length && values[order[to]] === value) to++;
    // Ranks from + 1 to `to`: twice their mean.
    for (let k = from; k < to; k++) ranks[order[k]] = from + 1 + to;
    from = to;
  }
  return ranks;
};

/** Share of all ways to choose `count` ranks whose sum lies at least as far from the mean as `doubledSum`. */
const exactP = (ranks: readonly number[], count: number, doubledSum: number): number => {
  const highest = ranks.reduce((sum, rank) => sum + rank, 0);
  // ways[k][s]: in how many ways k of the ranks seen so far add up to s.
  const ways = Array.from({ length: count + 1 }, () => new Float64Array(highest + 1));
  ways[0][0] = 1;
  let reached = 0;
  for (const rank of ranks) {
    reached += rank;
    for (let k = count; k >= 1; k--) {
      const [to, from] = [ways[k], ways[k - 1]];
      for (let sum = reached; sum >= rank; sum--) to[sum] += from[sum - rank];
    }
  }
  const centre = (count * highest) / ranks.length;
  const distance = Math.abs(doubledSum - centre);
  let all = 0;
  let far = 0;
  ways[count].forEach((number, sum) => {
    all += number;
    if (Math.abs(sum - centre) >= distance - 1e-9) far += number;
  });
  return far / all;
};

const normalP = (ranks: readonly number[], count: number, u: number): number => {
  const n = ranks.length;
  const other = n - count;
  const tied = new Map<number, number>();
  for (const rank of ranks) tied.set(rank, (tied.get(rank) ?? 0) + 1);
  let ties = 0;
  for (const size of tied.values()) ties += size ** 3 - size;
  const variance = ((count * other) / 12) * (n + 1 - ties / (n * (n - 1)));
  // All values are equal: nothing tells the samples apart.
  if (variance === 0) return 1;
  const distance = Math.max(0, Math.abs(u - (count * other) / 2) - 0.5);
  return Math.min(1, 2 * normalBelow(-distance / Math.sqrt(variance)));
};
