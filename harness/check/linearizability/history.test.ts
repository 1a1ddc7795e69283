import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorruptionError, UsageError } from '../../../fusee/verbs/errors.js';
import { checkHistory } from './check.js';
import { History, NO_VALUE, Operation, Outcome } from './history.js';
import { decodeHistory, encodeHistory, mergeHistories, readHistory, writeHistory } from './history-file.js';
import { sortByTime } from './key-operations.js';
import { parseHistory } from './parse-history.js';
import { simulate } from './simulate.js';

describe('recording', () => {
  it('leaves an operation pending until it is completed', () => {
    const history = new History({ capacity: 1 });
    const row = history.begin(3, 4, Operation.INSERT, 5, 100);
    expect(history.outcome[row]).toBe(Outcome.PENDING);
    expect(history.responseNs[row]).toBe(Number.POSITIVE_INFINITY);
    history.complete(row, Outcome.OK, NO_VALUE, 200);
    expect(history.outcome[row]).toBe(Outcome.OK);
    expect(() => history.complete(row, Outcome.OK, NO_VALUE, 200)).toThrow(UsageError);
  });

  it('does not allocate within its capacity, and grows beyond', () => {
    const history = new History({ capacity: 2 });
    const columns = history.key;
    for (let i = 0; i < 2; i++) history.begin(0, i, Operation.DELETE, NO_VALUE, i);
    expect(history.key).toBe(columns);
    history.begin(0, 2, Operation.DELETE, NO_VALUE, 2);
    expect(history.capacity).toBe(4);
    expect([...history.key.subarray(0, 3)]).toEqual([0, 1, 2]);
    history.clear();
    expect(history.count).toBe(0);
  });

  it('refuses what cannot be', () => {
    const history = new History();
    expect(() => new History({ capacity: 0 })).toThrow(UsageError);
    expect(() => history.reserve(2 ** 28)).toThrow(UsageError);
    expect(() => history.begin(-1, 0, Operation.DELETE, NO_VALUE, 0)).toThrow(UsageError);
    expect(() => history.begin(0, 2 ** 32, Operation.DELETE, NO_VALUE, 0)).toThrow(UsageError);
    expect(() => history.begin(0, 0, Operation.DELETE, 1, 0)).toThrow(UsageError);
    expect(() => history.begin(0, 0, Operation.UPDATE, NO_VALUE, 0)).toThrow(UsageError);
    expect(() => history.begin(0, 0, 5 as Operation, NO_VALUE, 0)).toThrow(UsageError);
    expect(() => history.begin(0, 0, Operation.DELETE, NO_VALUE, Number.NaN)).toThrow(UsageError);
    for (const line of [
      '0-1 c0 SEARCH EXISTS',
      '0-1 c0 PUT(1) NOT_FOUND',
      '0-1 c0 SEARCH OK',
      '2-1 c0 DELETE OK',
    ]) {
      expect(() => parseHistory(line), line).toThrow(UsageError);
    }
    expect(() => parseHistory('what is this')).toThrow(UsageError);
    expect(history.count).toBe(0);
  });
});

describe('the bytes of a history', () => {
  const { history } = simulate({
    operations: 300,
    clients: 4,
    keys: 5,
    seed: 9,
    pending: 0.05,
    unavailable: 0.05,
  });

  it('give the same history back, from a buffer at any place and from a file', () => {
    const bytes = encodeHistory(history);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(encodeHistory(decodeHistory(shifted.subarray(1)))).toEqual(bytes);
    const directory = mkdtempSync(join(tmpdir(), 'history-'));
    try {
      writeHistory(join(directory, 'a.history'), history);
      expect(encodeHistory(readHistory(join(directory, 'a.history')))).toEqual(bytes);
    } finally {
      rmSync(directory, { recursive: true });
    }
    expect(decodeHistory(encodeHistory(new History())).count).toBe(0);
  });

  it('are refused when cut, lengthened, or of another kind', () => {
    const bytes = encodeHistory(history);
    for (const length of [0, 23, 24, bytes.length - 1]) {
      expect(() => decodeHistory(bytes.subarray(0, length)), String(length)).toThrow(CorruptionError);
    }
    expect(() => decodeHistory(Uint8Array.from([...bytes, 0]))).toThrow(CorruptionError);
    for (const at of [0, 8, 12, 16]) {
      const wrong = bytes.slice();
      wrong[at] ^= 0xff;
      expect(() => decodeHistory(wrong, { place: 'x.history' }), String(at)).toThrow(CorruptionError);
    }
  });

  it('are refused when a row cannot be', () => {
    const row = encodeHistory(parseHistory('5-10 c0 SEARCH OK(3)'));
    const change = (write: (view: DataView) => void): Uint8Array => {
      const copy = row.slice();
      write(new DataView(copy.buffer));
      return copy;
    };
    const wrong = [
      change((view) => view.setFloat64(24, 1, true)),
      change((view) => view.setFloat64(32, 0.5, true)),
      change((view) => view.setFloat64(40, Number.NaN, true)),
      change((view) => view.setFloat64(48, 4, true)),
      change((view) => view.setUint8(64, 9)),
      change((view) => view.setUint8(65, Outcome.EXISTS)),
      change((view) => view.setUint8(65, Outcome.PENDING)),
    ];
    for (const [i, bytes] of wrong.entries())
      expect(() => decodeHistory(bytes), String(i)).toThrow(CorruptionError);
  });
});

describe('merging', () => {
  it('brings histories of several processes to one clock', () => {
    const writer = parseHistory('0-10 c0 INSERT(2) OK\n20- c0 DELETE PENDING');
    const reader = parseHistory('1005-1015 c1 SEARCH OK(2)');
    const merged = mergeHistories([writer, reader], { clockOffsetNs: [0, -1000] });
    expect(merged.count).toBe(3);
    expect([...merged.invocationNs.subarray(0, 3)]).toEqual([0, 20, 5]);
    expect([...merged.responseNs.subarray(0, 3)]).toEqual([10, Number.POSITIVE_INFINITY, 15]);
    expect(checkHistory(merged).verdict).toBe('ok');
    expect(mergeHistories([]).count).toBe(0);
  });

  it('refuses offsets that do not match', () => {
    expect(() => mergeHistories([new History()], { clockOffsetNs: [] })).toThrow(UsageError);
    expect(() => mergeHistories([new History()], { clockOffsetNs: [Number.NaN] })).toThrow(UsageError);
  });
});

it('sorting by time is stable and right for any list', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(60), { maxLength: 300 }), (times) => {
      const indexes = Int32Array.from(times.keys());
      sortByTime(indexes, Float64Array.from(times), new Int32Array(times.length));
      expect([...indexes]).toEqual([...times.keys()].sort((a, b) => times[a] - times[b] || a - b));
    }),
  );
});
