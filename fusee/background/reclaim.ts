/**
 * Reclaim: how memory that nobody names becomes free again (FUSEE section 4.4), in the background.
 *
 *     replaced object        head past whoever replaced it -> free bit on every replica -> freed past it too
 *     own cell with its bit  freed past its entry -> trailer zero on every replica -> grace -> bit off
 *     own cell, round lost   the same from the trailer on: it has no bit
 *
 * Rules of this file:
 * - An object is freed by exactly one party, whoever replaced the slot word that named it: FAA of a bit would
 *   carry into a neighbour's when repeated (hazard H16). Only the owner of the block takes bits off, by FAA
 * of
 *   minus the bits that it has read on *all* replicas: so none is on its way any more.
 * - Log heads move first. A moved `head` says of all entries ahead of it that they are finished, so no
 *   unfinished entry names memory that may be reused (H17); a moved `freed` that what they have replaced has
 *   its bits, so no walk of a log meets a reused cell (H5).
 *   Deviation: the notes mark each entry FINISHED; a head per list and round does the same for all of them.
 * - `freed` goes with the next round's head, so a round costs no verb more. A client that dies in between has
 *   its recoverer set bits again that are set, and that must not meet a cell that was reused meanwhile: so
 *   while a bit is not covered ({@link Reclaim.isOwing}) the client's word grows once at most, and a grace
 *   waits for two. The janitor announces one period ahead of each round, each round begins with what is owed,
 *   and when that fails the word stands still until somebody declares the client dead.
 * - Trailers are zero on every replica before the grace begins, and a cell is handed out only after it (H4,
 *   H9). So requests that know its address from before have ended, and one that begins later, with a cached
 *   word, reads a clear used bit for at least as long as it lasts.
 * - A cell that a request holds waits until it has ended, whoever has freed it: its log head may still name
 *   it, and a walk from there ends at a zero trailer, with the list's later entries unseen (H5).
 * - A silent replica stops reclaim for good: whether a bit has been set is then unknown, and nothing but
 *   recovery may find out. Memory leaks until then, and nothing else is wrong.
 */
import {
  BLOCK_HEADER_BYTES,
  CLASS_COUNT,
  LINE_BYTES,
  LOG_ENTRY_BYTES,
  LOG_HEAD_BYTES,
  MAX_REPLICAS,
} from '../layout/index.js';
import { type Block, Grace, type GraceMark, type HeadWords, putHead } from '../memory/index.js';
import type { ClientState } from '../ops/index.js';
import { CorruptionError, type Op, replicaRef, Status, VerbBatch, word } from '../verbs/index.js';

/** Verbs of one batch: small, since requests in flight wait behind them. */
const BATCH_VERBS = 32;
/** Bytes of a bitmap that one READ brings: 512 KiB of cells. */
const PIECE_BYTES = 1024;
/** Pieces that one round looks at, and the cells after which it looks no further. */
const PIECES_PER_ROUND = 8;
const CELLS_PER_ROUND = 256;
/** Cells taken after which log heads move on though nothing is to be freed: a recoverer walks no further. */
const CELLS_PER_MARK = 256;
/** Groups of cells whose grace may be under way at once. */
const GENERATIONS = 4;
/** A class has stock as long as this share of its cells is free, and no fewer than so many. */
const STOCK_SHARE = 1 / 8;
const STOCK_LEAST = 64;
const STOCK_MOST = 4096;

/** Rounds for classes that are short of cells, to one that begins with another. */
const SHORT_ROUNDS = 4;

/** Registered memory that one {@link Reclaim} takes. */
export const RECLAIM_BYTES: number =
  (BATCH_VERBS + 2) * 64 + MAX_REPLICAS * PIECE_BYTES + BATCH_VERBS * LOG_HEAD_BYTES + 64;

/** Bits of one word of a block's free bitmap. */
interface Bits {
  readonly block: Block;
  /** Number of the word of 64 bits. */
  readonly index: number;
  readonly lo: number;
  readonly hi: number;
}

/** Cells whose grace began together. */
interface Generation {
  readonly mark: GraceMark;
  /** Those without a free bit come first. */
  readonly cells: number[];
  readonly withoutBit: number;
  readonly bits: Bits[];
}

