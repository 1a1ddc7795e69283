/**
 * Second-level memory management: a client carves blocks into cells (FUSEE section 4.4).
 *
 * A cell is named by the pointer of its *last line*, which holds the log entry: objects are right-aligned, so
 * that line is the same whatever the object's length.
 *
 * Each (coroutine, size class) has a log list. The cell it will use next is chosen one object ahead, because
 * the object's log entry names it (`next` is pre-positioned, FUSEE section 4.5): recent operations form a
 * list in execution order without a write of their own. A cell that ended unused stays the head of its list
 * and is handed out again, so the chain never breaks (hazard H5).
 */
import { CLASS_COUNT, CLASS_LINES, type Geometry, LINE_BYTES } from '../layout/index.js';

/** The cells of one client, by size class and log list. */
export class Slab {
  readonly #geometry: Geometry;
  /** Per class: blocks not yet begun, and the one being carved. */
  readonly #fresh: number[][] = Array.from({ length: CLASS_COUNT }, () => []);
  readonly #block = new Float64Array(CLASS_COUNT);
  readonly #carved = new Uint32Array(CLASS_COUNT);
  /** Per list: the cell in use or about to be, the one after it, the one before it; 0 = none. */
  readonly #current: Float64Array;
  readonly #next: Float64Array;
  readonly #prev: Float64Array;
  readonly #held: Uint8Array;
  /** A coroutine is asking for a block of this class; its siblings wait in place of asking too. */
  readonly refilling = new Uint8Array(CLASS_COUNT);
  blocks = 0;
  /** Cells handed out and kept; nothing is reclaimed yet. */
  cellsUsed = 0;

  constructor(geometry: Geometry, coroutines: number) {
    this.#geometry = geometry;
    const lists = coroutines * CLASS_COUNT;
    this.#current = new Float64Array(lists);
    this.#next = new Float64Array(lists);
    this.#prev = new Float64Array(lists);
    this.#held = new Uint8Array(lists);
  }

  /**
   * Takes a list's next cell: its last line's pointer. {@link nextOf} and {@link prevOf} give its neighbours.
   * @returns 0 when the class needs another block: refill, then take again.
   */
  take(coroutine: number, sizeClass: number): number {
    const list = coroutine * CLASS_COUNT + sizeClass;
    if (this.#current[list] !== 0 && this.#held[list] === 0) {
      this.#held[list] = 1;
      return this.#current[list];
    }
    if (this.#next[list] === 0) {
      const first = this.#draw(sizeClass);
      if (first === 0) return 0;
      this.#next[list] = first;
    }
    const following = this.#draw(sizeClass);
    if (following === 0) return 0;
    this.#prev[list] = this.#current[list];
    this.#current[list] = this.#next[list];
    this.#next[list] = following;
    this.#held[list] = 1;
    this.cellsUsed++;
    return this.#current[list];
  }

  /** Hands a list's current cell back: nobody else has ever seen its address. */
  giveBack(coroutine: number, sizeClass: number): void {
    this.#held[coroutine * CLASS_COUNT + sizeClass] = 0;
  }

  /** The cell that this list will use after the current one. */
  nextOf(coroutine: number, sizeClass: number): number {
    return this.#next[coroutine * CLASS_COUNT + sizeClass];
  }

  /** The cell that this list used before the current one; 0 at the list's start. */
  prevOf(coroutine: number, sizeClass: number): number {
    return this.#prev[coroutine * CLASS_COUNT + sizeClass];
  }

  /** Adds a zeroed block that now belongs to (this client, size class). */
  addBlock(sizeClass: number, pointer: number): void {
    this.#fresh[sizeClass].push(pointer);
    this.blocks++;
  }

  #draw(sizeClass: number): number {
    const cellsPerBlock = this.#geometry.cellsPerBlock(sizeClass);
    // A cell longer than the block would begin in it and end in a neighbour's.
    if (cellsPerBlock === 0) return 0;
    if (this.#block[sizeClass] === 0 || this.#carved[sizeClass] === cellsPerBlock) {
      const block = this.#fresh[sizeClass].shift();
      if (block === undefined) return 0;
      // Block 0 of region 0 has pointer 0: stored one line up, so that 0 stays "no block".
      this.#block[sizeClass] = block + LINE_BYTES;
      this.#carved[sizeClass] = 0;
    }
    const index = ++this.#carved[sizeClass];
    const cells = this.#block[sizeClass] - LINE_BYTES + this.#geometry.cellsOffset;
    return cells + index * CLASS_LINES[sizeClass] * LINE_BYTES - LINE_BYTES;
  }
}
