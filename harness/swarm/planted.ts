/** Bugs to plant in a swarm, and plans that make them show: for tests. */
import { LOG_COMMIT_BYTES, LogOperation } from '../../fusee/layout/index.js';
import { type Coroutine, RequestKind } from '../../fusee/ops/index.js';
import { getReady } from '../../fusee/ops/obtain-cell.js';
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

/** Plans of the seeds from 1 on, made to fit a bug; the first that fails. @throws Error when none does. */
export function hunt(
  hooks: SwarmHooks,
  change: (plan: SwarmPlan) => SwarmPlan,
  seeds = 60,
): { plan: SwarmPlan; report: SeedReport } {
  for (let seed = 1; seed <= seeds; seed++) {
    const plan = change(planOf(seed));
    const report = runPlan(plan, { hooks });
    if (report.findings.length > 0) return { plan, report };
  }
  throw new Error(`nothing found in ${seeds} seeds`);
}

const MIX = [1, 2, 1, 2, 0];

/** Few keys that differ in their fingerprints, more than one replica, several clients, no deaths. */
export const busy = (plan: SwarmPlan): SwarmPlan => ({
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
/** The same, with deaths. */
export const deadly = (plan: SwarmPlan): SwarmPlan => ({ ...busy(plan), crashes: 3 });

/** Lets test code that knows nothing of blocks find them there. */
function* withBlocks({ cx }: Coroutine, operation: LogOperation, inner: OpLoop): OpLoop {
  const stage = new Stage(inner);
  for (;;) {
    if (cx.takeCell(operation) || (yield* getReady(cx, operation))) {
      cx.client.slab.giveBack(cx.coroutine, cx.sizeClass);
      yield* stage;
    }
    // Naive requests do not say that they have ended: nobody would ever stop waiting for them.
    cx.end();
    yield null;
  }
}

/** INSERT under a changed policy. */
export const withInsert = (changes: Partial<typeof RIGHT>): SwarmHooks => ({
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

/** UPDATE or DELETE, or both, under a naive policy. */
export const withModify = (
  policy: Parameters<typeof modifyWith>[2],
  kinds: readonly RequestKind[],
): SwarmHooks => ({
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

/** A winner by Rule 2 or 3 leaves the other backups as they are. */
export const noFix: SwarmHooks = {
  posting: (batch, { cx }) => {
    const { vOld, vNew } = cx.write;
    for (let i = 0; i < batch.count; i++) {
      if (batch.opcode(i) !== Opcode.CAS || batch.mn(i) === cx.write.slot.mn[0]) continue;
      const isFix = batch.field(i, Field.EXPECT_LO) !== vOld.lo && batch.field(i, Field.SWAP_LO) === vNew.lo;
      if (isFix) neuter(batch, i);
    }
  },
};

/** A log commit never lands. */
export const noCommit: SwarmHooks = {
  posting: (batch) => {
    for (let i = 0; i < batch.count; i++)
      if (batch.opcode(i) === Opcode.WRITE && batch.field(i, Field.LENGTH) === LOG_COMMIT_BYTES)
        neuter(batch, i);
  },
};
