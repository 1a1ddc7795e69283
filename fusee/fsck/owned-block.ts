/** One block of a client: its headers, and each of its cells. */
import {
  BLOCK_HEADER_BYTES,
  CLASS_LINES,
  LINE_BYTES,
  LOG_ENTRY_BYTES,
  LOG_HEAD_BYTES,
  MAX_REPLICAS,
} from '../layout/index.js';
import { ORPHAN } from '../memory/index.js';
import { type Op, replicaRef } from '../verbs/index.js';
import { cellBytesOf, cellOfLine, type Owner } from './cells.js';
import { FreeBits } from './free-bits.js';
import { type Cell, LogCheck } from './log-check.js';
import { NamedAs } from './names.js';
import { isWhole } from './objects.js';
import { CHUNK_BYTES, READS_MAX } from './reader.js';
import { type Category, CellKind } from './report.js';
import type { Walk } from './walk.js';

/** Walks blocks one after the other. */
export class OwnedBlock {
  readonly #walk: Walk;
  readonly #log: LogCheck;
  readonly #to = replicaRef(MAX_REPLICAS);
  readonly #bits: FreeBits;
  #block = 0;
  #owner: Owner = { cid: 0, sizeClass: 0 };

  constructor(walk: Walk) {
    this.#walk = walk;
    this.#log = new LogCheck(walk);
    this.#bits = new FreeBits(walk);
  }

