import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkValue,
  checkWholeValue,
  fillValue,
  headBytes,
  readStamp,
  stampValue,
  ValueVerdict,
} from './values.js';

const GUARD = 0xee;

/** A stamped value at an offset of a buffer whose other bytes are guards. */
function valueAt(offset: number, lengthBytes: number, key: number, writer = 3, sequence = 9) {
  const bytes = new Uint8Array(offset + lengthBytes + 8).fill(GUARD);
  const view = new DataView(bytes.buffer);
  fillValue(view, offset, lengthBytes);
  stampValue(view, offset, lengthBytes, key, writer, sequence);
  return { bytes, view };
}

const lengths = [...Array.from({ length: 40 }, (_, i) => i + 1), 100, 256, 1000];

describe('values', () => {
  it('of every length and offset prove themselves, and write nothing around them', () => {
    for (const lengthBytes of lengths) {
      for (const offset of [0, 1, 2, 3, 4, 7]) {
        const { bytes, view } = valueAt(offset, lengthBytes, 2 ** 40 + 5);
        expect(checkValue(view, offset, lengthBytes, 2 ** 40 + 5)).toBe(ValueVerdict.FINE);
        expect(checkWholeValue(view, offset, lengthBytes, 2 ** 40 + 5)).toBe(ValueVerdict.FINE);
        expect(bytes.subarray(0, offset).every((byte) => byte === GUARD)).toBe(true);
        expect(bytes.subarray(offset + lengthBytes).every((byte) => byte === GUARD)).toBe(true);
      }
    }
  });

  it('can be stamped again over the same fill', () => {
    for (const lengthBytes of lengths) {
      const { view } = valueAt(1, lengthBytes, 5);
      stampValue(view, 1, lengthBytes, 6, 1, 2 ** 50);
      expect(checkWholeValue(view, 1, lengthBytes, 6)).toBe(ValueVerdict.FINE);
    }
  });

  it('say who wrote them, as far as their length carries it', () => {
    const read = (lengthBytes: number) =>
      readStamp(valueAt(1, lengthBytes, 2 ** 40 + 5, 2 ** 32 - 1, 2 ** 45 + 1).view, 1, lengthBytes);
    const whole = { keyNumber: 2 ** 40 + 5, writer: 2 ** 32 - 1, sequence: 2 ** 45 + 1 };
    expect(read(headBytes)).toMatchObject(whole);
    expect(read(1000)).toMatchObject(whole);
    expect(read(23)).toMatchObject({ ...whole, sequence: undefined });
    expect(read(12)).toMatchObject({ keyNumber: whole.keyNumber, writer: undefined, sequence: undefined });
    expect(read(11)).toMatchObject({ keyNumber: undefined, writer: undefined, sequence: undefined });
    expect(read(1).check).toBeLessThan(256);
  });

  it('round-trip every stamp', () => {
    const safe = fc.maxSafeInteger().map(Math.abs);
    fc.assert(
      fc.property(
        safe,
        fc.nat(2 ** 31 - 1),
        safe,
        fc.integer({ min: headBytes, max: 60 }),
        (key, writer, sequence, length) => {
          const { view } = valueAt(3, length, key, writer, sequence);
          expect(checkValue(view, 3, length, key)).toBe(ValueVerdict.FINE);
          expect(readStamp(view, 3, length)).toMatchObject({ keyNumber: key, writer, sequence });
        },
      ),
    );
  });
});

