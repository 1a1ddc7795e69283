/** Clusters of the simulator, at rest after random loads, seen through a fabric's READs. */
import { expect, it } from 'vitest';
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { CATEGORIES, type Category, checkPool, type PoolReport, WALK_BYTES } from '../../fusee/fsck/index.js';
import { runOp } from '../../fusee/fsck/sample-pool.js';
import { Cluster } from './cluster.js';
import { planOf } from './plan.js';

/** Runs a seed's cluster without crashes, and walks its memory in its own virtual time. */
function walkCluster(seed: number, rpcLoss: number): PoolReport {
  const plan = planOf(seed);
  const cluster = new Cluster({ ...plan, crashes: 0, cuts: 0, faults: { ...plan.faults, rpcLoss } });
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
    const report = walkCluster(seed, 0);
    expect([seed, report.findings, report.isComplete]).toEqual([seed, [], true]);
    if (report.clients.length === 0) expect([seed, sum(report, 'unfreed')]).toEqual([seed, 0]);
    for (const category of CATEGORIES) used[category] = (used[category] ?? 0) + sum(report, category);
  }
  for (const category of ['live', 'tombstone', 'awaiting', 'free', 'fresh'] as const)
    expect([category, used[category]]).not.toEqual([category, 0]);
});

it('a block whose grant was lost on its way is found: header and entries on backups are missing', () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 12; seed++)
    for (const { kind } of walkCluster(seed, 0.4).findings) kinds.add(kind);
  expect([...kinds].sort()).toEqual(['block-header', 'table-replicas']);
});
