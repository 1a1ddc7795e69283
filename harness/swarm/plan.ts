/** What one seed stands for: a small cluster, its load, and what goes wrong in it. */
import { JitteredLatency, NO_FAULTS, type SimFaults, SimRandom } from '../../fusee/fabric/sim/index.js';
import type { CacheOptions } from '../../fusee/index/index.js';
import {
  CLASS_LINES,
  classOfLines,
  Geometry,
  GROUP_SLOTS,
  objectLines,
  type PoolConfig,
} from '../../fusee/layout/index.js';
import { keysAlike } from '../../fusee/ops/by-hand.js';

/** One run, completely: the same plan gives the same run. */
export interface SwarmPlan {
  readonly seed: number;
  readonly pool: PoolConfig;
  readonly clients: number;
  /** Requests in flight per client. */
  readonly coroutines: number;
  /** Requests that each coroutine makes. */
  readonly requests: number;
  readonly keys: readonly string[];
  /** Bytes of values: any length from least to most. */
  readonly valueBytesLeast: number;
  readonly valueBytesMost: number;
  /** Weights of SEARCH, INSERT, UPDATE, DELETE, PUT. */
  readonly mix: readonly number[];
  /** A whole number: 1 is uniform; of n keys the first gets about n^(-1/skew) of all requests. */
  readonly skew: number;
  readonly cache: CacheOptions;
  readonly latency: { readonly leastNs: number; readonly jitterNs: number; readonly serviceNs: number };
  readonly faults: SimFaults;
  readonly rpcTimeoutNs: number;
  /** From the end of one round of a client's background work to the next; 0: no background work. */
  readonly roundNs: number;
  /** A coroutine rests up to this long between requests. */
  readonly thinkNs: number;
  /** Clients that die, and of those how many because they lose a link. */
  readonly crashes: number;
  readonly cuts: number;
  /** From a death to the fence. */
  readonly leaseNs: number;
  /** A recoverer dies too, with this probability. */
  readonly recovererCrash: number;
  /** Memory nodes that die. */
  readonly nodeCrashes: number;
  /** From a node's death, as the master hears of it, to a spare for its place; 0: never. @default 0 */
  readonly refillNs?: number;
  /**
   * While a place is filled its process dies with this probability, so does a client, and so does a node that
   * is to die anyway. @default 0
   */
  readonly fillDeath?: number;
  /** Every key is INSERTed before the load begins. */
  readonly isLoaded: boolean;
  /** Every answer comes within this and a lease for each death of the run; 0: whenever, but it comes. */
  readonly boundNs: number;
}

/** The latency model of a plan. */
export const latencyOf = (plan: SwarmPlan): JitteredLatency => new JitteredLatency(plan.latency);