describe('checkValue', () => {
  it('tells a sound value of another key from one that is not sound', () => {
    for (const lengthBytes of [12, 16, 20, 24, 1000]) {
      expect(checkValue(valueAt(1, lengthBytes, 7).view, 1, lengthBytes, 8)).toBe(ValueVerdict.OTHER_KEY);
    }
    for (const lengthBytes of [4, 8, 11]) {
      expect(checkValue(valueAt(1, lengthBytes, 7).view, 1, lengthBytes, 8)).toBe(ValueVerdict.BAD_CHECK);
    }
  });

  it('notices another key in values of 1 to 3 bytes as often as their bits allow', () => {
    for (const lengthBytes of [1, 2, 3]) {
      const { view } = valueAt(0, lengthBytes, 0);
      let missed = 0;
      for (let key = 1; key <= 1000; key++) {
        if (checkValue(view, 0, lengthBytes, key) === ValueVerdict.FINE) missed++;
      }
      expect(missed).toBeLessThan(lengthBytes === 1 ? 15 : 2);
    }
  });

  it('notices every single flipped bit of the head', () => {
    for (const lengthBytes of [4, 8, 13, 23, 24, 64]) {
      const { bytes, view } = valueAt(1, lengthBytes, 77);
      const carried = Math.min(headBytes, lengthBytes & ~3);
      for (let bit = 0; bit < 8 * carried; bit++) {
        bytes[1 + (bit >> 3)] ^= 1 << (bit & 7);
        expect(checkValue(view, 1, lengthBytes, 77)).toBe(ValueVerdict.BAD_CHECK);
        bytes[1 + (bit >> 3)] ^= 1 << (bit & 7);
      }
      expect(checkValue(view, 1, lengthBytes, 77)).toBe(ValueVerdict.FINE);
    }
  });

  it('notices another length, zeros, and fill that nobody stamped', () => {
    const { view } = valueAt(0, 64, 5);
    expect(checkValue(view, 0, 63, 5)).toBe(ValueVerdict.BAD_CHECK);
    expect(checkValue(view, 0, 12, 5)).toBe(ValueVerdict.BAD_CHECK);
    expect(checkValue(new DataView(new ArrayBuffer(64)), 0, 64, 0)).toBe(ValueVerdict.BAD_CHECK);
    const unstamped = new DataView(new ArrayBuffer(64));
    fillValue(unstamped, 0, 64);
    expect(checkValue(unstamped, 0, 64, 0)).toBe(ValueVerdict.BAD_CHECK);
  });

  it('refuses lengths and offsets outside the view without throwing', () => {
    const { view } = valueAt(0, 64, 5);
    for (const [offset, length] of [
      [0, 0],
      [0, -1],
      [0, 73],
      [72, 1],
      [-1, 8],
      [0, Number.NaN],
    ]) {
      expect(checkValue(view, offset, length, 5)).toBe(ValueVerdict.BAD_LENGTH);
      expect(checkWholeValue(view, offset, length, 5)).toBe(ValueVerdict.BAD_LENGTH);
    }
  });
});

describe('checkWholeValue', () => {
  it('notices every single changed byte behind the head', () => {
    for (const lengthBytes of [5, 7, 11, 25, 200]) {
      const { bytes, view } = valueAt(1, lengthBytes, 77);
      for (let i = Math.min(headBytes, lengthBytes & ~3); i < lengthBytes; i++) {
        bytes[1 + i] ^= 0x10;
        expect(checkValue(view, 1, lengthBytes, 77)).toBe(ValueVerdict.FINE);
        expect(checkWholeValue(view, 1, lengthBytes, 77)).toBe(ValueVerdict.BAD_FILL);
        bytes[1 + i] ^= 0x10;
      }
    }
  });

  it('notices fill that is shifted by any distance', () => {
    for (let shift = 1; shift < 300; shift++) {
      const view = new DataView(new ArrayBuffer(1000));
      fillValue(view, 0, 1000);
      stampValue(view, shift, 100, 1, 1, 1);
      expect(checkWholeValue(view, shift, 100, 1)).toBe(ValueVerdict.BAD_FILL);
    }
  });

  it('reports a bad head as checkValue does', () => {
    expect(checkWholeValue(valueAt(0, 64, 1).view, 0, 64, 2)).toBe(ValueVerdict.OTHER_KEY);
  });
});
