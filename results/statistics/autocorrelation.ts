/**
 * The mean of a series whose neighbours resemble each other, as throughput in successive intervals does: with
 * n such values one knows less than with n independent ones, and the plain standard error is too small.
 */
import { mean, studentQuantile } from './distributions.js';

/** A mean, and how well it is known. */
export interface SeriesMean {
  readonly mean: number;
  /** Allows for autocorrelation. */
  readonly standardError: number;
  /** So many independent values would tell as much; at most as many as there are. */
  readonly effectiveCount: number;
  /** Correlation of neighbours, corrected for the bias of short series. */
  readonly correlation: number;
  readonly low: number;
  readonly high: number;
  readonly level: number;
}

/** Fewer values say nothing about how they hang together. */
export const SERIES_COUNT_MIN = 4;

/**
 * Mean of a series, with its standard error and interval. The time over which values hang together is the
 * longer one of two estimates: of a process of first order (bias-corrected as by Kendall), and of the sum of
 * the sample's autocorrelations, cut where pairs of them cease to be positive (Geyer's initial monotone
 * sequence).
 * @throws RangeError when there are fewer than four values.
 */
export const seriesMean = (series: readonly number[], level = 0.95): SeriesMean => {
  const n = series.length;
  if (n < SERIES_COUNT_MIN) throw new RangeError(`an interval needs ${SERIES_COUNT_MIN} values, not ${n}`);
  const centre = mean(series);
  const lag0 = autocovariance(series, centre, 0);
  if (lag0 === 0) {
    const exact = { standardError: 0, effectiveCount: n, correlation: 0, low: centre, high: centre };
    return { mean: centre, ...exact, level };
  }
  const first = autocovariance(series, centre, 1) / lag0;
  const correlation = Math.min(Math.max(first + (1 + 3 * first) / n, 0), 0.99);
  const ofFirstOrder = (1 + correlation) / (1 - correlation);
  const times = Math.max(1, ofFirstOrder, initialMonotoneSum(series, centre, lag0));
  // Two values at least: a whole series that is one wave still has an error.
  const effectiveCount = Math.max(2, n / times);
  // The sample's own variance is too small too, since its mean follows the wave.
  const variance = (lag0 * effectiveCount) / (effectiveCount - 1);
  const standardError = Math.sqrt(variance / effectiveCount);
  const reach = studentQuantile(0.5 + level / 2, effectiveCount - 1) * standardError;
  return {
    mean: centre,
    standardError,
    effectiveCount,
    correlation,
    low: centre - reach,
    high: centre + reach,
    level,
  };
};

const autocovariance = (series: readonly number[], centre: number, lag: number): number => {
  let sum = 0;
  for (let i = 0; i + lag < series.length; i++) sum += (series[i] - centre) * (series[i + lag] - centre);
  return sum / series.length;
};

/** 1 + 2 times the sum of the autocorrelations that count. */
const initialMonotoneSum = (series: readonly number[], centre: number, lag0: number): number => {
  let sum = -1;
  let least = Infinity;
  for (let lag = 0; lag + 1 < series.length / 2; lag += 2) {
    const pair = (autocovariance(series, centre, lag) + autocovariance(series, centre, lag + 1)) / lag0;
    if (pair <= 0) break;
    least = Math.min(least, pair);
    sum += 2 * least;
  }
  return sum;
};
