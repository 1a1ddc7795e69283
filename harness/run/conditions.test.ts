/** What the conditions of a run rest on. */
import { expect, it } from 'vitest';
import { ratesOf } from './conditions.js';

const series = (length: number) => Array.from({ length }, (_, i) => ({ operations: i + 1, intervalMs: 100 }));

it('takes each interval of a short window by itself', () => {
  expect(ratesOf(series(3))).toEqual({ rates: [10, 20, 30], perRate: 1 });
  expect(ratesOf(series(300)).rates).toHaveLength(300);
  expect(ratesOf([])).toEqual({ rates: [], perRate: 1 });
});

it('takes neighbours of a long window together: ten minutes are tested as soon as one', () => {
  const { rates, perRate } = ratesOf(series(6001));
  expect([rates.length, perRate]).toEqual([285, 21]);
  expect(rates[0]).toBeCloseTo(110, 9);
  expect(rates[1]).toBeCloseTo(320, 9);
});