/** The plan of a seed, an integer from 0 to 2^53 - 1. */
export function planOf(seed: number): SwarmPlan {
  const random = new SimRandom(seed, 1);
  const nodes = random.between(1, 5);
  const clients = random.between(1, 6);
  const coroutines = random.between(1, 4);
  const requests = random.between(10, Math.floor(1200 / (clients * coroutines)));
  const [valueBytesLeast, valueBytesMost] = random.pick([
    [0, 20],
    [4, 30],
    [20, 200],
    [0, 600],
    [8, 8],
  ]);
  const mix = random.pick([
    [1, 1, 1, 1, 1],
    [2, 2, 0, 2, 0],
    [2, 1, 4, 0, 0],
    [1, 4, 1, 4, 0],
    [4, 1, 1, 1, 1],
    [0, 1, 1, 1, 2],
    [3, 1, 0, 1, 3],
  ]);
  const growth = random.pick([1, 1, 1, 2, 8]);
  // Small, where it is to grow: there are not many keys.
  const subtables = growth > 1 ? 1 : random.pick([1, 1, 2, 4]);
  const index = {
    nodes,
    indexReplicas: random.between(1, Math.min(4, nodes)),
    dataReplicas: random.between(1, Math.min(3, nodes)),
    subtables,
    subtablesMax: subtables * growth,
    groupsPerSubtable: growth > 1 ? 2 : random.pick([2, 2, 3, 5]),
  };
  const load = { clients, coroutines, requests, valueBytesMost };
  const pool = poolFor(random, index, load);
  const isCrashing = random.happens(0.35);
  const crashes = isCrashing ? random.between(1, 3) : 0;
  return {
    seed,
    pool,
    clients,
    coroutines,
    requests,
    keys: keysFor(random, pool),
    valueBytesLeast,
    valueBytesMost,
    mix,
    skew: random.pick([1, 1, 2, 4]),
    cache: random.pick([
      { bytes: 0, keyBytes: 32, threshold: 0.1 },
      { bytes: 1 << 10, keyBytes: 32, threshold: 0.1 },
      { bytes: 1 << 14, keyBytes: 32, threshold: 0.1 },
      { bytes: 1 << 14, keyBytes: 32, threshold: 1 },
    ]),
    latency: {
      leastNs: random.pick([100, 500, 800]),
      jitterNs: random.pick([1, 200, 1000, 10_000]),
      serviceNs: random.pick([1000, 5000]),
    },
    faults: faultsFor(random),
    rpcTimeoutNs: random.pick([100_000, 500_000]),
    thinkNs: random.pick([0, 100, 3000, 50_000]),
    roundNs: random.pick([3000, 30_000, 300_000]),
    crashes,
    cuts: isCrashing && random.happens(0.3) ? random.between(1, crashes) : 0,
    leaseNs: random.pick([20_000, 200_000, 2_000_000]),
    recovererCrash: random.pick([0, 0.3]),
    isLoaded: false,
    boundNs: 0,
    // Drawn last: what the seeds have been before they still are.
    nodeCrashes: nodeCrashesFor(random, pool),
    refillNs: random.pick([0, 1, 20_000, 200_000]),
    fillDeath: random.pick([0, 0.3]),
  };
}

/** As many as leave a replica of everything. */
function nodeCrashesFor(random: SimRandom, pool: PoolConfig): number {
  const most = Math.min(pool.indexReplicas, pool.dataReplicas) - 1;
  if (most < 1 || !random.happens(0.5)) return 0;
  return random.between(1, most);
}

function faultsFor(random: SimRandom): SimFaults {
  return {
    tear: random.pick([0, 0.02, 0.3]),
    tearNs: random.pick([100, 5000]),
    delay: random.pick([0, 0.01, 0.1]),
    delayNs: random.pick([3000, 50_000, 1_000_000]),
    rpcLoss: random.pick([0, 0, 0.05, 0.3]),
    rpcDuplication: random.pick([0, 0.1, 0.5]),
    survival: random.pick([0.3, 0.75, 0.95]),
  };
}

/** Regions and blocks for a load: tiny blocks, mostly enough of them, sometimes too few. */
function poolFor(
  random: SimRandom,
  index: Pick<
    PoolConfig,
    keyof PoolConfig &
      ('nodes' | 'indexReplicas' | 'dataReplicas' | 'subtables' | 'subtablesMax' | 'groupsPerSubtable')
  >,
  load: { clients: number; coroutines: number; requests: number; valueBytesMost: number },
): PoolConfig {
  const lines = CLASS_LINES[classOfLines(objectLines(24, load.valueBytesMost))];
  const blockBytes = random.pick(lines > 12 ? [2048, 4096] : [1024, 2048, 4096]);
  const regionBytes = blockBytes * random.pick([1, 2, 8]);
  const share = random.pick([0.05, 0.15, 0.3, 0.5, 1.2]);
  const config = { poolId: 1, ...index, blockBytes, regionBytes, regionsPerNode: 1 };
  const cells = new Geometry(config).cellsPerBlock(classOfLines(lines));
  // Every class a client uses has a block of its own, and each coroutine a cell ahead. Replaced clients begin
  // anew.
  const perClient = lines + (load.coroutines * (load.requests * 1.5 + 2 * lines)) / Math.max(1, cells);
  const blocks = (load.clients + 2) * perClient * share;
  const regions = blocks / (regionBytes / blockBytes) / index.nodes;
  return { ...config, regionsPerNode: Math.max(1, Math.ceil(regions)) };
}

