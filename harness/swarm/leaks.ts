/**
 * What a run has left in the pool's memory once all that died have been recovered, by a walk over all of it:
 * nothing inconsistent, and no cell that nobody names, frees or holds.
 *
 * Rules of this file, what is excused and why:
 * - A client that lives on with a link cut has log entries of its own that differ: resets that no answer has
 *   waited for. As long as it has not left, it has blocks that it could not enter on all replicas, too.
 * - Where one index replica is all there is, or was all that a view had left, no old value is logged, and
 *   recovery cannot know what the dead had still to free (`recover-client.ts`): two cells at most for each
 *   log entry that it has walked then, and bits of theirs that reached some replicas only. One cell
 *   for each of its coroutines too: who rests there leaves a used bit that looks like a named object's.
 * - Where a client and a memory node have died, what a slot held may have been on that node alone: one object
 *   for each writing request that the client had under way (`fusee/master/repair.ts`).
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
import { buffers } from './registered.js';

/** Bytes that nobody names, frees or holds, on all nodes together; by what is known to leave such. */
export interface Leaks {
  /** Left where dead clients' logs told no old values, whatever else may have left them. */
  readonly unloggedBytes: number;
  /** Left by clients that died in a run in which a node died too. */
  readonly bereftBytes: number;
  /** What nothing excuses: a finding. */
  readonly unexcusedBytes: number;
}

/** None at all. */
export const NO_LEAKS: Leaks = { unloggedBytes: 0, bereftBytes: 0, unexcusedBytes: 0 };

/** Walks the memory of a cluster that has come to rest. */
export function checkLeaks(cluster: Cluster): Leaks {
  const report = walk(cluster);
  for (const finding of report.findings)
    if (!isExcused(cluster, report, finding)) cluster.fail(`fsck ${finding.kind}`, describeFinding(finding));
  // Clients at work still hold what looks like leaks.
  if (report.clients.length > 0) return NO_LEAKS;
  const leftBytes = report.nodes.reduce((sum, { bytes }) => sum + (bytes?.unfreed ?? 0), 0);
  const { entriesUnlogged, restsUnlogged } = cluster;
  const roundsBereft = cluster.nodeCrashes > 0 ? cluster.roundsBereft : 0;
  const excusedBytes = (2 * entriesUnlogged + restsUnlogged + roundsBereft) * objectBytesMost(cluster);
  if (leftBytes > excusedBytes)
    cluster.fail('leak', `${leftBytes} bytes are nobody's, ${excusedBytes} may be`);
  const isUnlogged = entriesUnlogged + restsUnlogged > 0;
  const unexcusedBytes = Math.max(0, leftBytes - excusedBytes);
  const mayBytes = leftBytes - unexcusedBytes;
  return {
    unloggedBytes: isUnlogged ? mayBytes : 0,
    bereftBytes: isUnlogged ? 0 : mayBytes,
    unexcusedBytes,
  };
}

function walk({ world, view }: Cluster): PoolReport {
  const fabric = new MemoryFabric(world.nodes, { localBuffer: buffers.take(WALK_BYTES) });
  const steps = checkPool({ view, local: fabric.local, depth: 'bytes' });
  const done: VerbBatch[] = [];
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    fabric.post(step.value);
    fabric.poll(done);
  }
}

function isExcused(
  { entriesUnlogged, clients }: Cluster,
  { clients: present }: PoolReport,
  { kind }: Finding,
): boolean {
  const isDisturbed = clients.some((c) => !c.isDead && c.fabric.isDisturbed);
  if (kind === 'bitmap') return entriesUnlogged > 0;
  if (kind === 'data-replicas') return isDisturbed;
  return (kind === 'table-replicas' || kind === 'block-header') && isDisturbed && present.length > 0;
}

/** All replicas of a cell of the largest class: which classes the entries were of is not known here. */
function objectBytesMost({ view, plan }: Cluster): number {
  return CLASS_LINES[view.geometry.largestClass()] * LINE_BYTES * plan.pool.dataReplicas;
}
