/** Clusters of the simulator, at rest after random loads, seen through a fabric's READs. */
import { expect, it } from 'vitest';
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { CATEGORIES, type Category, checkPool, type PoolReport, WALK_BYTES } from '../../fusee/fsck/index.js';
import { runOp } from '../../fusee/fsck/sample-pool.js';
import { Cluster } from './cluster.js';
import { planOf, type SwarmPlan } from './plan.js';

/** The plan of a seed, with an index that has to grow: up to eightfold, for keys that do not fit before. */
function growing(seed: number): SwarmPlan {
  const plan = planOf(seed);
  const { subtables } = plan.pool;
  const keys = Array.from({ length: 120 * subtables }, (_, k) => `k${k}`.padEnd(8, '.'));
  return { ...plan, pool: { ...plan.pool, subtablesMax: 8 * subtables }, keys };
}

/** Runs a cluster without crashes, and walks its memory in its own virtual time. */
function walkCluster(plan: SwarmPlan, rpcLoss: number): PoolReport {
  const { seed } = plan;
  const cluster = new Cluster({
    ...plan,
    crashes: 0,
    cuts: 0,
    nodeCrashes: 0,
    faults: { ...plan.faults, rpcLoss },
  });
  cluster.toQuiescence();
  expect([seed, cluster.findings]).toEqual([seed, []]);
  const fabric = new SimFabric(cluster.world, { localBytes: WALK_BYTES });
  return runOp(fabric, checkPool({ view: cluster.view, local: fabric.local, depth: 'bytes' }));
}

/** Bytes of a category on all nodes. */
const sum = ({ nodes }: PoolReport, category: Category): number =>
  nodes.reduce((n, { bytes }) => n + (bytes?.[category] ?? 0), 0);

it('a cluster without crashes is clean at rest, and nothing is left unfreed', () => {
  const used: Partial<Record<Category, number>> = {};
  for (let seed = 1; seed <= 25; seed++) {
    const report = walkCluster(planOf(seed), 0);
    expect([seed, report.findings, report.isComplete]).toEqual([seed, [], true]);
    if (report.clients.length === 0) expect([seed, sum(report, 'unfreed')]).toEqual([seed, 0]);
    for (const category of CATEGORIES) used[category] = (used[category] ?? 0) + sum(report, category);
  }
  for (const category of ['live', 'tombstone', 'awaiting', 'free', 'fresh'] as const)
    expect([category, used[category]]).not.toEqual([category, 0]);
});

it('a cluster whose index grows is clean at rest: every key in the subtable of its hash', () => {
  let splits = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const report = walkCluster(growing(seed), 0);
    expect([seed, report.findings, sum(report, 'unfreed')]).toEqual([seed, [], 0]);
    splits += report.index.splits;
  }
  expect(splits).toBeGreaterThan(10);
});

it('blocks whose grant was lost on its way are regained, by their clients or by whoever recovers those', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const report = walkCluster(planOf(seed), 0.4);
    expect([seed, report.findings]).toEqual([seed, []]);
    if (report.clients.length === 0 && report.config.indexReplicas > 1)
      expect([seed, sum(report, 'unfreed')]).toEqual([seed, 0]);
  }
});
