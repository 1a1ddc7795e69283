import { describe, expect, test } from 'vitest';
import {
  mean,
  median,
  normalBelow,
  normalQuantile,
  sampleVariance,
  sortedQuantile,
  studentQuantile,
} from './distributions.js';

describe('the normal distribution', () => {
  test('has the tails of the tables', () => {
    expect(normalBelow(0)).toBeCloseTo(0.5, 6);
    expect(normalBelow(1)).toBeCloseTo(0.8413447, 6);
    expect(normalBelow(-1.959964)).toBeCloseTo(0.025, 6);
    expect(normalBelow(-4) / 3.16712e-5).toBeCloseTo(1, 4);
  });

  test('has quantiles that undo it', () => {
    for (const share of [1e-4, 0.01, 0.025, 0.3, 0.5, 0.9, 0.999])
      expect(normalBelow(normalQuantile(share))).toBeCloseTo(share, 6);
    expect(normalQuantile(0.975)).toBeCloseTo(1.959964, 4);
  });
});

test("Student's t has the quantiles of the tables, and of degrees between them", () => {
  const table: [number, number, number][] = [
    [0.975, 1, 12.706],
    [0.975, 2, 4.303],
    [0.975, 3, 3.182],
    [0.975, 5, 2.571],
    [0.975, 10, 2.228],
    [0.975, 30, 2.042],
    [0.975, 1000, 1.962],
    [0.95, 4, 2.132],
    [0.995, 9, 3.25],
    [0.75, 20, 0.687],
  ];
  for (const [share, freedom, t] of table) {
    expect(studentQuantile(share, freedom) / t, `${share} of ${freedom}`).toBeCloseTo(1, 2);
    expect(studentQuantile(1 - share, freedom)).toBeCloseTo(-studentQuantile(share, freedom), 9);
  }
  expect(studentQuantile(0.975, 7.5)).toBeLessThan(studentQuantile(0.975, 7));
  expect(studentQuantile(0.975, 7.5)).toBeGreaterThan(studentQuantile(0.975, 8));
  expect(studentQuantile(0.5, 3)).toBe(0);
});

test('samples have their mean, median, variance and quantiles', () => {
  expect([mean([1, 2, 6]), median([5, 1, 3]), median([4, 1, 2, 3])]).toEqual([3, 3, 2.5]);
  expect(sampleVariance([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(32 / 7);
  expect(sampleVariance([3])).toBe(0);
  expect([0, 0.25, 0.5, 1].map((share) => sortedQuantile([10, 20, 30], share))).toEqual([10, 15, 20, 30]);
});