  /** Checks and counts one block. */
  *walk(block: number, owner: Owner): Op<void> {
    const { accounts, readsBytes, view } = this.#walk;
    this.#block = block;
    this.#owner = owner;
    view.dataReplicas(block, this.#to);
    for (let r = 0; r < this.#to.count; r++) accounts[this.#to.mn[r]].addBlock(owner.sizeClass);
    yield* this.#bits.read(block, owner.sizeClass, this.#to);
    if (readsBytes) {
      yield* this.#checkHeaders();
      yield* this.#walkCells();
      yield* this.#checkSlack();
    } else {
      yield* this.#countCells();
    }
  }

  /** Puts bytes of every replica into a category. */
  #account(category: Category, bytes: number): void {
    for (let r = 0; r < this.#to.count; r++) this.#walk.accounts[this.#to.mn[r]].bytes[category] += bytes;
  }

  #count(kind: CellKind, cells: number): void {
    const { accounts } = this.#walk;
    for (let r = 0; r < this.#to.count; r++)
      accounts[this.#to.mn[r]].addCells(this.#owner.sizeClass, kind, cells);
  }

  #isFreed(cell: number): boolean {
    const line = (cell - this.#block) / LINE_BYTES;
    return this.#bits.isFreed(cellOfLine(this.#walk.geometry, this.#owner.sizeClass, line));
  }

  /** Headers say what the table does. Of a block that was left behind they name who left it. */
  *#checkHeaders(): Op<void> {
    const { reader, geometry, findings } = this.#walk;
    const { cid, sizeClass } = this.#owner;
    reader.begin();
    const at: number[] = [];
    for (let r = 0; r < this.#to.count; r++)
      at.push(reader.read(this.#to.mn[r], this.#to.offsetBytes[r], BLOCK_HEADER_BYTES));
    yield* reader.run();
    const [former] = reader.local.words.subarray(at[0] >>> 2);
    const expected = cid === ORPHAN && former !== 0 ? former : cid;
    for (let r = 0; r < this.#to.count; r++) {
      const [owner, lines] = reader.local.words.subarray(at[r] >>> 2, (at[r] >>> 2) + 2);
      if (owner !== expected || lines !== CLASS_LINES[sizeClass]) {
        const is =
          owner === 0 && lines === 0 ? 'is missing' : `says client ${owner}, cells of ${lines} lines`;
        const says = expected === cid ? 'the table' : `of a block that was left behind the primary's`;
        const message = `its header ${is}; ${says} says ${expected}, ${CLASS_LINES[sizeClass]}`;
        findings.add('block-header', this.#to.mn[r], `block ${this.#block}`, message);
      }
    }
    this.#account('header', geometry.cellsOffset);
    const heads = LOG_HEAD_BYTES * geometry.headsPerBlock;
    this.#walk.progress(this.#to.count * (8 + geometry.bitmapBytes + heads));
    yield* this.#requireZero(8, BLOCK_HEADER_BYTES);
    yield* this.#requireZero(geometry.headsOffset + heads, geometry.cellsOffset);
  }

  *#requireZero(from: number, end: number): Op<void> {
    for (let r = 0; r < this.#to.count; r++) {
      const range = { from: this.#to.offsetBytes[r] + from, bytes: end - from };
      yield* this.#walk.requireZero(this.#to.mn[r], range, `what block ${this.#block} does not use`);
    }
  }

  *#checkSlack(): Op<void> {
    const { geometry } = this.#walk;
    const { sizeClass } = this.#owner;
    const from = geometry.cellsOffset + geometry.cellsPerBlock(sizeClass) * cellBytesOf(sizeClass);
    this.#account('slack', geometry.config.blockBytes - from);
    yield* this.#requireZero(from, geometry.config.blockBytes);
  }

  /** From the bitmap and what slots name; of cells that neither speaks of the log entry's end is read. */
  *#countCells(): Op<void> {
    const { geometry, reader } = this.#walk;
    const { sizeClass } = this.#owner;
    const cellBytes = cellBytesOf(sizeClass);
    const cells = geometry.cellsPerBlock(sizeClass);
    const open: number[] = [];
    const counts = [0, 0, 0];
    let awaiting = 0;
    let unnamed = 0;
    for (let i = 1; i <= cells; i++) {
      const end = this.#block + geometry.cellsOffset + i * cellBytes;
      const { as } = this.#nameOf(end);
      if (as !== NamedAs.NOTHING) counts[as]++;
      else if (this.#bits.isFreed(i - 1)) awaiting++;
      else open.push(end - this.#block);
      if (open.length < READS_MAX && i < cells) continue;
      reader.begin();
      const at = open.map((cell) => reader.read(this.#to.mn[0], this.#to.offsetBytes[0] + cell - 8, 8));
      yield* reader.run();
      const entries = at.filter((word) => reader.local.bytes[word + 7] !== 0).length;
      unnamed += entries;
      this.#count(CellKind.FREE, open.length - entries);
      open.length = 0;
    }
    this.#count(CellKind.LIVE, counts[NamedAs.LIVE]);
    this.#count(CellKind.TOMBSTONE, counts[NamedAs.TOMBSTONE]);
    this.#count(CellKind.AWAITING, awaiting);
    this.#count(CellKind.UNNAMED, unnamed);
  }

  /** What the cell that ends at pointer `end` is named as, and by how many lines of its end. */
  #nameOf(end: number): { as: NamedAs; lines: number } {
    const { names } = this.#walk;
    const { sizeClass } = this.#owner;
    const least = sizeClass === 0 ? 0 : CLASS_LINES[sizeClass - 1];
    for (let lines = CLASS_LINES[sizeClass]; lines > least; lines--) {
      const as = names.at(end - lines * LINE_BYTES);
      if (as !== NamedAs.NOTHING) return { as, lines };
    }
    return { as: NamedAs.NOTHING, lines: 0 };
  }

  /** Every cell, with its bytes on all replicas. */
  *#walkCells(): Op<void> {
    const { geometry, reader } = this.#walk;
    const { sizeClass } = this.#owner;
    const cellBytes = cellBytesOf(sizeClass);
    const cells = geometry.cellsPerBlock(sizeClass);
    const step = Math.floor(CHUNK_BYTES / cellBytes);
    for (let first = 0; first < cells; first += step) {
      const count = Math.min(step, cells - first);
      const from = geometry.cellsOffset + first * cellBytes;
      reader.begin();
      const at: number[] = [];
      for (let r = 0; r < this.#to.count; r++)
        at.push(reader.read(this.#to.mn[r], this.#to.offsetBytes[r] + from, count * cellBytes));
      yield* reader.run();
      const differing = at.filter((other) => !reader.same(at[0], other, count * cellBytes));
      for (let i = 0; i < count; i++) {
        const pointer = this.#block + from + (i + 1) * cellBytes - LINE_BYTES;
        const { as, lines } = this.#nameOf(pointer + LINE_BYTES);
        const end = at[0] + (i + 1) * cellBytes;
        const cell = { pointer, end, owner: this.#owner, mn: this.#to.mn[0], as, lines };
        this.#walkCell(cell);
        for (const other of differing)
          this.#compare(cell, { replica: at.indexOf(other), end: other + (i + 1) * cellBytes });
      }
      this.#walk.progress(this.#to.count * count * cellBytes);
    }
  }

  #walkCell(cell: Cell): void {
    const { findings } = this.#walk;
    const [category, kind] = this.#kindOf(cell);
    this.#account(category, cellBytesOf(this.#owner.sizeClass));
    this.#count(kind, 1);
    if (cell.as !== NamedAs.NOTHING && this.#isFreed(cell.pointer)) {
      const message = 'its free bit is set, but a slot names its object';
      findings.add('free-named', cell.mn, `cell ${cell.pointer}`, message);
    }
  }

  /** A named object is the same on all replicas; of what is nobody's the log entry is. */
  #compare(cell: Cell, other: { replica: number; end: number }): void {
    const { reader, findings } = this.#walk;
    const isNamed = cell.as !== NamedAs.NOTHING;
    const bytes = isNamed ? cell.lines * LINE_BYTES : LOG_ENTRY_BYTES;
    if (reader.same(cell.end - bytes, other.end - bytes, bytes)) return;
    const isGood = isNamed && isWhole(reader.local, other.end - bytes, cell.lines);
    const message =
      `its ${isNamed ? 'object' : 'log entry'} on replica ${other.replica} is not the primary's` +
      (isNamed ? `, and is ${isGood ? 'whole' : 'not whole'} there` : '');
    findings.add('data-replicas', this.#to.mn[other.replica], `cell ${cell.pointer}`, message);
  }

  #kindOf(cell: Cell): readonly [Category, CellKind] {
    if (cell.as !== NamedAs.NOTHING) {
      this.#log.checkNamed(cell);
      return cell.as === NamedAs.LIVE ? ['live', CellKind.LIVE] : ['tombstone', CellKind.TOMBSTONE];
    }
    // Whatever its log entry: it is zeroed on the way, before the bit goes.
    if (this.#isFreed(cell.pointer)) return ['awaiting', CellKind.AWAITING];
    const kind = this.#log.checkUnnamed(cell);
    return [kind, kind === 'fresh' || kind === 'free' ? CellKind.FREE : CellKind.UNNAMED];
  }
}
