/** What a walk over a pool's memory brings: every byte in one category, and what does not add up. */
import { CLASS_COUNT, CLASS_LINES, LINE_BYTES, type PoolConfig } from '../layout/index.js';

/** Where a byte of a node's memory can belong; each belongs to exactly one. */
export const CATEGORIES = [
  /** The superblock's page. */
  'superblock',
  /** The client table, on the control node. */
  'clients',
  /** The directory of the index, on its nodes. */
  'directory',
  /** Subtables of the index that the node holds: bucket headers and slots. */
  'index',
  /**
   * Room on the node for subtables that do not exist yet; it may hold what a split left that was given up.
   */
  'index-spare',
  /** Block tables. */
  'table',
  /** Headers, free bitmaps and log heads of owned blocks. */
  'header',
  /** Cells whose object a slot names as a key's value. */
  'live',
  /** Cells whose object a slot names as its tombstone. */
  'tombstone',
  /**
   * Cells with a log entry, whose object no slot names and no bit frees, but which somebody still has in
   * hand: a client that is at work, or a log list, which ends with the cell (its next request writes it
   * over, or somebody has to find out what became of its request).
   */
  'garbage',
  /**
   * The same in nobody's hands: no client is at work, and no log list ends with the cell. It stays until
   * somebody recovers the client that should have freed it. Clients that end their requests and rest leave
   * none, so it is no finding, but a leak until then.
   */
  'unfreed',
  /** Cells whose free bit is set: their owner has still to take them back, or their grace is under way. */
  'awaiting',
  /**
   * Cells that have been used and have no log entry: to be handed out again. Those whose grace is under way
   * without a bit, because they lost their round, look the same.
   */
  'free',
  /** Cells that were never written. */
  'fresh',
  /** Ends of owned blocks that hold no whole cell. */
  'slack',
  /** Blocks that belong to nobody. */
  'unassigned',
  /** Blocks whose table entry no client can have written. */
  'unknown',
  /** Bytes that the layout gives no meaning on this node. */
  'outside',
] as const;
export type Category = (typeof CATEGORIES)[number];

/** What is wrong, by kind: README.md says what each means. */
export type FindingKind =
  | 'superblock'
  | 'clients'
  | 'directory'
  | 'bucket-header'
  | 'slot-replicas'
  | 'slot-kind'
  | 'no-cell'
  | 'object'
  | 'key-place'
  | 'key-twice'
  | 'named-twice'
  | 'table-replicas'
  | 'table-entry'
  | 'block-header'
  | 'bitmap'
  | 'free-named'
  | 'freed-twice'
  | 'log'
  | 'log-link'
  | 'log-head'
  | 'log-list'
  | 'torn'
  | 'data-replicas'
  | 'not-zero'
  | 'accounting';

/** One thing that does not add up. */
export interface Finding {
  readonly kind: FindingKind;
  /** The MN whose memory is wrong; of replicas that differ, the one that differs from the primary. */
  readonly node: number;
  /** `slot 4104`, `cell 70144`, `block 65536`, `offset 4096`: index and data by what all nodes call them. */
  readonly where: string;
  readonly message: string;
}

/** Cells of one size class on one node, replicas included. */
export interface ClassReport {
  readonly sizeClass: number;
  readonly cellBytes: number;
  readonly blocks: number;
  readonly live: number;
  readonly tombstones: number;
  /** Their free bit is set. */
  readonly awaiting: number;
  /** Without a log entry: used before and never used together, which only a walk that reads objects tells. */
  readonly free: number;
  /** With a log entry: no slot names them, and no bit frees them. */
  readonly unnamed: number;
  /** Share of the blocks' bytes that no live object's cell takes. */
  readonly fragmentation: number;
}

/** One node's memory. */
export interface NodeReport {
  readonly node: number;
  readonly nodeBytes: number;
  /** By the view of the pool's master: nobody looks at its memory any more. */
  readonly isDead: boolean;
  /** Bytes by category, which sum up to `nodeBytes`; null when objects were not read, or the node is dead. */
  readonly bytes: Readonly<Record<Category, number>> | null;
  /** Size classes that have blocks here, ascending. */
  readonly classes: readonly ClassReport[];
}

