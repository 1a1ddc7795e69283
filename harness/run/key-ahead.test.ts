import { describe, expect, it } from 'vitest';
import { KeyTable, type RequestStream, TraceKeys } from '../../workloads/index.js';
import { KeyAhead } from './key-ahead.js';

const stream = (keys: readonly number[], fromLatest: readonly number[] = []): RequestStream => ({
  length: keys.length,
  kinds: new Uint8Array(keys.length),
  keys: Float64Array.from(keys),
  fromLatest: Uint8Array.from({ length: keys.length }, (_, i) => fromLatest[i] ?? 0),
  valueBytes: 8,
  hash: '',
});

/** The name that comes for a request: its bytes, or null when the caller must copy it. */
function copied(ahead: KeyAhead, coroutine: number, position: number): string | null {
  const words = new Uint32Array(16).fill(0xeeeeeeee);
  const lengthBytes = ahead.copy(coroutine, position, words, 3);
  expect([words[2], words[3 + Math.ceil(lengthBytes / 4)]]).toEqual([0xeeeeeeee, 0xeeeeeeee]);
  return lengthBytes === 0 ? null : Buffer.from(words.buffer, 12, lengthBytes).toString('latin1');
}

describe('names copied ahead', () => {
  it('are those of the requests, whatever the lengths of the streams', () => {
    const keys = new KeyTable({
      recordCount: 500,
      clientIndex: 0,
      coroutineCount: 0,
      insertsPerCoroutine: 0,
    });
    const name = (row: number): string =>
      Buffer.from(keys.bytes.subarray(row * 24, row * 24 + keys.lengths[row])).toString('latin1');
    const streams = [1, 31, 32, 33, 100].map((length, s) =>
      stream(Array.from({ length }, (_, i) => (i * 37 + s * 101) % 500)),
    );
    const ahead = new KeyAhead(keys, streams);
    for (let position = 0; position < 100; position++)
      streams.forEach((s, coroutine) => {
        if (position < s.length) expect(copied(ahead, coroutine, position)).toBe(name(s.keys[position]));
      });
  });

  it('leave out what is long, not in the table, or chosen when its request begins', () => {
    const keys = new TraceKeys();
    const intern = (text: string): number => keys.intern(Buffer.from(text), 0, text.length);
    const numbers = ['short', 'x'.repeat(32), 'x'.repeat(33), 'short'].map(intern);
    const ahead = new KeyAhead(keys, [stream([...numbers, 77], [0, 0, 0, 1, 0])]);
    const names = [0, 1, 2, 3, 4].map((position) => copied(ahead, 0, position));
    expect(names).toEqual(['short', 'x'.repeat(32), null, null, null]);
  });
});
