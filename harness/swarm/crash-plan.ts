/**
 * Plans for crash runs: small clusters, quick to simulate, in each of which clients or memory nodes die, or
 * both, at random verbs, and every answer has its time.
 *
 * Rules of this file: a replica of everything is left; no link is cut, since a client behind one is not dead
 * and waits for its deadline; there is memory enough, since who waits for some waits for all others.
 */
import { SimRandom } from '../../fusee/fabric/sim/index.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import { planOf, type SwarmPlan, sharedKeys } from './plan.js';

/**
 * What an answer may take besides the leases of those that die: their recoveries, the changes of the view,
 * and the requests that were waited for. Virtual time, of a simulator whose round trip takes 0.2 to 3
 * microseconds and a call some more.
 */
export const ANSWER_BOUND_NS = 1_000_000;

/** The crash run of a seed, an integer from 0 to 2^53 - 1. */
export function crashPlanOf(seed: number): SwarmPlan {
  const random = new SimRandom(seed, 3);
  const clients = random.between(2, 4);
  const coroutines = random.between(1, 3);
  const requests = random.between(4, Math.floor(72 / (clients * coroutines)));
  const pool = poolFor(random);
  // Who dies: clients, nodes, or both.
  const who = random.below(3);
  const most = Math.min(pool.indexReplicas, pool.dataReplicas) - 1;
  return {
    ...planOf(seed),
    pool,
    clients,
    coroutines,
    requests,
    keys: keysFor(random, pool),
    valueBytesLeast: 8,
    valueBytesMost: random.pick([8, 30, 120]),
    mix: random.pick([
      [1, 1, 1, 1, 1],
      [2, 1, 4, 0, 0],
      [1, 4, 1, 4, 0],
      [1, 2, 1, 2, 0],
      [2, 0, 0, 1, 3],
    ]),
    skew: random.pick([1, 2]),
    cache: { bytes: random.pick([0, 1 << 10]), keyBytes: 32, threshold: random.pick([0.1, 1]) },
    latency: {
      leastNs: random.pick([100, 500]),
      jitterNs: random.pick([1, 200, 1000]),
      serviceNs: 1000,
    },
    faults: {
      tear: random.pick([0, 0.02, 0.3]),
      tearNs: random.pick([100, 2000]),
      delay: random.pick([0, 0.02]),
      delayNs: 10_000,
      rpcLoss: random.pick([0, 0, 0, 0.05]),
      rpcDuplication: random.pick([0, 0.1]),
      survival: random.pick([0.3, 0.75, 0.95]),
    },
    rpcTimeoutNs: 50_000,
    thinkNs: random.pick([0, 100, 3000]),
    roundNs: random.pick([3000, 30_000]),
    crashes: who === 1 ? 0 : random.between(1, 2),
    cuts: 0,
    leaseNs: random.pick([20_000, 200_000]),
    recovererCrash: random.pick([0, 0.3]),
    isLoaded: random.happens(0.5),
    nodeCrashes: who === 0 ? 0 : random.between(1, most),
    boundNs: ANSWER_BOUND_NS,
    refillNs: 0,
    fillDeath: 0,
  };
}

/** r = 2 and 3, of the index and of objects; in places small enough that rounds meet. */
function poolFor(random: SimRandom): PoolConfig {
  const indexReplicas = random.between(2, 3);
  const dataReplicas = random.happens(0.7) ? indexReplicas : random.between(2, 3);
  const subtables = random.pick([1, 1, 2]);
  return {
    poolId: 1,
    nodes: random.between(Math.max(indexReplicas, dataReplicas), 5),
    indexReplicas,
    dataReplicas,
    subtables,
    subtablesMax: subtables,
    groupsPerSubtable: 2,
    blockBytes: 2048,
    regionBytes: 8192,
    regionsPerNode: 4,
  };
}

/** Few keys: of one subtable such as share their candidate slots, and even their fingerprint, as a rule. */
function keysFor(random: SimRandom, pool: PoolConfig): readonly string[] {
  const count = random.pick([1, 2, 3, 5, 8]);
  if (pool.subtables === 1 && random.happens(0.7)) return sharedKeys(pool, count, random.happens(0.5));
  return Array.from({ length: count }, (_, k) => `k${k}`.padEnd(3 + (k % 3), '.'));
}
