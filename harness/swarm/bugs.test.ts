import { describe, expect, it, vi } from 'vitest';
import { LogOperation } from '../../fusee/layout/index.js';
import { refill } from '../../fusee/ops/context.js';
import { type Coroutine, RequestKind } from '../../fusee/ops/index.js';
import { Recovered } from '../../fusee/recovery/index.js';
import {
  DESCRIPTOR_BYTES,
  Field,
  Opcode,
  type OpLoop,
  Stage,
  type VerbBatch,
} from '../../fusee/verbs/index.js';
import { insertWith, RIGHT } from '../check/naive/insert.js';
import { modifyWith } from '../check/naive/modify.js';
import { planOf, runPlan, type SeedReport, type SwarmHooks, type SwarmPlan } from './index.js';
import { sharedKeys } from './plan.js';

vi.setConfig({ testTimeout: 180_000 });

/** Plans of the seeds from 1 on, made to fit a bug; runs them until one fails. */
function hunt(hooks: SwarmHooks, change: (plan: SwarmPlan) => SwarmPlan | undefined, seeds = 60): SeedReport {
  for (let seed = 1; seed <= seeds; seed++) {
    const plan = change(planOf(seed));
    if (plan === undefined) continue;
    const report = runPlan(plan, { hooks });
    if (report.findings.length > 0) return report;
  }
  return expect.unreachable(`nothing found in ${seeds} seeds`);
}

const MIX = [1, 2, 1, 2, 0];

/** Few keys that differ in their fingerprints, more than one replica, several clients, no deaths. */
const busy = (plan: SwarmPlan): SwarmPlan => ({
  ...plan,
  pool: { ...plan.pool, nodes: 4, indexReplicas: 3 },
  keys: ['k0', 'k1', 'k2'],
  clients: 3,
  coroutines: 2,
  requests: 60,
  mix: MIX,
  valueBytesLeast: 4,
  valueBytesMost: 20,
  thinkNs: 0,
  crashes: 0,
  cuts: 0,
});
const deadly = (plan: SwarmPlan): SwarmPlan => ({ ...busy(plan), crashes: 3 });

/** Lets test code that knows nothing of blocks find them there. */
function* withBlocks({ cx }: Coroutine, operation: LogOperation, inner: OpLoop): OpLoop {
  const stage = new Stage(inner);
  for (;;) {
    if (cx.takeCell(operation) || (yield* refill(cx, operation))) {
      cx.client.slab.giveBack(cx.coroutine, cx.sizeClass);
      yield* stage;
    }
    yield null;
  }
}

const withInsert = (changes: Partial<typeof RIGHT>): SwarmHooks => ({
  loops: (c) => {
    const loops: (OpLoop | undefined)[] = [];
    loops[RequestKind.INSERT] = withBlocks(
      c,
      LogOperation.INSERT,
      insertWith(c.cx, { ...RIGHT, ...changes }),
    );
    return loops;
  },
});

const withModify = (policy: Parameters<typeof modifyWith>[2], kinds: readonly RequestKind[]): SwarmHooks => ({
  loops: (c) => {
    const loops: (OpLoop | undefined)[] = [];
    for (const kind of kinds) {
      const operation = kind === RequestKind.UPDATE ? LogOperation.UPDATE : LogOperation.DELETE;
      loops[kind] = withBlocks(c, operation, modifyWith(c.cx, operation, policy));
    }
    return loops;
  },
});

/** Turns verb `i` into one that does nothing, but finds what it would have found. */
function neuter(batch: VerbBatch, i: number): void {
  batch.setField(i, Field.OPCODE, Opcode.READ);
  batch.setField(i, Field.LENGTH, 8);
  batch.setField(i, Field.LOCAL, batch.offset + (i + 1) * DESCRIPTOR_BYTES + Field.FOUND_LO * 4);
}

const kinds = (report: SeedReport): string[] => report.findings.map((f) => f.kind);

describe('the swarm finds', () => {
  it('a winner by Rule 2 or 3 that does not fix the other backups', () => {
    const report = hunt(
      {
        posting: (batch, { cx }) => {
          const { vOld, vNew } = cx.write;
          for (let i = 0; i < batch.count; i++) {
            if (batch.opcode(i) !== Opcode.CAS || batch.mn(i) === cx.write.slot.mn[0]) continue;
            const isFix =
              batch.field(i, Field.EXPECT_LO) !== vOld.lo && batch.field(i, Field.SWAP_LO) === vNew.lo;
            if (isFix) neuter(batch, i);
          }
        },
      },
      busy,
    );
    expect(kinds(report).some((k) => ['replicas', 'error', 'hang'].includes(k))).toBe(true);
  });

  it('a log commit that never lands', () => {
    const report = hunt(
      {
        posting: (batch) => {
          for (let i = 0; i < batch.count; i++)
            if (batch.opcode(i) === Opcode.WRITE && batch.field(i, Field.LENGTH) === 9) neuter(batch, i);
        },
      },
      busy,
    );
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
    const report = hunt(zero, busy);
    expect(
      kinds(report).some((k) => ['error', 'replicas', 'hang', 'linearizability', 'unavailable'].includes(k)),
    ).toBe(true);
  });

  it('a losing INSERT that says OK (H1)', () => {
    const report = hunt(withInsert({ loser: 'says OK' }), busy);
    expect(kinds(report)).toContain('linearizability');
    expect(report.lastRequests.length).toBeGreaterThan(6);
  });

  it('an INSERT without a duplicate check (H1)', () => {
    // Two INSERTs of a key choose the same slot, unless other keys come and go in the same buckets between
    // them.
    const report = hunt(withInsert({ check: 'none' }), (plan) => {
      const pool = { ...busy(plan).pool, subtables: 1, groupsPerSubtable: 2 };
      return { ...busy(plan), pool, keys: sharedKeys(pool, 5, false) };
    });
    expect(kinds(report).some((k) => ['two copies', 'linearizability'].includes(k))).toBe(true);
  });

  it('an UPDATE that trusts its cached slot word (H6)', () => {
    const policy = { vOld: 'cached', loser: 'says OK' } as const;
    const report = hunt(withModify(policy, [RequestKind.UPDATE]), (plan) => ({
      ...busy(plan),
      mix: [4, 1, 2, 0, 0],
      cache: { bytes: 1 << 14, keyBytes: 32, threshold: 1 },
    }));
    expect(kinds(report).some((k) => ['linearizability', 'cost', 'hang'].includes(k))).toBe(true);
  });

  it('a losing DELETE that says OK (H3)', () => {
    const report = hunt(withModify({ vOld: 'read', loser: 'says OK' }, [RequestKind.DELETE]), busy);
    expect(kinds(report)).toContain('linearizability');
  });

  it('a recovery that does nothing', () => {
    const report = hunt(
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
