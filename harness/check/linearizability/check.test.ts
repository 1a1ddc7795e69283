import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../fusee/verbs/errors.js';
import { bruteForce } from './brute-force.js';
import { checkHistory } from './check.js';
import { explain } from './explain.js';
import { History, NO_VALUE, Operation, Outcome } from './history.js';
import { KNOWN_HISTORIES } from './known-histories.js';
import { parseHistory } from './parse-history.js';
import { simulate } from './simulate.js';

describe('histories with a known verdict', () => {
  for (const known of KNOWN_HISTORIES) {
    it(`${known.linearizable ? 'accepts' : 'rejects'}: ${known.name}`, () => {
      const history = parseHistory(known.history);
      const result = checkHistory(history, known);
      expect(result.verdict, explain(history, result)).toBe(known.linearizable ? 'ok' : 'violation');
      expect(bruteForce(history, known)).toBe(known.linearizable);
    });
  }
});

describe('a budget', () => {
  // Two values written again and again by all clients, so that no value tells its writer.
  const { history } = simulate({ operations: 400, clients: 12, keys: 3, values: 2, seed: 1, pause: 0 });

  it('of states that runs out gives unknown and names the keys', () => {
    const result = checkHistory(history, { stateCountMax: 10 });
    expect(result.verdict).toBe('unknown');
    expect(result.unknownKeys).toEqual([0, 1, 2]);
    expect(explain(history, result)).toContain('3 keys were decided: 0, 1, 2');
  });

  it('of time that runs out gives unknown', () => {
    const hot = simulate({ operations: 20_000, clients: 12, keys: 1, values: 2, seed: 1, pause: 0 });
    expect(checkHistory(hot.history, { timeMsMax: 0.001 }).verdict).toBe('unknown');
  });

  it('that runs out on one key does not hide the violation of another', () => {
    const row = history.begin(0, 9, Operation.DELETE, NO_VALUE, 0);
    history.complete(row, Outcome.OK, NO_VALUE, 1);
    const result = checkHistory(history, { stateCountMax: 10 });
    history.count--;
    expect(result.verdict).toBe('violation');
    expect(result.violation?.key).toBe(9);
    expect(result.unknownKeys).toEqual([0, 1, 2]);
  });

  it('that suffices gives ok', () => {
    expect(checkHistory(history).verdict).toBe('ok');
  });
});

describe('the search stays small', () => {
  it('with 500 UPDATEs of one key all open at once', () => {
    const history = new History();
    for (let client = 0; client < 500; client++) {
      history.append({
        client,
        key: 0,
        operation: Operation.UPDATE,
        outcome: Outcome.OK,
        valueWritten: client,
        invocationNs: 0,
        responseNs: 1000 + client,
      });
    }
    const result = checkHistory(history, { initial: new Map([[0, 1000]]), final: new Map([[0, 77]]) });
    expect(result.verdict).toBe('ok');
    expect(result.stateCount).toBeLessThan(5000);
  });

  it('with 100 open UPDATEs whose order is read, and finds the one read twice', () => {
    const history = new History();
    const read = (value: number, timeNs: number): void => {
      const times = { invocationNs: timeNs, responseNs: timeNs + 1 };
      const search = { operation: Operation.SEARCH, outcome: Outcome.OK, valueRead: value } as const;
      history.append({ client: 100, key: 0, ...search, ...times });
    };
    for (let client = 0; client < 100; client++) {
      const times = { invocationNs: 0, responseNs: 1000 };
      const put = { operation: Operation.UPDATE, outcome: Outcome.OK, valueWritten: client } as const;
      history.append({ client, key: 0, ...put, ...times });
    }
    for (let i = 0; i < 100; i++) read((i * 37) % 100, 10 + 2 * i);
    const initial = new Map([[0, 1000]]);
    expect(checkHistory(history, { initial }).verdict).toBe('ok');
    read(37, 500);
    expect(checkHistory(history, { initial }).violation?.unplaced).toBe(history.count - 1);
  });

  it('with 300 operations that never answered, open over all cuts', () => {
    const operations = [Operation.INSERT, Operation.UPDATE, Operation.DELETE];
    const history = new History();
    for (let i = 0; i < 300; i++) {
      history.append({
        client: i,
        key: 0,
        operation: operations[i % 3],
        outcome: Outcome.PENDING,
        valueWritten: i % 3 === 2 ? undefined : i,
        invocationNs: i,
      });
    }
    for (let i = 0; i < 50; i++) {
      const key = { client: 999, key: 0, operation: Operation.SEARCH } as const;
      const times = { invocationNs: 1000 + 2 * i, responseNs: 1001 + 2 * i };
      history.append({
        ...key,
        outcome: i % 2 ? Outcome.NOT_FOUND : Outcome.OK,
        valueRead: i % 2 ? undefined : 3 * i,
        ...times,
      });
    }
    expect(checkHistory(history, { stateCountMax: 200_000 }).verdict).toBe('ok');
  });

  it('with a hot key, 64 clients and every request of the paper', () => {
    const options = {
      operations: 20_000,
      clients: 64,
      keys: 1,
      seed: 5,
      mix: [5, 2, 5, 2, 0],
      pause: 0,
    } as const;
    const { history, final } = simulate(options);
    expect(checkHistory(history, { final }).verdict).toBe('ok');
  }, 60_000);
});

it('options out of range are refused', () => {
  const history = new History();
  expect(() => checkHistory(history, { clockBoundNs: -1 })).toThrow(UsageError);
  expect(() => checkHistory(history, { stateCountMax: 0 })).toThrow(UsageError);
  expect(() => checkHistory(history, { timeMsMax: Number.NaN })).toThrow(UsageError);
});
