import { describe, expect, it, vi } from 'vitest';
import { RequestKind } from '../../fusee/ops/index.js';
import { Recovered } from '../../fusee/recovery/index.js';
import { planOf, runPlan, type SeedReport, type SwarmHooks } from './index.js';
import { sharedKeys } from './plan.js';
import { busy, deadly, hunt, noCommit, noFix, withInsert, withModify } from './planted.js';

vi.setConfig({ testTimeout: 180_000 });

const kinds = (report: SeedReport): string[] => report.findings.map((f) => f.kind);

describe('the swarm finds', () => {
  it('a winner by Rule 2 or 3 that does not fix the other backups', () => {
    const { report } = hunt(noFix, busy);
    expect(kinds(report).some((k) => ['replicas', 'error', 'hang', 'unavailable'].includes(k))).toBe(true);
  });

  it('a log commit that never lands', () => {
    const { report } = hunt(noCommit, busy);
    expect(kinds(report)).toContain('log');
    expect(report.findings[0].message).toMatch(/names object .* old value is incomplete/);
  });

  it('a DELETE that writes 0 (H2)', () => {
    const zero: SwarmHooks = {
      loops: ({ cx }) => {
        const { aim } = cx;
        cx.aim = (slot, lines) => {
          aim.call(cx, slot, lines);
          if (lines !== 0) return;
          cx.write.vNew.hi = 0;
          cx.write.vNew.lo = 0;
        };
        return [];
      },
    };
    const { report } = hunt(zero, busy);
    expect(
      kinds(report).some((k) => ['error', 'replicas', 'hang', 'linearizability', 'unavailable'].includes(k)),
    ).toBe(true);
  });

  it('a losing INSERT that says OK (H1)', () => {
    const { report } = hunt(withInsert({ loser: 'says OK' }), busy);
    expect(kinds(report)).toContain('linearizability');
    expect(report.lastRequests.length).toBeGreaterThan(6);
  });

  it('an INSERT without a duplicate check (H1)', () => {
    // Two INSERTs of a key choose the same slot, unless other keys come and go in the same buckets between
    // them.
    const { report } = hunt(withInsert({ check: 'none' }), (plan) => {
      const pool = { ...busy(plan).pool, subtables: 1, groupsPerSubtable: 2 };
      return { ...busy(plan), pool, keys: sharedKeys(pool, 5, false) };
    });
    expect(kinds(report).some((k) => ['two copies', 'linearizability'].includes(k))).toBe(true);
  });

  it('an UPDATE that trusts its cached slot word (H6)', () => {
    const policy = { vOld: 'cached', loser: 'says OK' } as const;
    const { report } = hunt(withModify(policy, [RequestKind.UPDATE]), (plan) => ({
      ...busy(plan),
      mix: [4, 1, 2, 0, 0],
      cache: { bytes: 1 << 14, keyBytes: 32, threshold: 1 },
    }));
    expect(kinds(report).some((k) => ['linearizability', 'cost', 'hang'].includes(k))).toBe(true);
  });

  it('a losing DELETE that says OK (H3)', () => {
    const { report } = hunt(withModify({ vOld: 'read', loser: 'says OK' }, [RequestKind.DELETE]), busy);
    expect(kinds(report)).toContain('linearizability');
  });

  it('a recovery that does nothing', () => {
    const { report } = hunt(
      {
        recover: function* () {
          return Recovered.NOTHING_TO_DO;
        },
      },
      deadly,
    );
    expect(kinds(report).some((k) => ['replicas', 'unavailable', 'slot'].includes(k))).toBe(true);
  });

  it('none of it in the product, on the same plans', () => {
    for (let seed = 1; seed <= 15; seed++) {
      expect(runPlan(busy(planOf(seed))).findings).toEqual([]);
      expect(runPlan(deadly(planOf(seed))).findings).toEqual([]);
    }
    expect(runPlan(busy(planOf(1)), { hooks: withInsert({}) }).findings).toEqual([]);
  });
});
