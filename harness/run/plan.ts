/** Sizes a pool for a cell, and refuses one that the machine cannot hold, before anything starts. */
import { readFileSync, statfsSync } from 'node:fs';
import {
  classOfLines,
  Geometry,
  GROUP_SLOTS,
  MAX_PAYLOAD_BYTES,
  objectLines,
  type PoolConfig,
} from '../../fusee/layout/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { keyStrideBytes, RequestKind, type Trace, workloadSpec } from '../../workloads/index.js';

/** What decides how much memory a cell needs. */
export interface CellSize {
  readonly workload: string;
  readonly searchRatio?: number | undefined;
  readonly nodes: number;
  readonly indexReplicas: number;
  readonly dataReplicas: number;
  readonly clients: number;
  readonly coroutines: number;
  readonly records: number;
  /** Of all clients together. */
  readonly requests: number;
  readonly kvBytes: number;
}

/** Keys and objects that a cell makes at most. */
export interface Demand {
  readonly keys: number;
  /** Objects per size class, log objects of DELETEs included. */
  readonly objects: ReadonlyMap<number, number>;
}

/** The index is planned this full, which leaves room for chance. */
const PLANNED_LOAD = 0.55;
/** A full-grown index may be this full: subtables of 256 groups take 0.9 before they must split. */
const GROWN_LOAD = 0.8;
/** 48 KiB, some 4,900 keys at a split. */
const GROWING_GROUPS = 256;
/** The layout's limit. */
const SUBTABLES_MAX = 1 << 16;
const BLOCK_BYTES = 1 << 20;
/** A pool has few large regions, but a small pool need not have one of them. */
const REGION_BYTES_MAX = 1 << 24;
const SUBTABLES = 16;
/** The layout's limit is 32768. */
const GROUPS_MAX = 1 << 14;
/** Bytes that stay free for others. */
const SPARE_BYTES = 64 << 20;

/** Bytes of a value such that key and value make `kvBytes`: keys have room for 24. */
export function valueBytesOf(kvBytes: number): number {
  const valueBytes = kvBytes - keyStrideBytes;
  if (!Number.isInteger(kvBytes) || valueBytes < 1 || kvBytes > MAX_PAYLOAD_BYTES) {
    throw new UsageError(
      `the KV size is ${kvBytes} bytes; ` +
        `choose one from ${keyStrideBytes + 1} to ${MAX_PAYLOAD_BYTES} bytes, ` +
        `key (${keyStrideBytes}) and value together`,
    );
  }
  return valueBytes;
}

/** What a generated workload writes. Every write counts as a new cell: no figure is to depend on reclaim. */
export function workloadDemand(size: CellSize): Demand {
  const { records, searchRatio } = size;
  const spec = workloadSpec(size.workload, searchRatio === undefined ? {} : { searchRatio });
  const { shares } = spec;
  const isPrivate = spec.keySpace === 'private';
  // Requests and private keys are dealt to coroutines in equal shares, so they are rounded up for each.
  const lanes = size.clients * size.coroutines;
  const requests = size.requests + lanes;
  // A tenth more than the expectation: streams are drawn, not dealt.
  const of = (share: number): number =>
    share === 0 ? 0 : Math.min(requests, Math.ceil(requests * share * 1.1) + 1000);
  const preload = isPrivate ? (shares.remove > 0 ? Math.max(records, requests) : records) + lanes : records;
  const loaded = isPrivate && shares.insert > 0 ? 0 : preload;
  const keys = loaded + of(shares.insert);
  const objects = new Map<number, number>();
  const add = (valueBytes: number, count: number): void => {
    const sizeClass = classOfLines(objectLines(keyStrideBytes, valueBytes));
    if (count > 0) objects.set(sizeClass, (objects.get(sizeClass) ?? 0) + count);
  };
  add(valueBytesOf(size.kvBytes), keys + of(shares.update + shares.readModifyWrite));
  add(0, of(shares.remove));
  return { keys, objects };
}

/**
 * What a trace writes, loads included.
 * @throws UsageError for a key or value that no object holds.
 */
export function traceDemand(trace: Trace): Demand {
  const { table, kinds, keys, valueSizes, valueBytes } = trace;
  const objects = new Map<number, number>();
  const add = (key: number, value: number): void => {
    const keyBytes = table.lengths[key];
    if (keyBytes + value > MAX_PAYLOAD_BYTES) {
      throw new UsageError(
        `trace ${trace.path} has a key of ${keyBytes} bytes with a value of ${value} bytes; ` +
          `an object holds ${MAX_PAYLOAD_BYTES} together: shorten them`,
      );
    }
    const sizeClass = classOfLines(objectLines(keyBytes, value));
    objects.set(sizeClass, (objects.get(sizeClass) ?? 0) + 1);
  };
  trace.loadKeys.forEach((key, i) => {
    add(key, trace.loadSizes[i]);
  });
  for (let i = 0; i < kinds.length; i++) {
    if (kinds[i] === RequestKind.SEARCH) add(keys[i], 0);
    else add(keys[i], kinds[i] === RequestKind.DELETE ? 0 : (valueSizes?.[i] ?? valueBytes));
  }
  return { keys: table.rowCount, objects };
}

