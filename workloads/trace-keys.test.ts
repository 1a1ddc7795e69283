import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { TraceKeys, traceKeyBytesMax } from './trace-keys.js';

describe('TraceKeys', () => {
  it('numbers keys by first appearance and finds each again', () => {
    const keys = new TraceKeys();
    const number = (name: string) => keys.intern(Buffer.from(`<${name}>`), 1, 1 + name.length);
    expect([number('b'), number('abc'), number('b'), number('abcd'), number('abc')]).toEqual([0, 1, 0, 2, 1]);
    expect(keys.rowCount).toBe(3);
    expect([0, 1, 2].map((row) => keys.nameOf(row))).toEqual(['b', 'abc', 'abcd']);
    expect([keys.rowOf(2), keys.rowOf(3), keys.rowOf(-1)]).toEqual([2, -1, -1]);
  });

  it('agrees with a Map for any bytes, through all growth', () => {
    const names = fc.array(fc.uint8Array({ minLength: 1, maxLength: 12 }), {
      maxLength: 3000,
      minLength: 1500,
    });
    fc.assert(
      fc.property(names, (list) => {
        const keys = new TraceKeys();
        const expected = new Map<string, number>();
        for (const name of list) {
          const text = Buffer.from(name).toString('latin1');
          if (!expected.has(text)) expected.set(text, expected.size);
          expect(keys.intern(name, 0, name.length)).toBe(expected.get(text));
        }
        for (const [text, row] of expected) expect(keys.nameOf(row)).toBe(text);
        return keys.rowCount === expected.size;
      }),
      { numRuns: 5 },
    );
  });

  it('keeps every key on a whole word, readable through words, zeros behind it', () => {
    const keys = new TraceKeys();
    for (let i = 0; i < 5000; i++) {
      const name = Buffer.from(`key-${i * 7919}`);
      keys.intern(name, 0, name.length);
    }
    const row = 4321;
    const name = `key-${row * 7919}`;
    const words = keys.words.slice(
      keys.wordOffsetOf(row),
      keys.wordOffsetOf(row) + Math.ceil(name.length / 4),
    );
    const bytes = Buffer.from(words.buffer);
    expect(bytes.toString('latin1').replace(/\0+$/, '')).toBe(name);
    expect(keys.lengths[row]).toBe(name.length);
    expect(keys.wordOffsetOf(row + 1)).toBe(keys.wordOffsetOf(row) + words.length);
  });

  it('takes a key of the longest length and refuses one byte more', () => {
    const keys = new TraceKeys();
    const long = Buffer.alloc(traceKeyBytesMax + 1, 'k');
    expect(keys.intern(long, 0, traceKeyBytesMax)).toBe(0);
    expect(keys.lengths[0]).toBe(traceKeyBytesMax);
    expect(() => keys.intern(long, 0, traceKeyBytesMax + 1)).toThrow(WorkloadError);
  });
});