/** One client's reclaim; its steps are run by its janitor, one after the other. */
export class Reclaim {
  readonly #client: ClientState;
  readonly #batch: VerbBatch;
  readonly #bitmaps: number;
  readonly #heads: number;
  readonly #zeros: number;
  readonly #to = replicaRef(MAX_REPLICAS);
  readonly #generations: Generation[] = [];
  readonly #spareMarks: GraceMark[] = Array.from({ length: GENERATIONS }, () => Grace.newMark());
  /** By class: cells in a generation. */
  readonly #awaiting = new Uint32Array(CLASS_COUNT);
  /** By class: the next piece to look at, counted over all its blocks; pieces since cells were last found. */
  readonly #cursor = new Float64Array(CLASS_COUNT);
  readonly #fruitless = new Float64Array(CLASS_COUNT);
  readonly #piecesPerBlock: number;
  /** Any class, for a look at what others have freed. */
  #idleClass = 0;
  /** Rounds in which some class was short of cells. */
  #shortRounds = 0;
  /** Cells that had been taken when log heads were last looked after. */
  #cellsMarked = 0;
  /** A replica was silent. */
  isStopped = false;
  /** Bits may have been set that no `freed` covers yet. */
  isOwing = false;
  /** Cells freed for others and for itself, and cells taken back, so far. */
  freed = 0;
  reclaimed = 0;

  constructor(client: ClientState) {
    const { local, view } = client;
    this.#client = client;
    this.#batch = new VerbBatch(local, BATCH_VERBS);
    this.#bitmaps = local.reserve(MAX_REPLICAS * PIECE_BYTES);
    this.#heads = local.reserve(BATCH_VERBS * LOG_HEAD_BYTES);
    this.#zeros = local.reserve(64);
    this.#piecesPerBlock = Math.ceil(view.geometry.bitmapBytes / PIECE_BYTES);
  }

  /** Cells that wait for their grace. */
  get awaiting(): number {
    return this.#awaiting.reduce((sum, cells) => sum + cells, 0);
  }

  /**
   * Cells whose grace has not passed and that have no free bit: whoever stops looking after them gives them
   * one.
   */
  unsettled(): number[] {
    return this.#generations.splice(0).flatMap(({ cells, withoutBit }) => cells.slice(0, withoutBit));
  }

  /**
   * Moves log heads on and sets the free bits of what requests have replaced; `freed` follows next time.
   * False: a replica was silent.
   */
  *free(): Op<boolean> {
    const { frees, slab } = this.#client;
    const isDue = this.isOwing || slab.cellsUsed - this.#cellsMarked >= CELLS_PER_MARK;
    if (this.isStopped || (frees.objects.count === 0 && !isDue)) return !this.isStopped;
    return yield* this.#free();
  }

