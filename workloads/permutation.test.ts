import { describe, expect, it } from 'vitest';
import { chiSquareDeviation } from './chi-square.js';
import { WorkloadError } from './errors.js';
import { KeyPermutation } from './permutation.js';

describe('KeyPermutation', () => {
  it.each([1, 2, 3, 4, 5, 100, 1023, 1024, 1025, 100_000])(
    'maps %i numbers onto each other, each once',
    (count) => {
      const permutation = new KeyPermutation(count);
      const seen = new Uint8Array(count);
      for (let i = 0; i < count; i++) seen[permutation.apply(i)]++;
      expect(seen.every((times) => times === 1)).toBe(true);
    },
  );

  it('stays within 2^36 numbers', () => {
    const permutation = new KeyPermutation(2 ** 36 - 5);
    const images = [0, 1, 2 ** 32, 2 ** 36 - 6].map((index) => permutation.apply(index));
    expect(new Set(images).size).toBe(4);
    expect(images.every((image) => Number.isInteger(image) && image >= 0 && image < 2 ** 36 - 5)).toBe(true);
  });

  it('spreads the first thousand ranks evenly over the keys', () => {
    const permutation = new KeyPermutation(100_000);
    const cells = new Uint32Array(50);
    for (let rank = 0; rank < 1000; rank++) cells[Math.floor(permutation.apply(rank) / 2000)]++;
    expect(chiSquareDeviation(cells, new Float64Array(50).fill(1 / 50))).toBeLessThan(4);
  });

  it('refuses an empty key space', () => {
    expect(() => new KeyPermutation(0)).toThrow(WorkloadError);
  });
});
