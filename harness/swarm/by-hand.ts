/** For tests of the swarm: plans made for one kind of trouble. */
import { planOf, type SwarmPlan } from './index.js';
import { sharedKeys } from './plan.js';

/**
 * Few keys that share their candidate slots in an index that does not grow, under four clients: what happens
 * to a node or a client meets open rounds. One memory node dies, unless `change` says otherwise.
 */
export function crowded(seed: number, change: Partial<SwarmPlan>): SwarmPlan {
  const plan = planOf(seed);
  const pool = {
    ...plan.pool,
    nodes: 3 + ((seed >> 1) % 2),
    indexReplicas: 2 + (seed % 2),
    dataReplicas: 2 + ((seed >> 2) % 2),
    subtables: 1,
    subtablesMax: 1,
    groupsPerSubtable: 2,
    blockBytes: 4096,
    regionBytes: 16_384,
    regionsPerNode: 2,
  };
  return {
    ...plan,
    pool,
    keys: sharedKeys(pool, 1 + (seed % 4), seed % 3 === 0),
    clients: 4,
    coroutines: 2,
    valueBytesLeast: 8,
    thinkNs: 0,
    cuts: 0,
    crashes: 0,
    nodeCrashes: 1,
    ...change,
  };
}
