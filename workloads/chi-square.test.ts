import { describe, expect, it } from 'vitest';
import { chiSquareDeviation } from './chi-square.js';

describe('chiSquareDeviation', () => {
  it('is negative for counts that fit and large for counts that do not', () => {
    const fair = Array.from({ length: 10 }, () => 0.1);
    expect(chiSquareDeviation([100, 103, 97, 99, 101, 100, 100, 98, 102, 100], fair)).toBeLessThan(0);
    expect(chiSquareDeviation([190, 90, 90, 90, 90, 90, 90, 90, 90, 90], fair)).toBeGreaterThan(5);
  });

  it('is about 1.645 at the 95th percentile of 10 degrees of freedom, 18.307', () => {
    // Eleven cells of 100 expected each; one excess and one lack make the statistic 2 d^2 / 100.
    const d = Math.sqrt(18.307 * 50);
    const observed = [100 + d, 100 - d, ...Array.from({ length: 9 }, () => 100)];
    const equal = Array.from({ length: 11 }, () => 1 / 11);
    expect(chiSquareDeviation(observed, equal)).toBeCloseTo(1.645, 1);
  });
});
