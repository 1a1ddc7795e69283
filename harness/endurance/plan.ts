/** Pools of the long-running checks. */
import {
  CLASS_LINES,
  classOfLines,
  GROUP_SLOTS,
  LINE_BYTES,
  objectLines,
  type PoolConfig,
} from '../../fusee/layout/index.js';
import { indexOf, withBlocks } from '../run/plan.js';
import { CHURN_SIZES, GROWTH_VALUE_BYTES, UPDATE_SIZES } from './loads.js';
import type { Load } from './messages.js';

/** Longest names of keys. */
const KEY_BYTES = 23;
/** A growing index ends no fuller than this, so that chance does not need yet another level. */
const GROWN_LOAD = 0.7;

/** Loads of the endurance check. */
export const ENDURANCE_LOADS = [
  'update-zipfian',
  'update-uniform',
  'update',
  'churn',
  'churn-shift',
] as const;
export type EnduranceLoad = (typeof ENDURANCE_LOADS)[number];

/** What decides the pool and the keys of an endurance check. */
export interface EnduranceSize {
  /** Bytes of the pool's data regions, a power of two, each byte once whatever the replicas. */
  readonly dataBytes: number;
  /** Times that the pool is larger than what its live objects and tombstones take. */
  readonly slack: number;
  readonly nodes: number;
  readonly replicas: number;
  readonly clients: number;
  readonly coroutines: number;
}

/** Small beside the pool, since each client has begun blocks of each class: 128 in a pool, or 64 KiB. */
const blockBytesOf = (dataBytes: number): number => Math.min(1 << 16, dataBytes / 128);

const cellBytes = (valueBytes: number): number =>
  CLASS_LINES[classOfLines(objectLines(KEY_BYTES, valueBytes))] * LINE_BYTES;

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/** The pool of an endurance check, and what each of its clients does. */
export function planEndurance(kind: EnduranceLoad, size: EnduranceSize): { config: PoolConfig; load: Load } {
  const { dataBytes, slack, nodes, replicas, clients, coroutines } = size;
  const liveBytes = dataBytes / slack;
  const isChurn = kind === 'churn' || kind === 'churn-shift';
  // Half of the churned keys are there; the other half has tombstones.
  const perKey = isChurn
    ? mean(CHURN_SIZES.flat().map(cellBytes)) / 2 + LINE_BYTES / 2
    : mean(UPDATE_SIZES.map(cellBytes));
  const keys = Math.floor(liveBytes / perKey);
  const lanes = clients * coroutines;
  const skews = { 'update-zipfian': 'zipfian', 'update-uniform': 'uniform', update: 'both' } as const;
  const load: Load = isChurn
    ? { kind: 'churn', keysPerCoroutine: Math.floor(keys / lanes), shifts: kind === 'churn-shift' }
    : { kind: 'update', keys, skew: skews[kind] };
  const regionsPerNode = 2;
  const regionBytes = 2 ** Math.floor(Math.log2(dataBytes / nodes / regionsPerNode));
  const config: PoolConfig = {
    poolId: 1,
    nodes,
    indexReplicas: replicas,
    dataReplicas: replicas,
    blockBytes: blockBytesOf(dataBytes),
    regionBytes,
    regionsPerNode: Math.round(dataBytes / nodes / regionBytes),
    ...indexOf(keys),
  };
  return { config, load };
}

/** What decides the pool of a growth check. */
export interface GrowthSize {
  readonly keys: number;
  readonly groups: number;
  readonly nodes: number;
  readonly replicas: number;
  /** Clients that INSERT. */
  readonly clients: number;
  readonly coroutines: number;
}

/** A pool whose index begins with one subtable and has room to grow to so many keys. */
export function planGrowth({ keys, groups, nodes, replicas, clients, coroutines }: GrowthSize): PoolConfig {
  const blockBytes = keys > 2e6 ? 1 << 20 : 1 << 17;
  const perBlock = Math.floor((0.95 * blockBytes) / cellBytes(GROWTH_VALUE_BYTES));
  // Keys whose names are short have another class, perhaps; each list has two cells ahead, in each class.
  const blocks = Math.ceil((keys * 1.02 + 4 * clients * coroutines) / perBlock) + 4 * clients;
  const regionBytes = Math.min(1 << 24, 2 ** Math.ceil(Math.log2((blocks * blockBytes) / nodes)));
  const subtablesMax = 2 ** Math.max(1, Math.ceil(Math.log2(keys / GROWN_LOAD / (groups * GROUP_SLOTS))));
  const config = {
    poolId: 1,
    nodes,
    indexReplicas: replicas,
    dataReplicas: replicas,
    blockBytes,
    regionBytes,
    regionsPerNode: 1,
    subtables: 1,
    subtablesMax,
    groupsPerSubtable: groups,
  };
  return withBlocks(config, Math.ceil(blocks / nodes));
}
