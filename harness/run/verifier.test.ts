import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { strideOf } from '../../workloads/index.js';
import { History, NO_VALUE, Operation, Outcome, writeHistory } from '../check/linearizability/index.js';
import { historyKey, valueId } from './history-source.js';
import { describeVerification, verifyHistories } from './verifier.js';

const folder = mkdtempSync(join(tmpdir(), 'fusee-verifier-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Two clients: one inserts and updates a key, the other then reads `read`. */
function histories(read: number): string[] {
  const writer = new History();
  const first = writer.begin(1, 7, Operation.INSERT, valueId(1, 1), 0);
  writer.complete(first, Outcome.OK, NO_VALUE, 10);
  const second = writer.begin(1, 7, Operation.UPDATE, valueId(1, 2), 20);
  writer.complete(second, Outcome.OK, NO_VALUE, 30);
  const reader = new History();
  const row = reader.begin(2, 7, Operation.SEARCH, NO_VALUE, 40);
  reader.complete(row, Outcome.OK, read, 50);
  return [writer, reader].map((history, i) => {
    const path = join(folder, `${read}-${i}.history`);
    writeHistory(path, history);
    return path;
  });
}

describe('histories of several processes', () => {
  it('are linearizable together when a reader sees the latest value', () => {
    const verification = verifyHistories(histories(valueId(1, 2)));
    expect(verification).toMatchObject({ isLinearizable: true, operations: 3, keys: 1, explanation: null });
    expect(describeVerification(verification)).toContain('linearizable (3 operations on 1 keys');
  });

  it('are not when it sees an older one, and the explanation says where', () => {
    const verification = verifyHistories(histories(valueId(1, 1)));
    expect(verification.isLinearizable).toBe(false);
    expect(verification.explanation).toContain('SEARCH');
    expect(describeVerification(verification)).toBe('NOT LINEARIZABLE');
  });
});

describe('the key of a history', () => {
  it('is the same in every client, and no two keys share one', () => {
    const space = { records: 1000, perStride: 50 };
    const seen = new Set<number>();
    for (let key = 0; key < 1000; key++) seen.add(historyKey(key, space));
    for (let clientIndex = 0; clientIndex < 3; clientIndex++) {
      for (let coroutine = 0; coroutine < 4; coroutine++) {
        const { first } = strideOf({ recordCount: 1000, clientIndex, coroutine });
        for (let i = 0; i < 50; i++) seen.add(historyKey(first + i, space));
      }
    }
    expect(seen.size).toBe(1000 + 3 * 4 * 50);
    expect(Math.max(...seen)).toBeLessThan(2 ** 32);
  });
});
