/** Crash runs: what they hold, what they count, and that they would tell. */
import { describe, expect, it, vi } from 'vitest';
import {
  History,
  NO_VALUE,
  Operation,
  type OperationRecord,
  Outcome,
} from '../check/linearizability/index.js';
import { formatCrashRuns } from '../cli/verify-crashes.js';
import { ANSWER_BOUND_NS, crashPlanOf } from './crash-plan.js';
import { formatFailure, runPlan } from './index.js';
import { lostWrites } from './lost-writes.js';
import { replayOf } from './profile.js';
import { STALE_ENTRY, TORN_COMMIT, UNDO_RESUMED } from './stored-plans.js';
import { verifySeeds } from './verify.js';
import { addSum, emptySum, runSeeds } from './worker.js';

vi.setConfig({ testTimeout: 180_000 });

describe('a crash run', () => {
  it('is of r = 2 or 3, and somebody dies in it, and a replica of everything is left', () => {
    const kinds = { clients: 0, nodes: 0, both: 0 };
    for (let seed = 0; seed < 300; seed++) {
      const { pool, crashes, nodeCrashes, cuts, boundNs } = crashPlanOf(seed);
      const replicas = [pool.indexReplicas, pool.dataReplicas];
      expect([2, 3]).toEqual(expect.arrayContaining(replicas));
      expect(crashes + nodeCrashes).toBeGreaterThan(0);
      expect(nodeCrashes).toBeLessThan(Math.min(...replicas));
      expect([cuts, boundNs]).toEqual([0, ANSWER_BOUND_NS]);
      kinds[nodeCrashes === 0 ? 'clients' : crashes === 0 ? 'nodes' : 'both']++;
    }
    for (const count of Object.values(kinds)) expect(count).toBeGreaterThan(60);
  });

  it('loses nothing, leaks nothing, and answers within lease and bound, sixty times', () => {
    const { sum, failures } = runSeeds(
      Array.from({ length: 60 }, (_, i) => 7000 + i),
      { profile: 'crash' },
    );
    if (failures.length > 0) expect.unreachable(failures[0].text);
    const { lostWrites: lost, violations, leakedBytes, hangs, answerShareMost } = sum;
    expect({ lost, violations, leakedBytes, hangs }).toEqual({
      lost: 0,
      violations: 0,
      leakedBytes: 0,
      hangs: 0,
    });
    expect(answerShareMost).toBeGreaterThan(0);
    expect(answerShareMost).toBeLessThanOrEqual(1);
    expect(sum.crashes).toBeGreaterThan(40);
    expect(sum.nodeCrashes).toBeGreaterThan(30);
    expect(sum.recovererCrashes).toBeGreaterThan(3);
  });

  it.each([
    ['a log that was committed on some replicas, of a word that the master let stand', TORN_COMMIT],
    ['a block that a dead client had entered on one backup, granted by a node that died', STALE_ENTRY],
    ['an INSERT that a node died under in its undo, and that then answered OK', UNDO_RESUMED],
  ])('once failed: %s', (_, plan) => {
    const report = runPlan(plan);
    if (report.findings.length > 0) expect.unreachable(formatFailure(report));
  });

  it('tells an answer that came too late', () => {
    const plan = { ...crashPlanOf(3), boundNs: 1, leaseNs: 1 };
    const { findings, answerShareMost } = runPlan(plan);
    expect(findings.map(({ kind }) => kind)).toContain('late');
    expect(answerShareMost).toBeGreaterThan(1);
  });

  it('is run again by the command that it prints', () => {
    const { failures, sum } = runSeeds([9], {
      profile: 'crash',
      hooks: {
        posting: () => {
          throw new Error('not to be');
        },
      },
    });
    expect(failures[0].text).toContain(`replay it with: ${replayOf('crash', 9)}`);
    expect(replayOf('crash', 9)).toBe('fusee verify --crash-runs 1 --seed 9');
    expect([sum.violations, sum.failures]).toEqual([1, 1]);
  });
});

describe('an acknowledged write', () => {
  const row = (
    operation: Operation,
    [invocationNs, responseNs]: readonly [number, number],
    valueWritten = NO_VALUE,
    outcome: Outcome = Outcome.OK,
  ): OperationRecord => ({ client: 0, key: 0, operation, outcome, valueWritten, invocationNs, responseNs });
  const lostOf = (rows: readonly OperationRecord[], final: number): number => {
    const history = new History();
    for (const { client, key, operation, valueWritten = NO_VALUE, ...times } of rows) {
      const at = history.begin(client, key, operation, valueWritten, times.invocationNs);
      const { outcome, responseNs = Number.POSITIVE_INFINITY } = times;
      if (outcome !== Outcome.PENDING) history.complete(at, outcome, NO_VALUE, responseNs);
    }
    return lostWrites(history, new Map([[0, final]])).length;
  };
  const { INSERT, UPDATE, DELETE } = Operation;

  it('is lost when what was there before it is there at the end, or nothing', () => {
    const rows = [row(INSERT, [0, 1], 5), row(UPDATE, [2, 3], 6)];
    expect([lostOf(rows, 6), lostOf(rows, 5), lostOf(rows, NO_VALUE)]).toEqual([0, 1, 1]);
  });

  it('is not lost to one that may have come later, answered or not', () => {
    const rows = [row(INSERT, [0, 1], 5), row(UPDATE, [2, 9], 6), row(UPDATE, [3, 8], 7)];
    expect([lostOf(rows, 6), lostOf(rows, 7), lostOf(rows, 5)]).toEqual([0, 0, 1]);
    const open = [row(DELETE, [0, 0], NO_VALUE, Outcome.PENDING), row(INSERT, [4, 5], 5)];
    expect([lostOf(open, NO_VALUE), lostOf(open, 5)]).toEqual([0, 0]);
  });

  it('of a DELETE is lost when the key is there again, and one that had no effect cannot be', () => {
    const rows = [row(INSERT, [0, 1], 5), row(DELETE, [2, 3]), row(INSERT, [4, 5], 6, Outcome.NO_MEMORY)];
    expect([lostOf(rows, NO_VALUE), lostOf(rows, 5)]).toEqual([0, 1]);
  });
});

describe('many crash runs', () => {
  it('come to one line of figures, over processes', async () => {
    const result = await verifySeeds({ seeds: 12, seconds: 120, firstSeed: 50, jobs: 2, profile: 'crash' });
    const here = runSeeds(
      Array.from({ length: 12 }, (_, i) => 50 + i),
      { profile: 'crash' },
    ).sum;
    expect({ ...result.sum, runMs: 0, checkMs: 0 }).toEqual({ ...here, runMs: 0, checkMs: 0 });
    const told = formatCrashRuns(result);
    expect(told).toMatch(
      /^12 crash runs: \d+ client deaths, \d+ MN deaths, \d+ recoverer deaths, \d+ requests; /,
    );
    expect(told).toMatch(/ 0 lost acknowledged writes, 0 violations, 0 leaked bytes, 0 hangs; /);
    expect(told).toMatch(/ longest answer 0\.\d+ ms, at most \d+ % of lease \+ bound\n/);
  });

  it('sum up, and keep what was the longest', () => {
    const sum = emptySum();
    addSum(sum, { ...emptySum(), requests: 3, answerNsMost: 7 });
    addSum(sum, { ...emptySum(), requests: 4, answerNsMost: 5 });
    expect([sum.requests, sum.answerNsMost]).toEqual([7, 7]);
  });
});
