import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32cOver } from './crc32c.js';

/** Bit by bit, as the polynomial is defined: shares nothing with the tables. */
function crcByDefinition(bytes: Uint8Array): number {
  let c = 0xffff_ffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  }
  return ~c >>> 0;
}

it('gives the check value of the standard', () => {
  const text = new TextEncoder().encode('123456789');
  expect(crc32cOver(text.buffer)(0, 9, 0)).toBe(0xe3069283);
});

it('agrees with the definition at every alignment and length, and continues from a seed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(16), fc.nat(300), (data, shift, cutAt) => {
      const memory = new Uint8Array(320);
      memory.set(data, shift);
      const crc = crc32cOver(memory.buffer);
      const cut = Math.min(cutAt, data.length);
      expect(crc(shift, data.length, 0)).toBe(crcByDefinition(data));
      expect(crc(shift + cut, data.length - cut, crc(shift, cut, 0))).toBe(crcByDefinition(data));
    }),
  );
});
