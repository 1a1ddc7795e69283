/**
 * How often the statistics are right on series whose truth is known: rates over many made-up series, each
 * held against the rate that is asked for.
 */
import { seriesMean } from './autocorrelation.js';
import { bootstrapRatio, type Centre } from './bootstrap.js';
import { changePoints } from './change-points.js';
import { mean, sampleVariance, studentQuantile } from './distributions.js';
import { mannWhitney } from './mann-whitney.js';
import { mergedAsUnion } from './merged-histograms.js';
import { normalFrom, type Random, seededRandom } from './random.js';
import { steadyState } from './steady-state.js';

/** One claim, and how often it held. */
export interface SelfTestRow {
  readonly subject: string;
  readonly claim: string;
  /** What is asked: the rate is to be at least, or at most, this. */
  readonly asked: 'at least' | 'at most';
  readonly limit: number;
  readonly rate: number;
  readonly trials: number;
  readonly holds: boolean;
}

/** How much is tried. */
export interface SelfTestOptions {
  /** Series of the claims that need most; the others take less. @default 10000 */
  readonly trials?: number;
  /** @default 1 */
  readonly seed?: number;
  /** Hears of each claim as soon as it is settled. */
  readonly onRow?: (row: SelfTestRow) => void;
}

interface Claim {
  readonly subject: string;
  readonly claim: string;
  readonly asked: SelfTestRow['asked'];
  readonly limit: number;
  /** Share of the trials that this claim gets: slow ones less. @default 0.2 */
  readonly effort?: number;
  /** One trial: whether what is counted happened. */
  readonly happens: (random: Random, trial: number) => boolean;
}

/** Tries every claim. The same trials and seed give the same rates. */
export const selfTest = (options: SelfTestOptions = {}): SelfTestRow[] => {
  const { trials: most = 10_000, seed = 1 } = options;
  return CLAIMS.map(({ happens, effort = 0.2, ...claim }, i) => {
    const random = seededRandom(seed * 1000 + i);
    const trials = Math.max(20, Math.round(most * effort));
    let count = 0;
    for (let trial = 0; trial < trials; trial++) if (happens(random, trial)) count++;
    const rate = count / trials;
    const holds = claim.asked === 'at least' ? rate >= claim.limit : rate <= claim.limit;
    const row = { ...claim, rate, trials, holds };
    options.onRow?.(row);
    return row;
  });
};

/** Noise of 2 % around levels: `levels[i]` holds for `length` values each. */
const levels = (random: Random, length: number, ...values: readonly number[]): number[] =>
  values.flatMap((value) => Array.from({ length }, () => value * (1 + 0.02 * normalFrom(random))));

/** Every twentieth value or so a fifth too small, as an interrupted run is. */
const withOutliers = (random: Random, series: readonly number[]): number[] =>
  series.map((value) => (random() < 0.05 ? value * 0.8 : value));

const drift = (random: Random, length: number, share: number): number[] =>
  levels(random, length, 100).map((value, i) => value * (1 + (share * i) / (length - 1)));

/** Noise of `spread` around 100 that remembers `memory` of its last value. */
const remembering = (random: Random, length: number, memory: number, spread: number): number[] => {
  let noise = normalFrom(random);
  return Array.from({ length }, () => {
    noise = memory * noise + Math.sqrt(1 - memory * memory) * normalFrom(random);
    return 100 * (1 + spread * noise);
  });
};

const isNear = (found: readonly { readonly index: number }[], index: number): boolean =>
  found.some((one) => Math.abs(one.index - index) <= 2);

const covers = ({ low, high }: { readonly low: number; readonly high: number }, truth: number): boolean =>
  low <= truth && truth <= high;

/** The interval that takes all values for independent. */
const plainInterval = (series: readonly number[]): { low: number; high: number } => {
  const reach = studentQuantile(0.975, series.length - 1) * Math.sqrt(sampleVariance(series) / series.length);
  return { low: mean(series) - reach, high: mean(series) + reach };
};

const ratioCovers =
  (centre: Centre, truth: number) =>
  (random: Random, seed: number): boolean =>
    covers(
      bootstrapRatio(levels(random, 10, 100), levels(random, 10, 100 * truth), {
        centre,
        seed,
        resamples: 600,
      }),
      truth,
    );

