/** Sizes a pool for a cell, and refuses one that the machine cannot hold, before anything starts. */
import { readFileSync, statfsSync } from 'node:fs';
import {
  CLASS_LINES,
  classOfLines,
  Geometry,
  GROUP_SLOTS,
  LINE_BYTES,
  MAX_PAYLOAD_BYTES,
  objectLines,
  type PoolConfig,
} from '../../fusee/layout/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { keyStrideBytes, workloadSpec } from '../../workloads/index.js';

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

/** The index is planned this full, which leaves room for chance. */
const PLANNED_LOAD = 0.55;
const BLOCK_BYTES = 1 << 20;
const REGION_BYTES = 1 << 24;
const SUBTABLES = 16;
/** Regions that stay free in /dev/shm for others. */
const SPARE_SHM_BYTES = 64 << 20;

/** Bytes of a value such that key and value make `kvBytes`: keys have room for 24. */
export function valueBytesOf(kvBytes: number): number {
  const valueBytes = kvBytes - keyStrideBytes;
  if (!Number.isInteger(kvBytes) || valueBytes < 1 || kvBytes > MAX_PAYLOAD_BYTES) {
    throw new UsageError(
      `KV size is ${kvBytes} bytes; key (${keyStrideBytes} bytes) and value together take ` +
        `${keyStrideBytes + 1} to ${MAX_PAYLOAD_BYTES} bytes`,
    );
  }
  return valueBytes;
}

/** Keys and objects that a cell makes at most. Nothing is reclaimed yet, so every write takes a new cell. */
function demand(size: CellSize): { keys: number; objects: number } {
  const { records, requests } = size;
  if (size.workload === 'trace') return { keys: records + requests, objects: records + requests };
  const spec = workloadSpec(
    size.workload,
    size.searchRatio === undefined ? {} : { searchRatio: size.searchRatio },
  );
  const { shares } = spec;
  // A tenth more than the expectation: streams are drawn, not dealt.
  const of = (share: number): number =>
    share === 0 ? 0 : Math.min(requests, Math.ceil(requests * share * 1.1) + 1000);
  const preload = spec.keySpace === 'private' && shares.remove > 0 ? Math.max(records, requests) : records;
  const loaded =
    spec.keySpace === 'private' && shares.insert > 0 ? 0 : preload + size.clients * size.coroutines;
  const inserts = of(shares.insert);
  const writes = of(shares.update + shares.readModifyWrite) + of(shares.remove);
  return { keys: loaded + inserts, objects: loaded + inserts + writes };
}

/** A pool configuration that holds the cell. @throws UsageError naming the value and the limit. */
export function planPool(size: CellSize): PoolConfig {
  const { keys, objects } = demand(size);
  const lines = objectLines(keyStrideBytes, valueBytesOf(size.kvBytes));
  const cellBytes = CLASS_LINES[classOfLines(lines)] * LINE_BYTES;
  const groups = Math.max(4, Math.ceil(keys / PLANNED_LOAD / GROUP_SLOTS / SUBTABLES));
  const base: PoolConfig = {
    poolId: 1,
    nodes: size.nodes,
    indexReplicas: size.indexReplicas,
    dataReplicas: size.dataReplicas,
    regionBytes: REGION_BYTES,
    blockBytes: BLOCK_BYTES,
    subtables: SUBTABLES,
    groupsPerSubtable: groups,
    regionsPerNode: 1,
  };
  const geometry = new Geometry(base);
  const cells = Math.floor((BLOCK_BYTES - geometry.cellsOffset) / cellBytes);
  // Each client leaves a begun block in each class it uses: values, and the log objects of DELETEs.
  const blocks = Math.ceil(objects / cells) + size.clients * (2 + Math.ceil((2 * size.coroutines) / cells));
  return { ...base, regionsPerNode: Math.ceil(blocks / geometry.blocksPerRegion / size.nodes) };
}

/** Free bytes of shared memory, and of memory altogether. */
export function availableBytes(): { shm: number; memory: number } {
  const { bavail, bsize } = statfsSync('/dev/shm');
  const meminfo = /MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'));
  return {
    shm: bavail * bsize,
    memory: meminfo === null ? Number.POSITIVE_INFINITY : Number(meminfo[1]) * 1024,
  };
}

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** @throws UsageError when the pool exceeds the machine's shared memory: with the numbers, before anything starts. */
export function requireRoom(
  config: PoolConfig,
  available: { shm: number; memory: number } = availableBytes(),
): void {
  const need = new Geometry(config).nodeBytes * config.nodes;
  const room = Math.min(available.shm, available.memory) - SPARE_SHM_BYTES;
  if (need <= room) return;
  throw new UsageError(
    `the pool needs ${mib(need)} of shared memory (${config.nodes} nodes of ${mib(need / config.nodes)}), ` +
      `${mib(Math.max(0, room))} are free; use fewer records, requests or replicas, or smaller values`,
  );
}
