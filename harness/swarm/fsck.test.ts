/** Clusters of the simulator, at rest after random loads, seen through a fabric's READs. */
import { expect, it } from 'vitest';
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { checkPool, type PoolReport, WALK_BYTES } from '../../fusee/fsck/index.js';
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

it('a cluster without crashes is clean at rest, and every byte of it has one category', () => {
  let used = 0;
  for (let seed = 1; seed <= 25; seed++) {
    const { findings, nodes } = walkCluster(seed, 0);
    expect([seed, findings]).toEqual([seed, []]);
    for (const { bytes } of nodes)
      used += (bytes?.live ?? 0) + (bytes?.tombstone ?? 0) + (bytes?.garbage ?? 0);
  }
  expect(used).toBeGreaterThan(25_000);
});

it('a block whose grant was lost on its way is found: header and entries on backups are missing', () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 12; seed++)
    for (const { kind } of walkCluster(seed, 0.4).findings) kinds.add(kind);
  expect([...kinds].sort()).toEqual(['block-header', 'table-replicas']);
});
