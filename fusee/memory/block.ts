/** One block of a client: which of its cells are free, and which of its log heads. */
import { CLASS_LINES, LINE_BYTES, LOG_HEAD_BYTES, type View } from '../layout/index.js';

/** What of a block nothing holds: numbers of cells, and of log heads. */
export interface FreeParts {
  readonly cells: readonly number[];
  readonly heads: readonly number[];
}

/** A block that belongs to (this client, size class). Cells are counted from 0, in ascending order. */
export class Block {
  /** Pointer of its first byte. */
  readonly pointer: number;
  readonly sizeClass: number;
  /** Its cells are for DELETEs only. */
  readonly isReserved: boolean;
  readonly cells: number;
  readonly #cellsOffset: number;
  readonly #cellBytes: number;
  readonly #headsOffset: number;
  /** Free cells that have been used before, last in, first out. */
  readonly #free: number[] = [];
  /** Cells ahead of this one have been used; those from it on are as the node handed them out: all zero. */
  #fresh = 0;
  readonly #freeHeads: number[] = [];
  #freshHeads = 0;
  readonly #headsMax: number;
  /** Bits of the free bitmap that reclaim has in hand: they stay set until their cells' grace has passed. */
  readonly taken: Uint32Array;

  constructor(view: View, sizeClass: number, pointer: number) {
    const { geometry } = view;
    this.pointer = pointer;
    this.sizeClass = sizeClass;
    this.isReserved = view.isReserved(pointer);
    this.cells = geometry.cellsPerBlock(sizeClass);
    this.#cellsOffset = geometry.cellsOffset;
    this.#cellBytes = CLASS_LINES[sizeClass] * LINE_BYTES;
    this.#headsOffset = geometry.headsOffset;
    this.#headsMax = geometry.headsPerBlock;
    this.taken = new Uint32Array(Math.ceil(geometry.bitmapBytes / 4));
  }

  /** Cells that may be handed out. */
  get freeCells(): number {
    return this.#free.length + this.cells - this.#fresh;
  }

  /** Cells that something holds: an object, a list, or reclaim. */
  get usedCells(): number {
    return this.#fresh - this.#free.length;
  }

  /** The number of the cell whose lines include line `line` of the block; -1 for none. */
  cellOfLine(line: number): number {
    const offset = line * LINE_BYTES - this.#cellsOffset;
    const cell = Math.floor(offset / this.#cellBytes);
    return offset < 0 || cell >= this.cells ? -1 : cell;
  }

  /** Pointer of a cell's last line. */
  pointerOf(cell: number): number {
    return this.pointer + this.#cellsOffset + (cell + 1) * this.#cellBytes - LINE_BYTES;
  }

  /**
   * Takes a free cell: the pointer of its last line, or 0. Used ones first, so that fresh memory stays so.
   */
  draw(): number {
    const used = this.#free.pop();
    if (used !== undefined) return this.pointerOf(used);
    return this.#fresh < this.cells ? this.pointerOf(this.#fresh++) : 0;
  }

  /** A cell, by the pointer of its last line, may be handed out again. */
  release(pointer: number): void {
    this.#free.push(this.cellOfLine((pointer - this.pointer) / LINE_BYTES));
  }

  /** Takes a log head: its pointer, or 0. */
  takeHead(): number {
    const head = this.#freeHeads.pop() ?? (this.#freshHeads < this.#headsMax ? this.#freshHeads++ : -1);
    return head < 0 ? 0 : this.pointer + this.#headsOffset + LOG_HEAD_BYTES * head;
  }

  releaseHead(pointer: number): void {
    this.#freeHeads.push((pointer - this.pointer - this.#headsOffset) / LOG_HEAD_BYTES);
  }

  /** Log heads in use. */
  get usedHeads(): number {
    return this.#freshHeads - this.#freeHeads.length;
  }

  /**
   * Takes over what another client has left here: only these cells and log heads may be handed out, and none
   * is fresh.
   */
  inherit(free: FreeParts): void {
    this.#fresh = this.cells;
    this.#freshHeads = this.#headsMax;
    this.#free.push(...free.cells);
    this.#freeHeads.push(...free.heads);
  }
}
