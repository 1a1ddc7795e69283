import { expect, test } from 'vitest';
import { bootstrapRatio } from './bootstrap.js';

const a = [100, 101, 99, 102, 98, 100, 103, 97];
const b = a.map((value) => value * 1.1);

test('a ratio interval holds the ratio, and not 1 when the samples lie apart', () => {
  for (const centre of ['mean', 'median'] as const) {
    const { ratio, low, high } = bootstrapRatio(a, b, { centre });
    expect(ratio).toBeCloseTo(1.1, 9);
    expect(low).toBeLessThan(1.1);
    expect(low).toBeGreaterThan(1.05);
    expect(high).toBeGreaterThan(1.1);
    expect(high).toBeLessThan(1.15);
  }
});

test('a higher level and fewer repetitions make it wider', () => {
  const width = ({ low, high }: { low: number; high: number }): number => high - low;
  const usual = bootstrapRatio(a, b, { centre: 'mean' });
  expect(width(bootstrapRatio(a, b, { centre: 'mean', level: 0.99 }))).toBeGreaterThan(width(usual));
  const few = bootstrapRatio(a.slice(0, 4), b.slice(0, 4), { centre: 'mean' });
  expect(width(few)).toBeGreaterThan(width(usual));
});

test('the same seed gives the same interval, another one another', () => {
  expect(bootstrapRatio(a, b, { seed: 3 })).toEqual(bootstrapRatio(a, b, { seed: 3 }));
  expect(bootstrapRatio(a, b, { centre: 'mean', seed: 4 }).low).not.toBe(
    bootstrapRatio(a, b, { centre: 'mean', seed: 3 }).low,
  );
});

test('one repetition, and values that no ratio is made of, are refused', () => {
  expect(() => bootstrapRatio([1], b)).toThrow(/needs two repetitions of each/);
  expect(() => bootstrapRatio(a, [1, 0])).toThrow(/values above 0, not 0/);
  expect(() => bootstrapRatio(a, [1, Number.NaN])).toThrow(/not NaN/);
});
