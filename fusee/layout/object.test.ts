import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { word } from '../verbs/index.js';
import {
  getPointer,
  getWord,
  HEADER_BYTES,
  LINE_BYTES,
  LOG_COMMIT_BYTES,
  LOG_ENTRY_BYTES,
  LogField,
  LogOperation,
  MAX_LINES,
  MAX_PAYLOAD_BYTES,
  objectLines,
  oldValueCrc,
  putPointer,
  putWord,
  readOldValue,
  stageOldValue,
} from './object.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const words = fc.tuple(u32, u32).map(([hi, lo]) => word(hi, lo));

/** CRC-8 by its definition, polynomial x^8 + x^2 + x + 1, started at 0xff: shares nothing with the table. */
function crc8(bytes: Uint8Array): number {
  let c = 0xff;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const top = (c >>> 7) ^ ((byte >>> bit) & 1);
      c = ((c << 1) & 0xff) ^ (top ? 0x07 : 0);
    }
  }
  return c;
}

describe('an object', () => {
  it('has its fields where every program reads them', () => {
    expect(LogField).toEqual({ NEXT: -22, PREV: -16, OLD_VALUE: -10, OLD_VALUE_CRC: -2, OPERATION: -1 });
    expect(LogOperation).toEqual({ INSERT: 1, UPDATE: 2, DELETE: 3 });
    expect([HEADER_BYTES, LOG_ENTRY_BYTES, LOG_COMMIT_BYTES, LINE_BYTES, MAX_LINES]).toEqual([
      8, 22, 9, 64, 255,
    ]);
    expect(MAX_PAYLOAD_BYTES).toBe(255 * 64 - 30);
  });

  it.each([
    [1, 0, 1],
    [1, 33, 1],
    [34, 0, 1],
    [1, 34, 2],
    [35, 0, 2],
    [64, 34, 2],
    [64, 35, 3],
    [8, MAX_PAYLOAD_BYTES - 8, 255],
    [8, MAX_PAYLOAD_BYTES - 7, 256],
  ])('with a key of %i and a value of %i bytes takes %i lines', (keyBytes, valueBytes, lines) => {
    expect(objectLines(keyBytes, valueBytes)).toBe(lines);
  });

  it('never takes a line more than header, key, value and log entry need', () => {
    for (let payload = 1; payload <= MAX_PAYLOAD_BYTES; payload++) {
      const lines = objectLines(1, payload - 1);
      const needed = payload + 30;
      if (lines * 64 < needed || (lines - 1) * 64 >= needed) expect({ payload, lines }).toBe('tight');
    }
  });
});

describe('a log entry', () => {
  it('round-trips every 48-bit pointer, least significant byte first, and touches no other byte', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeNat().map((n) => n % 2 ** 48),
          fc.constantFrom(0xffffff, 0x1000000, 2 ** 48 - 1),
        ),
        (pointer) => {
          const bytes = new Uint8Array(10).fill(0xee);
          putPointer(bytes, 2, pointer);
          expect(getPointer(bytes, 2)).toBe(pointer);
          const expected = Array.from({ length: 6 }, (_, i) => Math.floor(pointer / 2 ** (8 * i)) % 256);
          expect([...bytes]).toEqual([0xee, 0xee, ...expected, 0xee, 0xee]);
        },
      ),
    );
  });

  it('round-trips every word at any alignment', () => {
    fc.assert(
      fc.property(words, fc.nat(7), (w, at) => {
        const bytes = new Uint8Array(17).fill(0xee);
        putWord(bytes, at, w);
        expect(getWord(bytes, at, word())).toEqual(w);
        const view = new DataView(bytes.buffer);
        expect([view.getUint32(at, true), view.getUint32(at + 4, true)]).toEqual([w.lo, w.hi]);
        expect([...bytes].filter((b, i) => (i < at || i >= at + 8) && b !== 0xee)).toEqual([]);
      }),
    );
  });

  it('guards the old value with CRC-8 as it is defined, over low half then high half, 0 excepted', () => {
    fc.assert(
      fc.property(words, (w) => {
        const bytes = new Uint8Array(8);
        putWord(bytes, 0, w);
        expect(oldValueCrc(w)).toBe(crc8(bytes) || 0xff);
      }),
    );
  });

  it('of zeroes is incomplete, and an old value of zero is not', () => {
    const bytes = new Uint8Array(64);
    const w = word(1, 1);
    expect(readOldValue(bytes, 64, w)).toBe(false);
    stageOldValue(bytes, 64, word());
    expect(readOldValue(bytes, 64, w)).toBe(true);
    expect(w).toEqual(word());
    expect(bytes[62]).not.toBe(0);
  });

  it('is written by a commit of 9 bytes that leaves pointers, operation and used bit alone', () => {
    const bytes = new Uint8Array(64).fill(0xee);
    stageOldValue(bytes, 64, word(0x01020304, 0x05060708));
    expect([...bytes.subarray(54, 62)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
    expect([...bytes].filter((b, i) => (i < 54 || i > 62) && b !== 0xee)).toEqual([]);
    const into = word();
    expect(readOldValue(bytes, 64, into)).toBe(true);
    expect(into).toEqual(word(0x01020304, 0x05060708));
  });

  it('tells any single changed byte of a commit', () => {
    fc.assert(
      fc.property(words, fc.nat(8), fc.integer({ min: 1, max: 255 }), (w, at, flip) => {
        const bytes = new Uint8Array(64);
        stageOldValue(bytes, 64, w);
        bytes[54 + at] ^= flip;
        // Since no check is 0, old values of two checks share one.
        fc.pre(at === 8 || ![0, 0xff].includes(crc8(bytes.subarray(54, 62))));
        expect(readOldValue(bytes, 64, word())).toBe(false);
      }),
    );
  });

  it('is incomplete while the last byte of its commit has not landed, whatever has of the old value', () => {
    // All that the first of the two words of memory may hold, of which a commit is part.
    for (let low = 0; low < 65_536; low++) {
      const bytes = new Uint8Array(64);
      bytes.set([low, low >>> 8], 54);
      if (readOldValue(bytes, 64, word())) expect(low).toBe('incomplete');
    }
    fc.assert(
      fc.property(words, fc.nat(8), (w, landed) => {
        const whole = new Uint8Array(64);
        stageOldValue(whole, 64, w);
        const bytes = new Uint8Array(64);
        bytes.set(whole.subarray(54, 54 + landed), 54);
        expect(readOldValue(bytes, 64, word())).toBe(false);
      }),
    );
  });
});
