import { describe, expect, it } from 'vitest';
import { HEADER_BYTES, LOG_ENTRY_BYTES } from '../layout/index.js';
import { poolByHand } from './by-hand.js';
import { checkObject, ObjectIs } from './object-check.js';

/** A context that looks for a key, and an object as a READ would have brought it. */
function fixture(key: Buffer, options: { objectKey?: Buffer; valueBytes?: number } = {}) {
  const { cx } = poolByHand({ clients: 1 }).clients[0];
  const { local } = cx.client;
  local.bytes.set(key, cx.keyAt);
  cx.keyBytes = key.length;
  const objectKey = options.objectKey ?? key;
  const valueBytes = options.valueBytes ?? 5;
  const at = cx.matchArea + 64;
  const lengths = objectKey.length + valueBytes * 65536;
  local.bytes.set(objectKey, at + HEADER_BYTES);
  local.bytes.fill(
    7,
    at + HEADER_BYTES + objectKey.length,
    at + HEADER_BYTES + objectKey.length + valueBytes,
  );
  local.words[at >>> 2] = lengths;
  local.words[(at >>> 2) + 1] = local.crc32c(at + HEADER_BYTES, objectKey.length + valueBytes, lengths);
  return { cx, at, bytes: local.bytes, check: (lines = 2) => checkObject(cx, at, lines) };
}

const KEY = Buffer.from('a key of nineteen.');

describe('an object that a READ brought', () => {
  it("is the key's when every byte of the key is, and then names its value", () => {
    for (let length = 1; length <= KEY.length; length++) {
      const { cx, at, check } = fixture(KEY.subarray(0, length), { valueBytes: 9 });
      expect(check()).toBe(ObjectIs.THE_KEYS);
      expect([cx.foundAt, cx.foundBytes]).toEqual([at + HEADER_BYTES + length, 9]);
    }
  });

  it("is another's when a single byte of the key differs, wherever it stands, or when one is missing", () => {
    for (let length = 1; length <= KEY.length; length++) {
      const key = KEY.subarray(0, length);
      for (let i = 0; i < length; i++) {
        const objectKey = Buffer.from(key);
        objectKey[i] ^= 0x10;
        expect([length, i, fixture(key, { objectKey }).check()]).toEqual([length, i, ObjectIs.ANOTHERS]);
      }
      if (length > 1) {
        expect(fixture(key, { objectKey: KEY.subarray(0, length - 1) }).check()).toBe(ObjectIs.ANOTHERS);
        expect(fixture(KEY.subarray(0, length - 1), { objectKey: key }).check()).toBe(ObjectIs.ANOTHERS);
      }
    }
  });

  it('is torn when any byte of lengths, checksum, key or value is wrong, and only then', () => {
    const { at, bytes, check } = fixture(KEY, { valueBytes: 11 });
    const used = HEADER_BYTES + KEY.length + 11;
    for (let i = 0; i < 128; i++) {
      bytes[at + i] ^= 1;
      expect([i, check()]).toEqual([i, i < used ? ObjectIs.TORN : ObjectIs.THE_KEYS]);
      bytes[at + i] ^= 1;
    }
  });

  it('is torn when its lengths leave no room for the log entry, whatever the checksum says', () => {
    const room = 128 - HEADER_BYTES - LOG_ENTRY_BYTES - KEY.length;
    expect(fixture(KEY, { valueBytes: room }).check()).toBe(ObjectIs.THE_KEYS);
    expect(fixture(KEY, { valueBytes: room + 1 }).check()).toBe(ObjectIs.TORN);
    expect(fixture(KEY, { valueBytes: room + 1 }).check(3)).toBe(ObjectIs.THE_KEYS);
  });
});
