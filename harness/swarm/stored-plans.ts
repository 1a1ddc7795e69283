/**
 * Plans that once failed, whole: what a seed stands for changes whenever plans draw something more, and then
 * it no longer repeats what it was kept for. Each still fails when its fix is taken out, as long as the
 * protocol posts the same verbs. What most of them have in common stands once; each says where it differs.
 */
import type { SwarmPlan } from './plan.js';

/** All but the seed and the keys, as most plans have it. */
const COMMON: Omit<SwarmPlan, 'seed' | 'keys'> = {
  pool: {
    poolId: 1,
    nodes: 3,
    indexReplicas: 3,
    dataReplicas: 3,
    subtables: 1,
    subtablesMax: 1,
    groupsPerSubtable: 2,
    blockBytes: 4096,
    regionBytes: 8192,
    regionsPerNode: 4,
  },
  clients: 1,
  coroutines: 1,
  requests: 1,
  valueBytesLeast: 8,
  valueBytesMost: 30,
  mix: [1, 1, 1, 1, 1],
  skew: 1,
  cache: { bytes: 1024, keyBytes: 32, threshold: 0.1 },
  latency: { leastNs: 100, jitterNs: 200, serviceNs: 5000 },
  faults: {
    tear: 0.02,
    tearNs: 5000,
    delay: 0,
    delayNs: 10_000,
    rpcLoss: 0,
    rpcDuplication: 0,
    survival: 0.3,
  },
  rpcTimeoutNs: 500_000,
  thinkNs: 100,
  roundNs: 30_000,
  crashes: 1,
  cuts: 0,
  leaseNs: 20_000,
  recovererCrash: 0,
  isLoaded: false,
  boundNs: 0,
  nodeCrashes: 1,
};

/** Names apart by blanks. */
const names = (text: string): string[] => text.split(' ');

/** A live client whose lost link took a reset that nobody waited for: its cell differs, and is excused. */
export const LOST_LINK: SwarmPlan = {
  ...COMMON,
  seed: 355,
  pool: {
    ...COMMON.pool,
    nodes: 5,
    indexReplicas: 4,
    subtablesMax: 8,
    regionBytes: 4096,
    regionsPerNode: 150,
  },
  requests: 642,
  keys: names(
    'k0 k1. k2.. k3 k4. k5.. k6 k7. k8.. k9 k10 k11. k12 k13 k14. k15 k16 k17. k18 k19 k20. k21 k22 k23. k24',
  ),
  valueBytesLeast: 0,
  valueBytesMost: 600,
  mix: [4, 1, 1, 1, 1],
  skew: 2,
  latency: { ...COMMON.latency, leastNs: 800, jitterNs: 1000 },
  faults: { ...COMMON.faults, delay: 0.1, delayNs: 3000, rpcDuplication: 0.5 },
  rpcTimeoutNs: 100_000,
  crashes: 2,
  cuts: 1,
  nodeCrashes: 0,
};

/** A cell that was freed, and its entry zeroed, while its own request went on: recovery lost the next one. */
export const FREED_UNDER_REQUEST: SwarmPlan = {
  ...COMMON,
  seed: 739,
  pool: {
    ...COMMON.pool,
    nodes: 4,
    indexReplicas: 1,
    dataReplicas: 1,
    groupsPerSubtable: 5,
    blockBytes: 1024,
    regionBytes: 2048,
    regionsPerNode: 3,
  },
  clients: 6,
  coroutines: 4,
  requests: 37,
  keys: names('k0 k1. k2.. k3 k4. k5.. k6 k7. k8.. k9'),
  valueBytesLeast: 0,
  valueBytesMost: 20,
  mix: [2, 2, 0, 2, 0],
  skew: 4,
  cache: { ...COMMON.cache, bytes: 0 },
  latency: { ...COMMON.latency, leastNs: 500, jitterNs: 1000 },
  faults: {
    ...COMMON.faults,
    delay: 0.1,
    delayNs: 1_000_000,
    rpcLoss: 0.3,
    rpcDuplication: 0.5,
    survival: 0.95,
  },
  thinkNs: 3000,
  crashes: 3,
  leaseNs: 2_000_000,
  nodeCrashes: 0,
};

/**
 * Two of three index replicas die, and a client that had freed an object on some replicas only: no log tells
 * which, so its bit stays on those. Excused.
 */
export const UNLOGGED_BITS: SwarmPlan = {
  ...COMMON,
  seed: 2546517013811594,
  pool: { ...COMMON.pool, nodes: 5, regionsPerNode: 6 },
  clients: 2,
  coroutines: 4,
  keys: names('k2......'),
  valueBytesLeast: 4,
  mix: [0, 0, 0, 0, 3],
  cache: { ...COMMON.cache, bytes: 0 },
  faults: { ...COMMON.faults, delayNs: 3000 },
  roundNs: 300_000,
  cuts: 1,
  nodeCrashes: 2,
};