const alike = new Map<boolean, string[]>();

/** Keys of an index of 1 x 2 groups that share their candidate slots: and their fingerprint too, or not. */
export function sharedKeys(pool: PoolConfig, count: number, isSameFingerprint: boolean): readonly string[] {
  let keys = alike.get(isSameFingerprint);
  if (keys === undefined) {
    keys = keysAlike({ ...pool, subtables: 1, groupsPerSubtable: 2 }, 8, isSameFingerprint);
    alike.set(isSameFingerprint, keys);
  }
  return keys.slice(0, count);
}

function keysFor(random: SimRandom, pool: PoolConfig): readonly string[] {
  // An index that may grow gets keys to grow for, and one that may not sometimes more than it holds.
  const isGrowing = pool.subtablesMax > pool.subtables;
  const count = random.pick(isGrowing ? [25, 50, 100] : [1, 2, 3, 5, 10, 25, 50, 100]);
  const isTiny = !isGrowing && pool.subtables === 1 && pool.groupsPerSubtable === 2;
  // Same candidate slots, or even the same fingerprint: the hardest keys there are.
  if (isTiny && random.happens(0.7)) return sharedKeys(pool, Math.max(2, count), random.happens(0.5));
  const least = random.pick([2, 3, 8, 16]);
  return Array.from({ length: count }, (_, k) => `k${k}`.padEnd(Math.min(24, least + (k % 3)), '.'));
}

/** Fixed plans for measuring speed: larger clusters, small values, no faults. */
export function speedPlans(): { name: string; plan: SwarmPlan }[] {
  const base: Omit<SwarmPlan, 'mix'> = {
    seed: 1,
    pool: {
      poolId: 1,
      nodes: 5,
      indexReplicas: 3,
      dataReplicas: 2,
      regionBytes: 1 << 20,
      blockBytes: 1 << 16,
      subtables: 8,
      subtablesMax: 8,
      groupsPerSubtable: Math.ceil(2000 / 0.6 / GROUP_SLOTS / 8),
      regionsPerNode: 16,
    },
    clients: 8,
    coroutines: 4,
    requests: 10_000,
    keys: Array.from({ length: 2000 }, (_, k) => `key${k}`.padEnd(12, '.')),
    valueBytesLeast: 16,
    valueBytesMost: 16,
    skew: 2,
    cache: { bytes: 1 << 17, keyBytes: 32, threshold: 0.1 },
    latency: { leastNs: 800, jitterNs: 400, serviceNs: 5000 },
    faults: NO_FAULTS,
    rpcTimeoutNs: 1_000_000,
    thinkNs: 0,
    roundNs: 20_000,
    crashes: 0,
    cuts: 0,
    leaseNs: 1_000_000,
    recovererCrash: 0,
    isLoaded: true,
    boundNs: 0,
    nodeCrashes: 0,
  };
  const single = { ...base.pool, indexReplicas: 1, dataReplicas: 1 };
  return [
    { name: 'SEARCH', plan: { ...base, mix: [1, 0, 0, 0, 0] } },
    { name: '95 % SEARCH, 5 % PUT', plan: { ...base, mix: [95, 0, 0, 0, 5] } },
    { name: '50 % SEARCH, 50 % PUT', plan: { ...base, mix: [1, 0, 0, 0, 1] } },
    { name: '50 % SEARCH, 50 % PUT, r = 1', plan: { ...base, pool: single, mix: [1, 0, 0, 0, 1] } },
    { name: 'all five requests', plan: { ...base, mix: [1, 1, 1, 1, 1] } },
  ];
}