const CHANGE = 'change points';
const CHANGES: readonly Claim[] = [
  {
    subject: CHANGE,
    claim: 'a 5 % step at 2 % noise is found, 10 points each side',
    asked: 'at least',
    limit: 0.95,
    happens: (random, seed) => changePoints(levels(random, 10, 100, 95), { seed }).length > 0,
  },
  {
    subject: CHANGE,
    claim: 'and within 2 points of its place',
    asked: 'at least',
    limit: 0.9,
    effort: 0.1,
    happens: (random, seed) => isNear(changePoints(levels(random, 10, 100, 95), { seed }), 10),
  },
  {
    subject: CHANGE,
    claim: 'A/A: a step is found in 20 points of one level',
    asked: 'at most',
    limit: 0.01,
    effort: 1,
    happens: (random, seed) => changePoints(levels(random, 20, 100), { seed }).length > 0,
  },
  {
    subject: CHANGE,
    claim: 'A/A: a step is found in 60 points of one level',
    asked: 'at most',
    limit: 0.01,
    effort: 0.3,
    happens: (random, seed) => changePoints(levels(random, 60, 100), { seed }).length > 0,
  },
  {
    subject: CHANGE,
    claim: 'A/A: a step is found in 20 points of which 5 % are outliers of -20 %',
    asked: 'at most',
    limit: 0.01,
    effort: 1,
    happens: (random, seed) =>
      changePoints(withOutliers(random, levels(random, 20, 100)), { seed }).length > 0,
  },
  {
    subject: CHANGE,
    claim: 'a 5 % step is found in its place, 20 points each side of which 5 % are outliers of -20 %',
    asked: 'at least',
    limit: 0.75,
    effort: 0.05,
    happens: (random, seed) =>
      isNear(changePoints(withOutliers(random, levels(random, 20, 100, 95)), { seed }), 20),
  },
  {
    subject: CHANGE,
    claim: 'two steps, -5 % and back, are both found in their places, 15 points each',
    asked: 'at least',
    limit: 0.9,
    effort: 0.05,
    happens: (random, seed) => {
      const found = changePoints(levels(random, 15, 100, 95, 100), { seed });
      return isNear(found, 15) && isNear(found, 30);
    },
  },
  {
    subject: CHANGE,
    claim: 'a drift of 10 % over 40 points is noticed',
    asked: 'at least',
    limit: 0.95,
    effort: 0.03,
    happens: (random, seed) => changePoints(drift(random, 40, -0.1), { seed }).length > 0,
  },
  {
    subject: CHANGE,
    claim: 'a drift of 0.5 % over 40 points is taken for a step',
    asked: 'at most',
    limit: 0.03,
    effort: 0.1,
    happens: (random, seed) => changePoints(drift(random, 40, -0.005), { seed }).length > 0,
  },
];

const COMPARISONS: readonly Claim[] = [
  {
    subject: 'Mann-Whitney',
    claim: 'A/A: p <= 0.05 with 6 and 8 values, rounded so that many are equal',
    asked: 'at most',
    limit: 0.05,
    happens: (random) => {
      const rounded = (count: number): number[] =>
        levels(random, count, 100).map((value) => Math.round(value));
      return mannWhitney(rounded(6), rounded(8)).p <= 0.05;
    },
  },
  {
    subject: 'Mann-Whitney',
    claim: 'A/A: p <= 0.05 with 50 values each, by the normal approximation',
    asked: 'at most',
    limit: 0.055,
    happens: (random) => mannWhitney(levels(random, 50, 100), levels(random, 50, 100)).p <= 0.05,
  },
  {
    subject: 'Mann-Whitney',
    claim: 'a difference of 5 % at 2 % noise has p <= 0.01, 10 values each',
    asked: 'at least',
    limit: 0.95,
    happens: (random) => mannWhitney(levels(random, 10, 100), levels(random, 10, 95)).p <= 0.01,
  },
  {
    subject: 'ratio interval',
    claim: 'the 95 % interval of a ratio of means holds the truth, 10 values each',
    asked: 'at least',
    limit: 0.93,
    effort: 0.1,
    happens: ratioCovers('mean', 1.05),
  },
  {
    subject: 'ratio interval',
    claim: 'the 95 % interval of a ratio of medians holds the truth, 10 values each',
    asked: 'at least',
    limit: 0.93,
    effort: 0.1,
    happens: ratioCovers('median', 1.05),
  },
];

const SERIES: readonly Claim[] = [
  ...[
    { memory: 0, limit: 0.94 },
    { memory: 0.5, limit: 0.92 },
    { memory: 0.8, limit: 0.88 },
  ].map(
    ({ memory, limit }): Claim => ({
      subject: 'mean of a series',
      claim: `the 95 % interval holds the truth: 60 values that remember ${memory}`,
      asked: 'at least',
      limit,
      happens: (random) => covers(seriesMean(remembering(random, 60, memory, 0.05)), 100),
    }),
  ),
  {
    subject: 'mean of a series',
    claim: 'for contrast: that of independent values does, when they remember 0.8',
    asked: 'at most',
    limit: 0.6,
    happens: (random) => covers(plainInterval(remembering(random, 60, 0.8, 0.05)), 100),
  },
  {
    subject: 'steady state',
    claim: 'denied to 30 values of one level and 5 % noise that remember 0.3',
    asked: 'at most',
    limit: 0.05,
    happens: (random) => steadyState(remembering(random, 30, 0.3, 0.05)).isSteady === false,
  },
  {
    subject: 'steady state',
    claim: 'denied to 30 values that fall by 15 % half-way',
    asked: 'at least',
    limit: 0.95,
    happens: (random) =>
      steadyState(remembering(random, 30, 0, 0.03).map((value, i) => (i < 15 ? value : 0.85 * value)))
        .isSteady === false,
  },
  {
    subject: 'merged histograms',
    claim: 'percentiles of merged ones are those of all values together',
    asked: 'at least',
    limit: 1,
    effort: 0.005,
    happens: mergedAsUnion,
  },
];

const CLAIMS: readonly Claim[] = [...CHANGES, ...COMPARISONS, ...SERIES];
