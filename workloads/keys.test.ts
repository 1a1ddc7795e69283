import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { clientKeyCount, strideKeyCount, strideOf } from './key-space.js';
import { KeyTable, keyName, keyRowCountMax, keyStrideBytes, keyStrideWords, writeKey } from './keys.js';

const options = { recordCount: 100, clientIndex: 2, coroutineCount: 3, insertsPerCoroutine: 10 };

/** Copies a key as a driver does, word by word, and reads it back as text. */
function copied(table: KeyTable, row: number): string {
  const words = new Uint32Array(keyStrideWords);
  const at = table.wordOffsetOf(row);
  for (let i = 0; i < keyStrideWords; i++) words[i] = table.words[at + i];
  return String.fromCharCode(...new Uint8Array(words.buffer).subarray(0, table.lengths[row]));
}

describe('key names', () => {
  it('are user and the absolute hash in decimal, as YCSB has them', () => {
    expect(keyName(0)).toBe('user6284781860667377211');
    expect(keyName(1)).toBe('user8517097267634966620');
    expect(keyName(42)).toBe('user55488592825689361');
  });

  it('are written at any offset and touch no byte before it or behind their room', () => {
    const bytes = new Uint8Array(40).fill(0xee);
    const length = writeKey(42, bytes, 7);
    expect(length).toBe(21);
    expect(bytes[6]).toBe(0xee);
    expect(bytes[7 + length]).toBe(0xee);
    expect(String.fromCharCode(...bytes.subarray(7, 7 + length))).toBe('user55488592825689361');
  });
});

describe('KeyTable', () => {
  it("holds the loaded keys and its client's strides, each name in words, zeros behind it", () => {
    const table = new KeyTable(options);
    expect(table.rowCount).toBe(130);
    expect(table.bytes.byteOffset % 4).toBe(0);
    for (let key = 0; key < 100; key++) expect(copied(table, table.rowOf(key))).toBe(keyName(key));
    for (let coroutine = 0; coroutine < 3; coroutine++) {
      const { first } = strideOf({ ...options, coroutine });
      for (let i = 0; i < 10; i++) {
        const row = table.rowOf(first + i);
        expect(copied(table, row)).toBe(keyName(first + i));
        const end = (row + 1) * keyStrideBytes;
        const rest = table.bytes.subarray(row * keyStrideBytes + table.lengths[row], end);
        expect(rest.every((byte) => byte === 0)).toBe(true);
      }
    }
  });

  it('gives every key a row of its own', () => {
    const table = new KeyTable(options);
    const rows = new Set<number>();
    for (let key = 0; key < 100; key++) rows.add(table.rowOf(key));
    for (let coroutine = 0; coroutine < 3; coroutine++) {
      const { first } = strideOf({ ...options, coroutine });
      for (let i = 0; i < 10; i++) rows.add(table.rowOf(first + i));
    }
    expect([...rows].sort((a, b) => a - b)).toEqual(Array.from({ length: 130 }, (_, i) => i));
  });

  it('says -1 for keys it does not hold', () => {
    const table = new KeyTable(options);
    const mine = strideOf({ ...options, coroutine: 0 }).first;
    const foreign = [100, mine - 1, mine + 10, mine + strideKeyCount - 1, mine + 3 * strideKeyCount];
    for (const key of [...foreign, mine + clientKeyCount, 2 ** 52]) expect(table.rowOf(key)).toBe(-1);
  });

  it('can hold the loaded keys alone, or none', () => {
    expect(
      new KeyTable({ ...options, coroutineCount: 0 }).rowOf(strideOf({ ...options, coroutine: 0 }).first),
    ).toBe(-1);
    expect(new KeyTable({ ...options, recordCount: 0 }).rowCount).toBe(30);
  });

  it('refuses more rows than its limit, and counts out of range', () => {
    expect(() => new KeyTable({ ...options, recordCount: keyRowCountMax })).toThrow(
      `limit of ${keyRowCountMax}`,
    );
    expect(() => new KeyTable({ ...options, recordCount: -1 })).toThrow(WorkloadError);
    expect(() => new KeyTable({ ...options, coroutineCount: 65 })).toThrow('coroutine count is 65');
    expect(() => new KeyTable({ ...options, insertsPerCoroutine: strideKeyCount + 1 })).toThrow(
      WorkloadError,
    );
    expect(() => new KeyTable({ ...options, clientIndex: -1 })).toThrow(WorkloadError);
  });
});
