/**
 * The pool of a verified cell: so small that it must reclaim what the cell writes, with an index that must
 * grow. What a bench's own pools leave out, so that figures do not depend on it, is checked here.
 */
import { CLASS_LINES, Geometry, GROUP_SLOTS, LINE_BYTES, type PoolConfig } from '../../fusee/layout/index.js';
import {
  type CellSize,
  type Demand,
  growingIndexOf,
  type Index,
  withBlocks,
  workloadDemand,
} from './plan.js';

/** Times that a pool is larger than what its live objects and tombstones take. */
const SLACK = 2.5;
/**
 * Cells that each client has besides, and those per coroutine: lists take two ahead, and what others have
 * freed waits for their rounds and for grace, while the machine may do other things.
 */
const CELLS_PER_CLIENT = 256;
const CELLS_PER_COROUTINE = 8;
/** Small blocks, of which some run empty; each holds so many cells at least. */
const BLOCK_BYTES_LEAST = 1 << 12;
const BLOCK_CELLS_LEAST = 16;
const REGION_BLOCKS_MAX = 64;
/** Subtables that a small index takes in the end, about, and those that it may take: chance is uneven. */
const SUBTABLES_AIM = 16;
const SUBTABLES_MAX = 64;
/** An index whose subtables would have more groups than this grows as those of users do. */
const SMALL_GROUPS_MAX = 256;
const GROUPS_LEAST = 2;

/** A pool that holds what a cell keeps alive, and not what it writes. @throws UsageError as `Geometry`. */
export function planVerified(size: CellSize, demand: Demand = workloadDemand(size)): PoolConfig {
  const { nodes, indexReplicas, dataReplicas, clients, coroutines } = size;
  const blockBytes = blockBytesFor(Math.max(...demand.objects.keys()));
  const base = {
    poolId: 1,
    nodes,
    indexReplicas,
    dataReplicas,
    blockBytes,
    regionBytes: blockBytes,
    regionsPerNode: 1,
    ...verifiedIndexOf(demand.keys),
  };
  const geometry = new Geometry(base);
  let blocks = 0;
  for (const [sizeClass, objects] of demand.objects) {
    const own = clients * (CELLS_PER_CLIENT + CELLS_PER_COROUTINE * coroutines);
    const cells = SLACK * Math.min(objects, demand.keys) + own;
    // Key lengths differ, so each client may have begun a block of two classes.
    blocks += Math.ceil(cells / geometry.cellsPerBlock(sizeClass)) + 2 * clients;
  }
  const perNode = Math.ceil(blocks / nodes);
  const regionBytes = blockBytes * Math.min(REGION_BLOCKS_MAX, 2 ** Math.ceil(Math.log2(perNode)));
  return withBlocks({ ...base, regionBytes }, perNode);
}

/** Bytes of blocks that hold enough cells of a class, with all that a block holds besides. */
function blockBytesFor(sizeClass: number): number {
  const bytes = CLASS_LINES[sizeClass] * LINE_BYTES * (BLOCK_CELLS_LEAST + 1);
  return Math.max(BLOCK_BYTES_LEAST, 2 ** Math.ceil(Math.log2(bytes)));
}

/** An index that begins with one subtable and splits some fifteen times until it has so many keys. */
function verifiedIndexOf(keys: number): Index {
  const groups = Math.ceil(keys / GROUP_SLOTS / SUBTABLES_AIM);
  if (groups > SMALL_GROUPS_MAX) return growingIndexOf(keys);
  return {
    subtables: 1,
    subtablesMax: SUBTABLES_MAX,
    groupsPerSubtable: Math.max(GROUPS_LEAST, groups),
  };
}
