/**
 * Quantiles and tails of the normal distribution and Student's t, and what a sample says of itself.
 *
 * Own code rather than a package: those that are small look the normal distribution up in a table of two
 * decimals or know no t at all, and those that are exact bring some hundred packages.
 */

/** Mean of the values. */
export const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
};

/** Variance of the values as a sample: the squares' sum by n - 1; 0 for fewer than two. */
export const sampleVariance = (values: ArrayLike<number>): number => {
  if (values.length < 2) return 0;
  const centre = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - centre) ** 2;
  return sum / (values.length - 1);
};

/** The middle value, or the mean of the two middle ones; NaN without any. */
export const median = (values: ArrayLike<number>): number => {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** The value below which `share` of a sorted sample lies, interpolated between neighbours (type 7). */
export const sortedQuantile = (sorted: ArrayLike<number>, share: number): number => {
  const at = Math.min(Math.max(share, 0), 1) * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
};

/** Share of a standard normal distribution below `z`; relative error below 1.2e-7 (Chebyshev fit of erfc). */
export const normalBelow = (z: number): number => {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + x / 2);
  let fit = 0;
  for (const factor of ERFC_FACTORS) fit = fit * t + factor;
  const tail = (t * Math.exp(-x * x + fit)) / 2;
  return z < 0 ? tail : 1 - tail;
};

/** Highest power first. */
const ERFC_FACTORS = [
  0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196,
  1.00002368, -1.26551223,
];

/** The `z` below which `share` (0 to 1, both excluded) of a standard normal distribution lies. */
export const normalQuantile = (share: number): number => {
  // Starts from a rational guess (Abramowitz and Stegun 26.2.23, error 4.5e-4) and goes two of Newton's steps.
  const tail = Math.min(share, 1 - share);
  const t = Math.sqrt(-2 * Math.log(tail));
  const guess =
    t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  let z = share < 0.5 ? -guess : guess;
  for (let step = 0; step < 2; step++) {
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    z -= (normalBelow(z) - share) / density;
  }
  return z;
};

/**
 * The `t` below which `share` of Student's t with `freedom` degrees lies, not always whole: exact for 1
 * and 2 degrees, Hill's expansion (CACM algorithm 396) above; below 1 as for 1. Relative error below 0.5 %
 * from 2 degrees on.
 */
export const studentQuantile = (share: number, freedom: number): number => {
  if (share === 0.5) return 0;
  if (share < 0.5) return -studentQuantile(1 - share, freedom);
  if (freedom < 1.5) return Math.tan(Math.PI * (share - 0.5));
  if (freedom < 2.5) {
    const a = 4 * share * (1 - share);
    return (2 * (share - 0.5) * Math.SQRT2) / Math.sqrt(a);
  }
  const twoTails = 2 * (1 - share);
  const n = freedom;
  const a = 1 / (n - 0.5);
  const b = 48 / (a * a);
  let c = (((20700 * a) / b - 98) * a - 16) * a + 96.36;
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * n;
  let y = (d * twoTails) ** (2 / n);
  if (y > 0.05 + a) {
    const x = normalQuantile(twoTails / 2);
    y = x * x;
    if (n < 5) c += 0.3 * (n - 4.5) * (x + 0.6);
    c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b;
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
    y = Math.expm1(a * y * y);
  } else {
    y =
      ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) *
        ((n + 1) / (n + 2)) +
      1 / y;
  }
  return Math.sqrt(n * y);
};