/** A pool configuration that holds the cell. @throws UsageError naming the value and the limit. */
export function planPool(size: CellSize, demand: Demand = workloadDemand(size)): PoolConfig {
  const { nodes, indexReplicas, dataReplicas, clients, coroutines } = size;
  const shape = { poolId: 1, nodes, indexReplicas, dataReplicas, blockBytes: BLOCK_BYTES };
  const index = indexOf(demand.keys);
  const base = { ...shape, ...index, regionBytes: BLOCK_BYTES, regionsPerNode: 1 };
  const geometry = new Geometry(base);
  let blocks = 0;
  for (const [sizeClass, objects] of demand.objects) {
    const cells = geometry.cellsPerBlock(sizeClass);
    // Each client leaves a begun block, in two classes where key lengths differ, and two cells per coroutine.
    blocks += Math.ceil(objects / cells) + clients * (2 + Math.ceil((2 * coroutines) / cells));
  }
  const blocksPerNode = Math.ceil(Math.max(1, blocks) / nodes);
  const regionBytes = Math.min(REGION_BYTES_MAX, 2 ** Math.ceil(Math.log2(blocksPerNode)) * BLOCK_BYTES);
  return withBlocks({ ...base, regionBytes }, blocksPerNode);
}

/** The pool with as many regions as give each node so many blocks, besides those set aside for DELETEs. */
export function withBlocks(config: PoolConfig, blocksPerNode: number): PoolConfig {
  for (let regionsPerNode = 1; ; regionsPerNode++) {
    const { blocksPerRegion, reservedPerNode } = new Geometry({ ...config, regionsPerNode });
    if (regionsPerNode * blocksPerRegion - reservedPerNode >= blocksPerNode)
      return { ...config, regionsPerNode };
  }
}

/** What of a pool is its index. */
export type Index = Pick<PoolConfig, 'subtables' | 'subtablesMax' | 'groupsPerSubtable'>;

/**
 * An index for so many keys: more subtables once their groups would exceed the layout's limit. It does not
 * grow, so that a cell measures requests and no splits.
 */
export function indexOf(keys: number): Index {
  let subtables = SUBTABLES;
  const groups = (): number => Math.ceil(keys / PLANNED_LOAD / GROUP_SLOTS / subtables);
  while (groups() > GROUPS_MAX) subtables *= 2;
  return { subtables, subtablesMax: subtables, groupsPerSubtable: Math.max(4, groups()) };
}

/**
 * An index that grows up to so many keys. It begins with a sixteenth of its subtables; they are small, since
 * the writers of one wait while it splits.
 */
export function growingIndexOf(keys: number): Index {
  let groups = GROWING_GROUPS;
  const most = (): number => 2 ** Math.ceil(Math.log2(keys / GROWN_LOAD / GROUP_SLOTS / groups));
  while (most() > SUBTABLES_MAX) groups *= 2;
  const subtablesMax = Math.max(SUBTABLES, most());
  return { subtables: subtablesMax / SUBTABLES, subtablesMax, groupsPerSubtable: groups };
}

/** Free bytes: of shared memory, and of memory altogether. */
export interface Available {
  readonly shm: number;
  readonly memory: number;
}

/** What the machine has free now. */
export function availableBytes(): Available {
  const { bavail, bsize } = statfsSync('/dev/shm');
  const meminfo = /MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'));
  return {
    shm: bavail * bsize,
    memory: meminfo === null ? Number.POSITIVE_INFINITY : Number(meminfo[1]) * 1024,
  };
}

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/**
 * Refuses what the machine cannot hold, with the numbers, before anything starts.
 * @param options.nodes how many of the pool's nodes are to run here. @default all
 * @param options.clientBytes memory that clients take besides the pool. @default 0
 * @throws UsageError naming need and room.
 */
export function requireRoom(
  config: PoolConfig,
  options: { nodes?: number; clientBytes?: number; available?: Available } = {},
): void {
  const { nodes = config.nodes, clientBytes = 0, available = availableBytes() } = options;
  const { nodeBytes } = new Geometry(config);
  const need = nodeBytes * nodes;
  const parts = nodes === 1 ? '' : ` (${nodes} nodes of ${mib(nodeBytes)})`;
  const free = (bytes: number): string => mib(Math.max(0, bytes - SPARE_BYTES));
  const wayOut = 'use fewer records, requests, keys or replicas, or smaller values';
  if (need > available.shm - SPARE_BYTES) {
    throw new UsageError(
      `${nodes === 1 ? 'a node' : 'the pool'} needs ${mib(need)} of shared memory${parts}, ` +
        `${free(available.shm)} of /dev/shm are free; ${wayOut}, or enlarge /dev/shm`,
    );
  }
  if (need + clientBytes > available.memory - SPARE_BYTES) {
    throw new UsageError(
      `${mib(need)} of shared memory${parts} and ${mib(clientBytes)} for clients are needed, ` +
        `${free(available.memory)} of memory are free; ${wayOut}`,
    );
  }
}
