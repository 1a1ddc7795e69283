import { describe, expect, it } from 'vitest';
import { bruteForce } from './brute-force.js';
import { checkHistory } from './check.js';
import { explain } from './explain.js';
import { History, NO_VALUE, Operation, Outcome, writesValue } from './history.js';
import { FINAL_READ } from './key-operations.js';
import { mutateAny } from './mutate.js';
import { parseHistory } from './parse-history.js';
import { Random } from './random.js';
import { simulate } from './simulate.js';
import type { Violation } from './violation.js';

const LOOKS_ONLY: readonly number[] = [Outcome.NOT_FOUND, Outcome.EXISTS];
const MAYBE: readonly number[] = [Outcome.PENDING, Outcome.UNAVAILABLE];

/** What was known at `timeNs`: what responded later is pending, or left out when it only looked. */
function knownAt(history: History, timeNs: number, isIncluded: (responseNs: number) => boolean): History {
  const known = new History({ capacity: 16 });
  for (let i = 0; i < history.count; i++) {
    if (history.invocationNs[i] > timeNs) continue;
    const hasResponded = isIncluded(history.responseNs[i]);
    if (!hasResponded && LOOKS_ONLY.includes(history.outcome[i])) continue;
    known.append({
      client: history.client[i],
      key: history.key[i],
      operation: history.operation[i] as Operation,
      outcome: hasResponded ? (history.outcome[i] as Outcome) : Outcome.PENDING,
      valueWritten: history.valueWritten[i],
      valueRead: hasResponded ? history.valueRead[i] : NO_VALUE,
      invocationNs: history.invocationNs[i],
      responseNs: history.responseNs[i],
    });
  }
  return known;
}

/** Whether the linearization respects real time and the meaning of each operation. */
function isValid(history: History, { initial, linearization }: Violation): boolean {
  let state = initial;
  for (const [at, row] of linearization.entries()) {
    const isLate = linearization
      .slice(at + 1)
      .some(
        (later) =>
          !MAYBE.includes(history.outcome[later]) && history.responseNs[later] < history.invocationNs[row],
      );
    if (isLate) return false;
    const exists = state !== NO_VALUE;
    const outcome = history.outcome[row];
    const operation = history.operation[row];
    const needsAbsent =
      outcome === Outcome.NOT_FOUND || (operation === Operation.INSERT && outcome !== Outcome.EXISTS);
    if (operation !== Operation.PUT && exists === needsAbsent) return false;
    if (operation === Operation.SEARCH && exists && state !== history.valueRead[row]) return false;
    if (outcome === Outcome.NOT_FOUND || outcome === Outcome.EXISTS) continue;
    if (writesValue(operation)) state = history.valueWritten[row];
    if (operation === Operation.DELETE) state = NO_VALUE;
  }
  return true;
}

it('a violation names the earliest response that cannot be, and a linearization of what came before', () => {
  let located = 0;
  for (let seed = 0; seed < 3000; seed++) {
    const random = new Random(seed);
    const options = {
      operations: 7,
      clients: 3,
      keys: 1,
      seed,
      mix: [5, 2, 3, 2, 1],
      unavailable: 0.1,
    } as const;
    const history = mutateAny(simulate({ ...options, values: seed % 2 ? 0 : 3 }).history, random);
    const { violation } = checkHistory(history);
    if (violation === undefined) continue;
    located++;
    const story = `seed ${seed}\n${explain(history, { ...checkHistory(history), violation })}`;
    const timeNs = history.responseNs[violation.unplaced];
    expect(isValid(history, violation), story).toBe(true);
    expect(bruteForce(knownAt(history, timeNs, (responseNs) => responseNs < timeNs)), story).toBe(true);
    expect(bruteForce(knownAt(history, timeNs, (responseNs) => responseNs <= timeNs)), story).toBe(false);
  }
  expect(located).toBeGreaterThan(500);
}, 60_000);

it('a contradiction with the read-back is charged to the read-back', () => {
  const history = parseHistory('0-10 c0 INSERT(2) OK\n20-30 c1 SEARCH OK(2)');
  const result = checkHistory(history, { final: new Map([[0, NO_VALUE]]) });
  expect(result.violation).toMatchObject({ unplaced: FINAL_READ, prefixCount: 2, linearization: [0, 1] });
  expect(explain(history, result)).toContain('nothing explains the final contents of key 0');
});

it('the last operations of a long history are located', () => {
  const { history, initial } = simulate({
    operations: 20_000,
    clients: 4,
    keys: 1,
    seed: 3,
    loaded: true,
    mix: [1, 0, 1, 0, 0],
  });
  const timeNs = history.responseNs.slice(0, history.count).reduce((a, b) => Math.max(a, b)) + 1;
  const row = history.begin(9, 0, Operation.SEARCH, NO_VALUE, timeNs);
  history.complete(row, Outcome.NOT_FOUND, NO_VALUE, timeNs + 1);
  const { violation } = checkHistory(history, { initial });
  expect(violation).toMatchObject({ unplaced: row, prefixCount: 20_000 });
  expect(violation?.linearization.length).toBe(20_000);
}, 60_000);

describe('explain', () => {
  it('draws the prefix and what cannot be placed', () => {
    const history = parseHistory(`
      0-100 c0 UPDATE(2) OK
      5- c3 DELETE PENDING
      10-20 c1 SEARCH OK(2)
      30-40 c2 SEARCH OK(1)`);
    const result = checkHistory(history, { initial: new Map([[0, 1]]) });
    expect(explain(history, result).split('\n')).toEqual([
      'not linearizable: key 0',
      'initially value 1; the first 1 responses can be explained, and then the key holds value 2;',
      'but nothing explains SEARCH OK(1) of client 2 (operation 3, 30 to 40 ns)',
      '  1  client 0  UPDATE(2) OK    [=====]',
      '  ?  client 3  DELETE PENDING   [=====>',
      '  2  client 1  SEARCH OK(2)      []',
      '  !  client 2  SEARCH OK(1)        []',
      'left: place in the linearization, "!" cannot be placed, "?" left out (was still open)',
    ]);
  });

  it('hides what is long past but shows who wrote the value that was read', () => {
    const history = new History();
    for (let i = 0; i < 100; i++) {
      const times = { invocationNs: 10 * i, responseNs: 10 * i + 5 };
      history.append({
        client: 0,
        key: 7,
        operation: Operation.PUT,
        outcome: Outcome.OK,
        valueWritten: i,
        ...times,
      });
    }
    const stale = { operation: Operation.SEARCH, outcome: Outcome.OK, valueRead: 3 } as const;
    history.append({ client: 1, key: 7, ...stale, invocationNs: 2000, responseNs: 2001 });
    const lines = explain(history, checkHistory(history), { rowCountMax: 5 }).split('\n');
    expect(lines[0]).toBe('not linearizable: key 7');
    expect(lines[3]).toBe('(94 earlier operations not shown)');
    expect(lines[4]).toContain('PUT(3) OK');
    expect(lines).toHaveLength(4 + 7 + 1);
  });

  it('says so when all is well', () => {
    const history = parseHistory('0-1 c0 INSERT(1) OK');
    expect(explain(history, checkHistory(history))).toBe('linearizable: 1 operations on 1 keys, 0 states');
  });
});
