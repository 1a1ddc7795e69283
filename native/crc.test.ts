import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32cOver } from '../fusee/fabric/crc32c.js';
import { native } from './index.js';

it('gives the check value of the standard, by either way', () => {
  const text = new TextEncoder().encode('123456789');
  expect(native().crc32c(text, 0, false)).toBe(0xe3069283);
  expect(native().crc32c(text, 0, true)).toBe(0xe3069283);
});

it('agrees with plain TypeScript at every length, alignment and seed', () => {
  const memory = new Uint8Array(20_000).map((_, i) => (i * 2654435761) >>> 13);
  const twin = crc32cOver(memory.buffer);
  const length = fc.oneof(fc.nat(200), fc.nat(1100), fc.nat(19_900));
  fc.assert(
    fc.property(fc.nat(80), length, fc.nat(0xffff_ffff), (offset, bytes, seed) => {
      const part = memory.subarray(offset, offset + bytes);
      const expected = twin(offset, bytes, seed);
      expect(native().crc32c(part, seed, false)).toBe(expected);
      expect(native().crc32c(part, seed, true)).toBe(expected);
    }),
    { numRuns: 500 },
  );
  for (let bytes = 0; bytes < 1200; bytes++) {
    expect(native().crc32c(memory.subarray(0, bytes), 0, false)).toBe(twin(0, bytes, 0));
  }
});
