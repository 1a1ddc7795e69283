/**
 * Every byte of a memory node, once (FUSEE section 4.1 and 4.4).
 *
 *     0                superblock
 *     CLIENTS_BASE     client table            (in use on the control node only)
 *     DIRECTORY_BASE   directory of the index  (in use on the nodes of subtable 0 only)
 *     indexBase        index: subtable 0 | subtable 1 | ...   (a slot has one offset, on all its replicas)
 *     dataBase         region slots: [block table | blocks] [block table | blocks] ...
 *
 *     block = [block header 64 | free bitmap, one bit per line | log heads | pad | cells]
 *
 * A 48-bit pointer is region number x region bytes + offset among the region's blocks.
 */
import { UsageError } from '../verbs/index.js';
import { assertLayout } from './assert.js';
import { LINE_BYTES } from './object.js';
import { CLASS_COUNT, CLASS_LINES } from './size-class.js';

/** What a pool is made of; fixed when it is formatted, and written into every node's superblock. */
export interface PoolConfig {
  /** Tells pools apart; a client refuses nodes of another one. */
  readonly poolId: number;
  /** Memory nodes. */
  readonly nodes: number;
  /** r_i: replicas of the index. */
  readonly indexReplicas: number;
  /** r_d: replicas of objects. */
  readonly dataReplicas: number;
  /** Power of two. */
  readonly regionBytes: number;
  /** Power of two, divides the region. */
  readonly blockBytes: number;
  /** Subtables that a fresh index has; power of two. */
  readonly subtables: number;
  /** Subtables that the index may grow to; power of two. As many as at the start: it does not grow. */
  readonly subtablesMax: number;
  /** Groups of 3 buckets in a subtable: 2 to 32768. */
  readonly groupsPerSubtable: number;
  /** Regions whose primary is on one node. */
  readonly regionsPerNode: number;
}

/** Most replicas of anything. */
export const MAX_REPLICAS = 8;
/** Most memory nodes of a pool. */
export const MAX_NODES = 64;

/** Room for the superblock, at offset 0. */
export const SUPERBLOCK_BYTES = 4096;
/** Where the client table begins: a word per client that has joined (`clients.ts`). */
export const CLIENTS_BASE = SUPERBLOCK_BYTES;
/** Clients of a pool at one time. */
export const CLIENTS_MAX = 512;
/** Where the directory begins (`directory.ts`). */
export const DIRECTORY_BASE: number = CLIENTS_BASE + CLIENTS_MAX * 8;

/** One bucket: header and slots. */
export const BUCKET_BYTES = 64;
/** Slots in a bucket, behind its 8-byte header {local depth, suffix}. */
export const BUCKET_SLOTS = 7;
/** main A | overflow | main B. */
export const GROUP_BYTES = 3 * BUCKET_BYTES;
/** A main bucket and the shared overflow: contiguous, one READ. */
export const COMBINED_BYTES = 2 * BUCKET_BYTES;
/** Slots of a combined bucket. */
export const COMBINED_SLOTS = 2 * BUCKET_SLOTS;
/** Slots of a group. */
export const GROUP_SLOTS = 3 * BUCKET_SLOTS;

/** Bytes of one entry of a region's block table: {owner CID u32, 1 + size class u32}, 0 = free. */
export const BLOCK_ENTRY_BYTES = 8;
/** Block header: {owner CID u32, size class lines u32, ...}. */
export const BLOCK_HEADER_BYTES = 64;
/** One log head: the words `head` and `freed` (`memory/log-head.ts`). */
export const LOG_HEAD_BYTES = 16;

/** One of so many blocks of a node is set aside for DELETEs. */
const RESERVE_SHARE = 32;
/** A node with fewer blocks than this sets none aside: it would lack them too much. */
const RESERVE_FROM_BLOCKS = 4;
/** Most log heads of one block: one for each coroutine that a client can have. */
const LOG_HEADS_MAX = 256;

const alignUp = (n: number, to: number): number => Math.ceil(n / to) * to;
const isPowerOfTwo = (n: number): boolean => Number.isInteger(n) && n > 0 && Number.isInteger(Math.log2(n));

function requireThat(holds: boolean, message: string): void {
  if (!holds) throw new UsageError(message);
}

function checkConfig(c: PoolConfig): void {
  const whole = (n: number, least: number, most: number): boolean =>
    Number.isInteger(n) && n >= least && n <= most;
  requireThat(whole(c.nodes, 1, MAX_NODES), `nodes is ${c.nodes}; a pool has 1 to ${MAX_NODES}`);
  for (const [name, r] of [
    ['index replicas', c.indexReplicas],
    ['data replicas', c.dataReplicas],
  ] as const) {
    requireThat(whole(r, 1, MAX_REPLICAS), `${name} is ${r}; it must be 1 to ${MAX_REPLICAS}`);
    requireThat(
      r <= c.nodes,
      `${name} is ${r} but the pool has ${c.nodes} node${c.nodes === 1 ? '' : 's'}; ` +
        'use more nodes or fewer replicas',
    );
  }
  requireThat(
    isPowerOfTwo(c.regionBytes),
    `region size is ${c.regionBytes} bytes; it must be a power of two`,
  );
  requireThat(
    isPowerOfTwo(c.blockBytes) && c.blockBytes >= 1024 && c.blockBytes <= c.regionBytes,
    `block size is ${c.blockBytes} bytes; ` +
      `it must be a power of two from 1024 to the region's ${c.regionBytes}`,
  );
  requireThat(
    isPowerOfTwo(c.subtables) && c.subtables <= 65536,
    `subtables is ${c.subtables}; use a power of two up to 65536`,
  );
  requireThat(
    isPowerOfTwo(c.subtablesMax) && c.subtablesMax >= c.subtables && c.subtablesMax <= 65536,
    `most subtables is ${c.subtablesMax}; use a power of two from the ${c.subtables} at the start to 65536`,
  );
  requireThat(
    whole(c.groupsPerSubtable, 2, 32768),
    `groups per subtable is ${c.groupsPerSubtable}; it must be 2 to 32768`,
  );
  requireThat(
    whole(c.regionsPerNode, 1, 1 << 16),
    `regions per node is ${c.regionsPerNode}; it must be 1 to 65536`,
  );
}

