import { describe, expect, test } from 'vitest';
import { mannWhitney } from './mann-whitney.js';

/** Two-sided p by trying every way to choose the first sample, which nothing but patience can get wrong. */
const byHand = (a: readonly number[], b: readonly number[]): number => {
  const all = [...a, ...b];
  const uOf = (chosen: readonly number[]): number => {
    let u = 0;
    for (const i of chosen) {
      for (let j = 0; j < all.length; j++) {
        if (chosen.includes(j)) continue;
        u += all[i] > all[j] ? 1 : all[i] === all[j] ? 0.5 : 0;
      }
    }
    return u;
  };
  const centre = (a.length * b.length) / 2;
  const observed = Math.abs(uOf(a.map((_, i) => i)) - centre);
  let far = 0;
  let ways = 0;
  for (let mask = 0; mask < 1 << all.length; mask++) {
    const chosen = all.flatMap((_, i) => (mask & (1 << i) ? [i] : []));
    if (chosen.length !== a.length) continue;
    ways++;
    if (Math.abs(uOf(chosen) - centre) >= observed - 1e-9) far++;
  }
  return far / ways;
};

describe('Mann-Whitney', () => {
  test('has the U and the p of the tables', () => {
    // Mann and Whitney 1947, table for n = 4 and m = 4: U = 0 has 1/70 on either side.
    const { u, p, superiority, isExact } = mannWhitney([1, 2, 3, 4], [5, 6, 7, 8]);
    expect({ u, superiority, isExact }).toEqual({ u: 0, superiority: 0, isExact: true });
    expect(p).toBeCloseTo(2 / 70, 12);
    expect(mannWhitney([5, 6, 7, 8], [1, 2, 3, 4])).toMatchObject({ u: 16, superiority: 1 });
  });

  test.each([
    [
      [1.5, 2, 9, 4],
      [3, 8, 7, 6, 5],
    ],
    [
      [1, 2, 2, 3],
      [2, 3, 3, 4, 5],
    ],
    [
      [1, 1, 1],
      [1, 1, 2, 2],
    ],
    [[7], [1, 2, 3]],
  ])('counts %j against %j out exactly, ties included', (a, b) => {
    expect(mannWhitney(a, b).p).toBeCloseTo(byHand(a, b), 12);
  });

  test('approximates many values well, and says so', () => {
    const a = Array.from({ length: 30 }, (_, i) => i * 2);
    const b = Array.from({ length: 30 }, (_, i) => i * 2 + 11);
    const counted = mannWhitney(a, b);
    const approximated = mannWhitney([...a, 60], [...b, 71]);
    expect([counted.isExact, approximated.isExact]).toEqual([true, false]);
    expect(approximated.p / counted.p).toBeGreaterThan(0.6);
    expect(approximated.p / counted.p).toBeLessThan(1.6);
  });

  test('tells nothing of equal values, and refuses no values and no numbers', () => {
    expect(mannWhitney([3, 3], [3, 3]).p).toBe(1);
    expect(mannWhitney(new Array(40).fill(3), new Array(40).fill(3)).p).toBe(1);
    expect(() => mannWhitney([], [1])).toThrow(/needs a value of each sample/);
    expect(() => mannWhitney([Number.NaN], [1])).toThrow(/holds NaN/);
  });
});
