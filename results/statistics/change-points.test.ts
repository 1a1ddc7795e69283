import { describe, expect, test } from 'vitest';
import { changePoints } from './change-points.js';
import { normalFrom, seededRandom } from './random.js';

const levels = (...values: readonly number[]): number[] => {
  const random = seededRandom(6);
  return values.flatMap((value) => Array.from({ length: 12 }, () => value * (1 + 0.01 * normalFrom(random))));
};

describe('change points', () => {
  test('of steps are found where they are, with the levels beside them', () => {
    const found = changePoints(levels(100, 90, 120));
    expect(found.map(({ index }) => index)).toEqual([12, 24]);
    expect(found[0].before).toBeCloseTo(100, -0.5);
    expect(found[0].change).toBeCloseTo(-0.1, 1);
    expect(found[1].change).toBeCloseTo(0.33, 1);
    for (const { p } of found) expect(p).toBeLessThanOrEqual(0.01);
  });

  test('of a level that is left and come back to are both found', () => {
    expect(changePoints(levels(100, 90, 100)).map(({ index }) => index)).toEqual([12, 24]);
  });

  test('are none in one level, one outlier, a constant, or too short a series', () => {
    const level = levels(100, 100);
    expect(changePoints(level)).toEqual([]);
    expect(changePoints(level.map((value, i) => (i === 7 ? 60 : value)))).toEqual([]);
    expect(changePoints(new Array(30).fill(7))).toEqual([]);
    expect(changePoints([1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 9])).toEqual([]);
  });

  test('are the same each time for one seed, and small ones can be left out', () => {
    const series = levels(100, 97);
    expect(changePoints(series, { seed: 3 })).toEqual(changePoints(series, { seed: 3 }));
    expect(changePoints(series)).toHaveLength(1);
    expect(changePoints(series, { changeMin: 0.05 })).toEqual([]);
  });

  test('are not sought in what is no number, nor with segments that have no spread', () => {
    expect(() => changePoints([1, Number.NaN])).toThrow(/holds NaN/);
    expect(() => changePoints(levels(1, 2), { segmentMin: 1 })).toThrow(/a segment of 1 values/);
  });
});