  /** The same, and lets `freed` follow at once: of all that has ended nothing is left to free. */
  *settleLog(): Op<boolean> {
    return !this.isStopped && (yield* this.#free()) && (yield* this.payDebts());
  }

  /** Lets `freed` follow the bits that have been set. False: a replica was silent. */
  *payDebts(): Op<boolean> {
    if (this.isStopped || !(yield* this.writeHeads(this.#client.slab.staleHeads()))) return false;
    this.isOwing = false;
    return true;
  }

  *#free(): Op<boolean> {
    const { frees, slab } = this.#client;
    const pointers = frees.objects.take(frees.objects.count);
    slab.mark();
    this.#cellsMarked = slab.cellsUsed;
    if (pointers.length === 0) slab.pass();
    if (!(yield* this.payDebts()) || pointers.length === 0) return !this.isStopped;
    this.isOwing = true;
    if (!(yield* this.#setBits(pointers))) return false;
    slab.pass();
    this.freed += pointers.length;
    return true;
  }

  *#setBits(pointers: Float64Array): Op<boolean> {
    const { view } = this.#client;
    const { blockBytes } = view.geometry.config;
    const perBatch = Math.floor(BATCH_VERBS / view.geometry.config.dataReplicas);
    const bit = word();
    for (let i = 0; i < pointers.length; i += perBatch) {
      const b = this.#batch.reset();
      for (const pointer of pointers.subarray(i, i + perBatch)) {
        const block = Math.floor(pointer / blockBytes) * blockBytes;
        const line = (pointer - block) / LINE_BYTES;
        bit.lo = (line & 32) === 0 ? (1 << (line & 31)) >>> 0 : 0;
        bit.hi = (line & 32) === 0 ? 0 : (1 << (line & 31)) >>> 0;
        const to = view.dataReplicas(bitmapWord(block, line >>> 6), this.#to);
        for (let r = 0; r < to.count; r++) b.faa(to.mn[r], to.offsetBytes[r], bit);
      }
      if (!(yield* this.#run())) return false;
    }
    return true;
  }

  /** Takes the first generation back if its grace has passed. True if so. */
  *settle(): Op<boolean> {
    if (this.#generations.length === 0) return false;
    const { mark, cells, bits } = this.#generations[0];
    if (!(yield* this.#client.grace.hasPassed(mark))) return false;
    if (!(yield* this.#clearBits(bits))) return false;
    this.#generations.shift();
    this.#spareMarks.push(mark);
    const { slab } = this.#client;
    for (const cell of cells) {
      this.#awaiting[(slab.blockOf(cell) as Block).sizeClass]--;
      slab.release(cell);
    }
    this.reclaimed += cells.length;
    return true;
  }

  /** Looks for cells that have been freed, and begins their grace. True if there were any. */
  *collect(): Op<boolean> {
    const mark = this.#spareMarks.pop();
    if (mark === undefined) return false;
    const cells = [...this.#client.frees.cells.take(CELLS_PER_ROUND)];
    const generation: Generation = { mark, cells, withoutBit: cells.length, bits: [] };
    for (const sizeClass of this.#classesToScan()) yield* this.#scanClass(sizeClass, generation);
    if (generation.cells.length === 0 || this.isStopped) {
      this.#spareMarks.push(mark);
      return false;
    }
    // Everything found has ended: what is held was left out.
    if (!(yield* this.settleLog()) || !(yield* this.#zero(generation.cells))) return false;
    if (!(yield* this.#client.grace.mark(mark))) {
      this.isStopped = true;
      return false;
    }
    for (const cell of generation.cells)
      this.#awaiting[(this.#client.slab.blockOf(cell) as Block).sizeClass]++;
    this.#generations.push(generation);
    return true;
  }

  /** Writes log heads on all replicas. False: a replica was silent. */
  *writeHeads(heads: readonly HeadWords[]): Op<boolean> {
    const { view, local } = this.#client;
    const perBatch = Math.floor(BATCH_VERBS / view.geometry.config.dataReplicas);
    for (let i = 0; i < heads.length; i += perBatch) {
      const b = this.#batch.reset();
      heads.slice(i, i + perBatch).forEach((words, k) => {
        const at = this.#heads + LOG_HEAD_BYTES * k;
        putHead(local, at, words);
        const to = view.dataReplicas(words.pointer, this.#to);
        for (let r = 0; r < to.count; r++) b.write(to.mn[r], to.offsetBytes[r], at, LOG_HEAD_BYTES);
      });
      if (!(yield* this.#run())) return false;
    }
    return true;
  }

  /** Zeroes the trailers of cells on all replicas. */
  *#zero(cells: readonly number[]): Op<boolean> {
    const { view } = this.#client;
    const perBatch = Math.floor(BATCH_VERBS / view.geometry.config.dataReplicas);
    for (let i = 0; i < cells.length; i += perBatch) {
      const b = this.#batch.reset();
      for (const cell of cells.slice(i, i + perBatch)) {
        const to = view.dataReplicas(cell, this.#to);
        for (let r = 0; r < to.count; r++) {
          const entry = to.offsetBytes[r] + LINE_BYTES - LOG_ENTRY_BYTES;
          b.write(to.mn[r], entry, this.#zeros, LOG_ENTRY_BYTES);
        }
      }
      if (!(yield* this.#run())) return false;
    }
    return true;
  }

  /** Takes bits off on all replicas: minus the bits, since others add theirs meanwhile. */
  *#clearBits(bits: readonly Bits[]): Op<boolean> {
    const { view } = this.#client;
    const perBatch = Math.floor(BATCH_VERBS / view.geometry.config.dataReplicas);
    const minus = word();
    for (let i = 0; i < bits.length; i += perBatch) {
      const b = this.#batch.reset();
      for (const { block, index, lo, hi } of bits.slice(i, i + perBatch)) {
        minus.lo = -lo >>> 0;
        minus.hi = (~hi + (lo === 0 ? 1 : 0)) >>> 0;
        const to = view.dataReplicas(bitmapWord(block.pointer, index), this.#to);
        for (let r = 0; r < to.count; r++) b.faa(to.mn[r], to.offsetBytes[r], minus);
      }
      if (!(yield* this.#run())) return false;
    }
    for (const { block, index, lo, hi } of bits) {
      block.taken[2 * index] &= ~lo;
      block.taken[2 * index + 1] &= ~hi;
    }
    return true;
  }

  /** Classes that are short of cells, and now and then another, for what others have freed. */
  #classesToScan(): number[] {
    const { slab } = this.#client;
    const classes: number[] = [];
    for (let c = 0; c < CLASS_COUNT; c++) {
      const blocks = slab.blocksOf(c);
      if (blocks.length === 0) continue;
      const share = Math.ceil(blocks.length * blocks[0].cells * STOCK_SHARE);
      const stock = Math.min(STOCK_MOST, Math.max(STOCK_LEAST, share));
      if (slab.freeCells[c] + this.#awaiting[c] < stock) classes.push(c);
    }
    // Others have their turn too, ahead of those that are always short: when sizes change, the classes that
    // nobody asks for any more hold the blocks that the rest is short of.
    if (classes.length > 0 && ++this.#shortRounds % SHORT_ROUNDS !== 0) return classes;
    for (let i = 0; i < CLASS_COUNT; i++) {
      this.#idleClass = (this.#idleClass + 1) % CLASS_COUNT;
      if (slab.blocksOf(this.#idleClass).length === 0 || classes.includes(this.#idleClass)) continue;
      return [this.#idleClass, ...classes];
    }
    return classes;
  }

  /**
   * Looks at the next pieces of a class's bitmaps, until there are enough cells or nothing more is expected.
   */
  *#scanClass(sizeClass: number, into: Generation): Op<void> {
    const blocks = this.#client.slab.blocksOf(sizeClass);
    const pieces = blocks.length * this.#piecesPerBlock;
    for (let n = Math.min(PIECES_PER_ROUND, pieces); n > 0 && into.cells.length < CELLS_PER_ROUND; n--) {
      const piece = this.#cursor[sizeClass] >= pieces ? 0 : this.#cursor[sizeClass];
      const block = blocks[Math.floor(piece / this.#piecesPerBlock)];
      const before = into.cells.length;
      if (!(yield* this.#scanPiece(block, piece % this.#piecesPerBlock, into))) return;
      this.#cursor[sizeClass] = piece + 1;
      if (into.cells.length > before || this.#awaiting[sizeClass] > 0) this.#fruitless[sizeClass] = 0;
      else if (++this.#fruitless[sizeClass] >= pieces) {
        this.#fruitless[sizeClass] = 0;
        this.#client.fruitless[sizeClass]++;
        return;
      }
    }
  }

  /** Takes the cells whose bits are set on all replicas. False: a replica was silent. */
  *#scanPiece(block: Block, piece: number, into: Generation): Op<boolean> {
    const { view, local } = this.#client;
    const bytes = Math.min(PIECE_BYTES, view.geometry.bitmapBytes - piece * PIECE_BYTES);
    const b = this.#batch.reset();
    const to = view.dataReplicas(block.pointer + BLOCK_HEADER_BYTES + piece * PIECE_BYTES, this.#to);
    const replicas = to.count;
    for (let r = 0; r < replicas; r++) {
      b.read(to.mn[r], to.offsetBytes[r], this.#bitmaps + r * PIECE_BYTES, bytes);
    }
    if (!(yield* this.#run())) return false;
    const first = (piece * PIECE_BYTES) / 4;
    const all = (w: number): number => {
      let bits = ~block.taken[first + w];
      for (let r = 0; r < replicas; r++) bits &= local.words[((this.#bitmaps + r * PIECE_BYTES) >>> 2) + w];
      return bits;
    };
    // What is held now may have a bit already, if another client was faster than our own answer; later then.
    let held: ReadonlySet<number> | undefined;
    for (let w = 0; w < bytes / 4; w += 2) {
      const lo = all(w);
      const hi = all(w + 1);
      // Most pieces have nothing: they must not leave anything to be collected either.
      if ((lo | hi) === 0) continue;
      held ??= this.#client.slab.heldCells();
      this.#takeCells({ block, index: (first + w) / 2, lo, hi }, held, into);
    }
    return true;
  }

  /** Takes the cells whose bits these are, but for those that are held. */
  #takeCells(found: Bits, held: ReadonlySet<number>, into: Generation): void {
    const { block, index } = found;
    const taken = [0, 0];
    for (let bit = 0; bit < 64; bit++) {
      const mask = (1 << (bit & 31)) >>> 0;
      if (((bit < 32 ? found.lo : found.hi) & mask) === 0) continue;
      const cell = block.cellOfLine(index * 64 + bit);
      if (cell < 0)
        throw new CorruptionError(
          `block ${block.pointer} has a free bit of no cell, line ${index * 64 + bit}`,
        );
      if (held.has(block.pointerOf(cell))) continue;
      taken[bit >>> 5] = (taken[bit >>> 5] | mask) >>> 0;
      into.cells.push(block.pointerOf(cell));
    }
    const [lo, hi] = taken;
    if ((lo | hi) === 0) return;
    block.taken[2 * index] |= lo;
    block.taken[2 * index + 1] |= hi;
    into.bits.push({ block, index, lo, hi });
  }

  /** Runs the batch as background work. False: a replica was silent, and reclaim has ended. */
  *#run(): Op<boolean> {
    const b = this.#batch;
    b.markBackground();
    yield b;
    for (let i = 0; i < b.count; i++) if (b.status(i) !== Status.OK) this.isStopped = true;
    return !this.isStopped;
  }
}

/** Pointer of a word of a block's free bitmap. */
const bitmapWord = (block: number, index: number): number => block + BLOCK_HEADER_BYTES + 8 * index;
