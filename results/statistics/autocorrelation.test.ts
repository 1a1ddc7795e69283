import { expect, test } from 'vitest';
import { seriesMean } from './autocorrelation.js';
import { normalFrom, seededRandom } from './random.js';
import { steadyState } from './steady-state.js';

const noise = (count: number): number[] => {
  const random = seededRandom(11);
  return Array.from({ length: count }, () => 100 + 5 * normalFrom(random));
};

test('independent values count nearly in full', () => {
  const { mean, effectiveCount, low, high, standardError } = seriesMean(noise(100));
  expect(effectiveCount).toBeGreaterThan(60);
  expect(standardError).toBeGreaterThan(0.4);
  expect(standardError).toBeLessThan(0.8);
  expect(low).toBeLessThan(mean);
  expect(high - mean).toBeCloseTo(mean - low, 9);
});

test('a series in which each value stands four times counts a fourth, and its interval is wider', () => {
  const single = noise(50);
  const fourfold = single.flatMap((value) => [value, value, value, value]);
  const { effectiveCount, high, low, correlation } = seriesMean(fourfold);
  expect(correlation).toBeGreaterThan(0.6);
  expect(effectiveCount).toBeLessThan(70);
  const plain = seriesMean(single);
  expect(high - low).toBeGreaterThan(0.8 * (plain.high - plain.low));
});

test('a constant series is known exactly, and too short a one not at all', () => {
  expect(seriesMean([5, 5, 5, 5])).toMatchObject({ mean: 5, standardError: 0, low: 5, high: 5 });
  expect(() => seriesMean([1, 2, 3])).toThrow(/needs 4 values, not 3/);
});

test('a steady series is found steady, one that falls is not, and a short one is not judged', () => {
  expect(steadyState(noise(30))).toMatchObject({ isSteady: true, change: null });
  const falling = steadyState(noise(30).map((value, i) => (i < 18 ? value : value * 0.7)));
  expect(falling.isSteady).toBe(false);
  expect(Math.abs((falling.change?.index ?? 0) - 18)).toBeLessThanOrEqual(3);
  expect(falling.change?.share).toBeLessThan(-0.2);
  expect(steadyState(noise(9))).toMatchObject({ isSteady: null, mean: { mean: expect.any(Number) } });
  expect(steadyState([1, 2, 3])).toEqual({ isSteady: null, change: null, mean: null });
});
