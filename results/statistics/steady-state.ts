/** Whether a run's throughput was steady, and how well its mean is known. */
import { SERIES_COUNT_MIN, type SeriesMean, seriesMean } from './autocorrelation.js';
import { changePoints } from './change-points.js';

/** Fewest values on either side of a change; twice as many are tested at least. */
const SEGMENT_MIN = 5;
/** So many standard errors, which allow for autocorrelation, tell a change from a wave. */
const ERRORS_MIN = 3.5;
/** Smaller changes of level are of no consequence. */
const CHANGE_MIN = 0.05;

/** What a series of throughput says of its run. */
export interface SteadyState {
  /** null when the series is too short to tell. */
  readonly isSteady: boolean | null;
  /** The largest change of level: where, as an index of the series, and by how much. */
  readonly change: { readonly index: number; readonly share: number } | null;
  /** null when the series is too short. */
  readonly mean: SeriesMean | null;
}

/**
 * Tests a series of equal intervals for a steady level. The test of change points takes every order of its
 * values for equally likely, so what it finds must stand out of the slow waves too that are in a series whose
 * neighbours resemble each other. How much they do is seen beside the largest change, which would count as
 * resemblance itself. Changes below 5 % do not count.
 */
export const steadyState = (series: readonly number[]): SteadyState => {
  const n = series.length;
  if (n < SERIES_COUNT_MIN) return { isSteady: null, change: null, mean: null };
  const known = seriesMean(series);
  if (n < 2 * SEGMENT_MIN) return { isSteady: null, change: null, mean: known };
  const { standardError } = seriesMean(withoutStep(series));
  const found = changePoints(series, { segmentMin: SEGMENT_MIN, changeMin: CHANGE_MIN });
  const largest = found
    .filter(({ index, before, after }) => {
      // Of a difference of two means, of so many values on either side.
      const errorOfDifference = standardError * Math.sqrt(n / index + n / (n - index));
      return Math.abs(after - before) > ERRORS_MIN * errorOfDifference;
    })
    .reduce<(typeof found)[number] | null>(
      (most, one) => (most === null || Math.abs(one.change) > Math.abs(most.change) ? one : most),
      null,
    );
  const change = largest === null ? null : { index: largest.index, share: largest.change };
  return { isSteady: change === null, change, mean: known };
};

/** The series less the means of its two parts, for the split that leaves least of it. */
const withoutStep = (series: readonly number[]): number[] => {
  const total = series.reduce((sum, value) => sum + value, 0);
  let left = 0;
  let most = -Infinity;
  let best = { split: 0, before: 0, after: 0 };
  for (let split = 1; split < series.length; split++) {
    left += series[split - 1];
    const [before, after] = [left / split, (total - left) / (series.length - split)];
    const explained = before * left + after * (total - left);
    if (explained <= most) continue;
    most = explained;
    best = { split, before, after };
  }
  return series.map((value, i) => value - (i < best.split ? best.before : best.after));
};
