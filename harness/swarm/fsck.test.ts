/** Clusters of the simulator, at rest after random loads, seen through a fabric's READs. */
import { expect, it } from 'vitest';
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { checkPool, WALK_BYTES } from '../../fusee/fsck/index.js';
import { runOp } from '../../fusee/fsck/sample-pool.js';
import { Cluster } from './cluster.js';
import { planOf } from './plan.js';

it('a cluster without crashes is clean at rest, and every byte of it has one category', () => {
  let used = 0;
  for (let seed = 1; seed <= 25; seed++) {
    const cluster = new Cluster({ ...planOf(seed), crashes: 0, cuts: 0 });
    cluster.toQuiescence();
    expect([seed, cluster.findings]).toEqual([seed, []]);
    const fabric = new SimFabric(cluster.world, { localBytes: WALK_BYTES });
    const walk = checkPool({ view: cluster.view, local: fabric.local, depth: 'bytes' });
    const { findings, nodes } = runOp(fabric, walk);
    expect([seed, findings]).toEqual([seed, []]);
    for (const { bytes } of nodes)
      used += (bytes?.live ?? 0) + (bytes?.tombstone ?? 0) + (bytes?.garbage ?? 0);
  }
  expect(used).toBeGreaterThan(25_000);
});
