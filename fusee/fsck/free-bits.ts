/**
 * A block's free bitmap: replicas agree, and every bit frees a cell of its own.
 *
 * A cell is freed by one bit, that of the line which the slot named: the first of its object. Any line of the
 * cell can be that one. A second bit of a cell means that it was freed twice (hazard H16).
 */
import { BLOCK_HEADER_BYTES, LINE_BYTES } from '../layout/index.js';
import type { Op, ReplicaRef } from '../verbs/index.js';
import { cellBytesOf, cellOfLine } from './cells.js';
import { CHUNK_BYTES } from './reader.js';
import type { Walk } from './walk.js';

/** The bits of one block after the other. */
export class FreeBits {
  readonly #walk: Walk;
  /** The primary's. */
  readonly #bitmap: Uint8Array;
  /** By cell: its bits. */
  readonly #bits: Uint8Array;

  constructor(walk: Walk) {
    this.#walk = walk;
    this.#bitmap = new Uint8Array(walk.geometry.bitmapBytes);
    this.#bits = new Uint8Array(walk.geometry.cellsPerBlock(0));
  }

  /** Takes on a block's: a READ of each replica, or of the primary alone; more when bitmaps are long. */
  *read(block: number, sizeClass: number, to: ReplicaRef): Op<void> {
    const { reader, readsBytes, findings } = this.#walk;
    const replicas = readsBytes ? to.count : 1;
    for (let done = 0; done < this.#bitmap.length; done += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, this.#bitmap.length - done);
      reader.begin();
      const at: number[] = [];
      for (let r = 0; r < replicas; r++)
        at.push(reader.read(to.mn[r], to.offsetBytes[r] + BLOCK_HEADER_BYTES + done, length));
      yield* reader.run();
      this.#bitmap.set(reader.local.bytes.subarray(at[0], at[0] + length), done);
      for (let r = 1; r < replicas; r++) {
        if (reader.same(at[0], at[r], length)) continue;
        const message = `its free bitmap on replica ${r} is not the primary's`;
        findings.add('bitmap', to.mn[r], `block ${block}`, message);
      }
    }
    this.#count(block, sizeClass, to.mn[0]);
  }

  #count(block: number, sizeClass: number, mn: number): void {
    const { geometry, readsBytes, findings } = this.#walk;
    this.#bits.fill(0);
    for (let i = 0; i < this.#bitmap.length; i++) {
      for (let bit = 0; this.#bitmap[i] >>> bit !== 0; bit++) {
        if (((this.#bitmap[i] >>> bit) & 1) === 0) continue;
        const line = 8 * i + bit;
        const cell = cellOfLine(geometry, sizeClass, line);
        if (cell >= 0) this.#bits[cell]++;
        if (!readsBytes) continue;
        if (cell < 0)
          findings.add('bitmap', mn, `block ${block}`, `line ${line} is free, but it lies in no cell`);
        else if (this.#bits[cell] === 2) {
          const pointer = block + geometry.cellsOffset + (cell + 1) * cellBytesOf(sizeClass) - LINE_BYTES;
          const message = `a second bit of it is set, that of line ${line}: it was freed twice`;
          findings.add('freed-twice', mn, `cell ${pointer}`, message);
        }
      }
    }
  }

  /** Is a bit of the cell set? Cells of a block are counted from 0. */
  isFreed(cell: number): boolean {
    return this.#bits[cell] !== 0;
  }
}