/**
 * A client whose link to the last living node is cut reads from a dead one: its batch was mended, failed, and
 * was mended again, for ever.
 */
export const MENDED_FOR_EVER: SwarmPlan = {
  ...COMMON,
  seed: 2546517013811659,
  pool: { ...COMMON.pool, regionsPerNode: 6 },
  keys: names('k2......'),
  valueBytesLeast: 4,
  mix: [0, 0, 0, 0, 3],
  cache: { ...COMMON.cache, bytes: 0 },
  faults: { ...COMMON.faults, tear: 0, tearNs: 0, delayNs: 0, survival: 0.75 },
  roundNs: 0,
  cuts: 1,
  nodeCrashes: 2,
};

/**
 * A client died while it committed a log, then the primary of its slot: its word stood, committed on some
 * replicas only, and its recovery freed the object that the slot named.
 */
export const TORN_COMMIT: SwarmPlan = {
  ...COMMON,
  seed: 200448,
  pool: { ...COMMON.pool, blockBytes: 2048 },
  clients: 2,
  coroutines: 3,
  requests: 11,
  keys: names('k59..... k728.... k834.... k1563... k1579... k1657... k2973... k3456...'),
  valueBytesMost: 120,
  cache: { ...COMMON.cache, threshold: 1 },
  latency: { ...COMMON.latency, jitterNs: 1000, serviceNs: 1000 },
  faults: { ...COMMON.faults, tearNs: 2000, rpcDuplication: 0.1 },
  rpcTimeoutNs: 50_000,
  boundNs: 1_000_000,
};

/**
 * A client died while it entered a block, then the node that had granted it: free by its new primary, the
 * dead client's by a backup, for good.
 */
export const STALE_ENTRY: SwarmPlan = {
  ...COMMON,
  seed: 201111,
  pool: { ...COMMON.pool, nodes: 4, subtables: 2, subtablesMax: 2, blockBytes: 2048 },
  clients: 4,
  requests: 17,
  keys: names('k0. k1.. k2... k3. k4..'),
  valueBytesMost: 120,
  mix: [2, 0, 0, 1, 3],
  skew: 2,
  latency: { ...COMMON.latency, leastNs: 500, serviceNs: 1000 },
  faults: { ...COMMON.faults, tear: 0.3, tearNs: 100, rpcLoss: 0.05, rpcDuplication: 0.1 },
  rpcTimeoutNs: 50_000,
  thinkNs: 0,
  leaseNs: 200_000,
  isLoaded: true,
  boundNs: 1_000_000,
};

/**
 * A data replica died while an INSERT took its word back: in the next view its tombstone was claimed as if it
 * were a new word, and the INSERT answered OK for a key that nobody had.
 */
export const UNDO_RESUMED: SwarmPlan = {
  ...COMMON,
  seed: 2210175287202132,
  pool: { ...COMMON.pool, indexReplicas: 2, dataReplicas: 2, blockBytes: 2048 },
  clients: 3,
  coroutines: 3,
  requests: 4,
  keys: names('k2...... k3...... k5......'),
  mix: [1, 2, 1, 2, 0],
  latency: { ...COMMON.latency, leastNs: 500, jitterNs: 1000, serviceNs: 1000 },
  faults: { ...COMMON.faults, tearNs: 2000, delay: 0.02, survival: 0.75 },
  rpcTimeoutNs: 50_000,
  crashes: 0,
  recovererCrash: 0.3,
  isLoaded: true,
  boundNs: 1_000_000,
};

/**
 * A client was giving a block back when a node joined, with a copy of that block's entry from before: nobody
 * took it out of the new backup's table.
 */
export const ENTRY_COPIED: SwarmPlan = {
  ...COMMON,
  seed: 1247603349775892,
  pool: {
    ...COMMON.pool,
    indexReplicas: 2,
    blockBytes: 2048,
    regionBytes: 4096,
    regionsPerNode: 53,
  },
  clients: 2,
  keys: names('k0..............'),
  valueBytesMost: 8,
  mix: [0, 2, 0, 0, 0],
  cache: { bytes: 0, keyBytes: 32, threshold: 1 },
  latency: { leastNs: 800, jitterNs: 1, serviceNs: 1000 },
  faults: { ...COMMON.faults, tear: 0, tearNs: 0, delayNs: 0, survival: 0.75 },
  thinkNs: 0,
  roundNs: 3000,
  crashes: 0,
  leaseNs: 200_000,
  refillNs: 20_000,
  fillDeath: 0,
};