/** The index, each slot once. */
export interface IndexReport {
  readonly slots: number;
  readonly live: number;
  readonly tombstones: number;
  /** Share of the slots, of subtables that exist, that hold a key. */
  readonly loadFactor: number;
  /** Subtables that exist. */
  readonly subtables: number;
  /** How many there are of each local depth. */
  readonly depths: readonly { readonly depth: number; readonly subtables: number }[];
  /** Subtables that have split since the pool was formatted. */
  readonly splits: number;
}

/** A client that is at work: it may have requests in flight. */
export interface ClientReport {
  /** Its place in the client table. */
  readonly place: number;
  readonly cid: number;
  /** Grows whenever all its requests of a time have ended. */
  readonly period: number;
}

/** What a walk found. */
export interface PoolReport {
  readonly config: PoolConfig;
  /** False when superblocks or the directory are wrong: nothing behind them was looked at. */
  readonly isComplete: boolean;
  /** Clients at work; those that rest, or have been killed and recovered, are in no word. */
  readonly clients: readonly ClientReport[];
  readonly index: IndexReport;
  readonly nodes: readonly NodeReport[];
  /** The first of them, at most {@link FINDINGS_KEPT}. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  readonly findingsByKind: Readonly<Partial<Record<FindingKind, number>>>;
}

/** A finding as a line of text. */
export const describeFinding = ({ kind, node, where, message }: Finding): string =>
  `node ${node}, ${where}: ${kind}: ${message}`;

/** Findings that a report holds; the rest is only counted, so that a ruined pool needs no more memory. */
export const FINDINGS_KEPT = 1000;

/** Collects findings. */
export class Findings {
  readonly kept: Finding[] = [];
  readonly byKind: Partial<Record<FindingKind, number>> = {};
  count = 0;

  /** Notes a finding. */
  add(kind: FindingKind, node: number, where: string, message: string): void {
    this.count++;
    this.byKind[kind] = (this.byKind[kind] ?? 0) + 1;
    if (this.kept.length < FINDINGS_KEPT) this.kept.push({ kind, node, where, message });
  }
}

/** What a cell can be, as {@link NodeAccount} counts it. */
export const CellKind = { UNNAMED: 0, LIVE: 1, TOMBSTONE: 2, AWAITING: 3, FREE: 4 } as const;
export type CellKind = (typeof CellKind)[keyof typeof CellKind];
const CELL_KINDS = Object.keys(CellKind).length;

/** Counts of one node. */
export class NodeAccount {
  readonly bytes = Object.fromEntries(CATEGORIES.map((name) => [name, 0])) as Record<Category, number>;
  readonly #blocks = new Float64Array(CLASS_COUNT);
  readonly #cells = new Float64Array(CLASS_COUNT * CELL_KINDS);

  /** Counts a block of a size class. */
  addBlock(sizeClass: number): void {
    this.#blocks[sizeClass]++;
  }

  /** Counts cells of a size class. */
  addCells(sizeClass: number, kind: CellKind, count: number): void {
    this.#cells[sizeClass * CELL_KINDS + kind] += count;
  }

  /** All bytes that have a category. */
  get sum(): number {
    return Object.values(this.bytes).reduce((sum, bytes) => sum + bytes, 0);
  }

  /** The classes that have blocks. */
  classes(blockBytes: number): ClassReport[] {
    const reports: ClassReport[] = [];
    for (let sizeClass = 0; sizeClass < CLASS_COUNT; sizeClass++) {
      const blocks = this.#blocks[sizeClass];
      if (blocks === 0) continue;
      const cellBytes = CLASS_LINES[sizeClass] * LINE_BYTES;
      const of = (kind: CellKind): number => this.#cells[sizeClass * CELL_KINDS + kind];
      reports.push({
        sizeClass,
        cellBytes,
        blocks,
        live: of(CellKind.LIVE),
        tombstones: of(CellKind.TOMBSTONE),
        awaiting: of(CellKind.AWAITING),
        free: of(CellKind.FREE),
        unnamed: of(CellKind.UNNAMED),
        fragmentation: 1 - (of(CellKind.LIVE) * cellBytes) / (blocks * blockBytes),
      });
    }
    return reports;
  }
}
