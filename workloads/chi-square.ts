/**
 * How many standard deviations the chi-square statistic of `observed` counts lies above its mean, by Wilson
 * and Hilferty's cube-root transform; for the tests of distributions. Cells expected fewer than 10 times are
 * pooled with their successors. `probabilities` add up to 1, one for each cell.
 */
export function chiSquareDeviation(observed: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < observed.length; i++) total += observed[i];
  let statistic = 0;
  let cells = 0;
  let pooledObserved = 0;
  let pooledExpected = 0;
  for (let i = 0; i < observed.length; i++) {
    pooledObserved += observed[i];
    pooledExpected += probabilities[i] * total;
    if (pooledExpected < 10) continue;
    statistic += (pooledObserved - pooledExpected) ** 2 / pooledExpected;
    cells++;
    pooledObserved = 0;
    pooledExpected = 0;
  }
  const freedom = cells - 1;
  const spread = 2 / (9 * freedom);
  return (Math.cbrt(statistic / freedom) - (1 - spread)) / Math.sqrt(spread);
}