/** The numbers that follow from a {@link PoolConfig}; relations are asserted when it is made. */
export class Geometry {
  readonly config: PoolConfig;
  readonly subtableBytes: number;
  readonly directoryBytes: number;
  /** Where the index begins on every MN. */
  readonly indexBase: number;
  readonly dataBase: number;
  readonly blocksPerRegion: number;
  /** Block table ahead of a region's blocks. */
  readonly tableBytes: number;
  readonly regions: number;
  /** Bytes from one region slot of a node to the next. */
  readonly regionStride: number;
  /** Memory that each node must have. */
  readonly nodeBytes: number;
  readonly bitmapBytes: number;
  /** Offset of the free bitmap in a block. */
  readonly bitmapOffset = BLOCK_HEADER_BYTES;
  /** Offset of the log heads in a block, and how many it has. */
  readonly headsOffset: number;
  readonly headsPerBlock: number;
  /** Offset of the first cell in a block. */
  readonly cellsOffset: number;

  /** @throws UsageError naming the value and the limit when the configuration cannot be. */
  constructor(config: PoolConfig) {
    checkConfig(config);
    this.config = config;
    this.subtableBytes = config.groupsPerSubtable * GROUP_BYTES;
    this.directoryBytes = alignUp(8 + 8 * config.subtablesMax, LINE_BYTES);
    this.indexBase = DIRECTORY_BASE + this.directoryBytes;
    this.dataBase = alignUp(this.indexBase + config.subtablesMax * this.subtableBytes, 4096);
    this.blocksPerRegion = config.regionBytes / config.blockBytes;
    this.tableBytes = alignUp(this.blocksPerRegion * BLOCK_ENTRY_BYTES, LINE_BYTES);
    this.regions = config.nodes * config.regionsPerNode;
    this.regionStride = this.tableBytes + config.regionBytes;
    this.nodeBytes = this.dataBase + config.regionsPerNode * config.dataReplicas * this.regionStride;
    this.bitmapBytes = alignUp(config.blockBytes / LINE_BYTES / 8, 8);
    this.headsOffset = BLOCK_HEADER_BYTES + this.bitmapBytes;
    // A list has two cells of its own, so a block never holds the cells of more lists than half its lines.
    this.headsPerBlock = Math.min(LOG_HEADS_MAX, config.blockBytes / LINE_BYTES / 2);
    this.cellsOffset = alignUp(this.headsOffset + LOG_HEAD_BYTES * this.headsPerBlock, LINE_BYTES);
    requireThat(
      this.regions * config.regionBytes <= 2 ** 48,
      `${this.regions} regions of ${config.regionBytes} bytes exceed the 48 bits of a pointer; ` +
        'use smaller regions or fewer',
    );
    assertLayout(
      this.subtableBytes >= config.groupsPerSubtable * GROUP_BYTES && this.subtableBytes % GROUP_BYTES === 0,
      'neighbouring subtables do not overlap',
    );
    assertLayout(
      this.dataBase >= this.indexBase + config.subtablesMax * this.subtableBytes,
      'data lies behind the index',
    );
    assertLayout(
      this.tableBytes >= this.blocksPerRegion * BLOCK_ENTRY_BYTES,
      'the table has an entry per block',
    );
    assertLayout(this.cellsOffset < config.blockBytes, 'a block has room for cells');
    assertLayout(this.cellsOffset % LINE_BYTES === 0, 'cells are line aligned');
  }

  /** Cells of one block of a size class; 0 when the block is smaller than the cell. */
  cellsPerBlock(sizeClass: number): number {
    return Math.floor((this.config.blockBytes - this.cellsOffset) / (CLASS_LINES[sizeClass] * LINE_BYTES));
  }

  /** Largest class that a block can hold at all. */
  largestClass(): number {
    let largest = -1;
    for (let c = 0; c < CLASS_COUNT; c++) if (this.cellsPerBlock(c) >= 1) largest = c;
    return largest;
  }

  /**
   * Blocks of each node that only DELETEs get, so that a full pool can be emptied; {@link View.isReserved}
   * tells which.
   */
  get reservedPerNode(): number {
    const blocks = this.config.regionsPerNode * this.blocksPerRegion;
    return blocks < RESERVE_FROM_BLOCKS ? 0 : Math.max(1, Math.floor(blocks / RESERVE_SHARE));
  }

  /** Slots of one subtable. */
  get subtableSlots(): number {
    return this.config.groupsPerSubtable * GROUP_SLOTS;
  }
}
