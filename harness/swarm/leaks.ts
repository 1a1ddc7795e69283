/**
 * What a run has left in the pool's memory once all that died have been recovered, by a walk over all of it:
 * nothing inconsistent, and no cell that nobody names, frees or holds.
 *
 * Rules of this file, what is excused and why:
 * - A client that lives on with a link cut has log entries of its own that differ: resets that no answer has
 *   waited for.
 * - With one index replica recovery cannot know what the dead had still to free (`recover-client.ts`): two
 *   cells at most for each log entry that it has walked, and bits of theirs that reached some replicas only.
 *   With more it does, unless a memory node has died as well: what a slot held may have been there alone.
 */
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import {
  checkPool,
  describeFinding,
  type Finding,
  type PoolReport,
  WALK_BYTES,
} from '../../fusee/fsck/index.js';
import { CLASS_LINES, LINE_BYTES } from '../../fusee/layout/index.js';
import type { VerbBatch } from '../../fusee/verbs/index.js';
import type { Cluster } from './cluster.js';

/** Walks the memory of a cluster that has come to rest. */
export function checkLeaks(cluster: Cluster): void {
  const report = walk(cluster);
  for (const finding of report.findings)
    if (!isExcused(cluster, finding)) cluster.fail('fsck', describeFinding(finding));
  // Clients at work still hold what looks like leaks.
  if (report.clients.length > 0) return;
  const unfreedBytes = report.nodes.reduce((sum, { bytes }) => sum + (bytes?.unfreed ?? 0), 0);
  const { indexReplicas } = cluster.plan.pool;
  // Where a node has died too, the old value may have died with it.
  const isUnknown = indexReplicas === 1 || (cluster.nodeCrashes > 0 && cluster.crashes > 0);
  const excusedBytes = isUnknown ? excusedBytesOf(cluster) : 0;
  if (unfreedBytes > excusedBytes)
    cluster.fail('leak', `${unfreedBytes} bytes are nobody's, ${excusedBytes} may be`);
}

function walk({ world, view }: Cluster): PoolReport {
  const fabric = new MemoryFabric(world.nodes, { localBytes: WALK_BYTES });
  const steps = checkPool({ view, local: fabric.local, depth: 'bytes' });
  const done: VerbBatch[] = [];
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    fabric.post(step.value);
    fabric.poll(done);
  }
}

function isExcused(cluster: Cluster, { kind }: Finding): boolean {
  const { plan, clients } = cluster;
  if (kind === 'bitmap') return plan.pool.indexReplicas === 1 && cluster.crashes > 0;
  if (kind === 'data-replicas') return clients.some((c) => !c.isDead && c.fabric.isDisturbed);
  return false;
}

/** Cells are counted by their class's bytes; which classes the entries were of is not known here. */
function excusedBytesOf({ view, entriesWalked, plan }: Cluster): number {
  const cellBytes = CLASS_LINES[view.geometry.largestClass()] * LINE_BYTES;
  return 2 * entriesWalked * cellBytes * plan.pool.dataReplicas;
}
