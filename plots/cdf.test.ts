import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LatencyHistogram } from '../results/histogram.js';
import { cdfPoints } from './cdf.js';

const histogramOf = (values: readonly number[]): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
};

test('a CDF rises from 0 to 100 and never turns back', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1e9 }), { minLength: 1, maxLength: 300 }), (values) => {
      const points = cdfPoints(histogramOf(values));
      expect(points[0].y).toBe(0);
      expect(points[points.length - 1].y).toBeCloseTo(100, 9);
      for (let i = 1; i < points.length; i++) {
        expect(points[i].x).toBeGreaterThanOrEqual(points[i - 1].x);
        expect(points[i].y).toBeGreaterThan(points[i - 1].y);
      }
    }),
    { numRuns: 100 },
  );
});

test('each point says how many operations were not slower', () => {
  const values = Array.from({ length: 20_000 }, (_, i) => 1000 + i * 7);
  const histogram = histogramOf(values);
  const points = cdfPoints(histogram);
  for (const { x, y } of points.slice(1)) {
    const notSlower = values.filter((value) => value <= x * 1000 + 1e-6).length;
    expect(y).toBeCloseTo((notSlower / values.length) * 100, 9);
  }
  expect(points.length).toBeLessThan(1000);
});

test('with overflow it ends below 100', () => {
  const points = cdfPoints(histogramOf([1000, 2000, 3000, 70e9]));
  expect(points[points.length - 1].y).toBe(75);
});

test('of nothing has no points', () => {
  expect(cdfPoints(new LatencyHistogram())).toEqual([]);
});
