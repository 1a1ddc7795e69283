/** The statistics of results: what a sample of repetitions, a series or a history can be said to show. */
export { SERIES_COUNT_MIN, type SeriesMean, seriesMean } from './autocorrelation.js';
export { bootstrapRatio, type Centre, type RatioInterval, type RatioOptions } from './bootstrap.js';
export { type ChangeOptions, type ChangePoint, changePoints } from './change-points.js';
export { mean, median, sampleVariance } from './distributions.js';
export { type MannWhitney, mannWhitney } from './mann-whitney.js';
export { type SteadyState, steadyState } from './steady-state.js';
