/**
 * A dead client's blocks, made fit for a new owner (`ops/adopt-block.ts`): its log lists are over, and every
 * cell is one of
 *
 *     named   a slot has named its object: its log is committed, on all replicas. It stays as it is. Whoever
 *             replaces the object frees it, or has done so.
 *     free    everything else that was ever written: its trailer is zero, and its free bit set, on all
 *             replicas. Its new owner takes it back after a grace, as what others free.
 *     fresh   all zero, and known to nobody.
 *
 * Rules of this file:
 * - Requests have been recovered, and frees been made up for. So what is not committed was never, and will
 *   never be in a slot; but others may have its address from a lost round, and may use it for as long as
 *   their requests last. The same is true of cells whose grace was under way without a bit, and these cannot
 *   be told from others that were free: hence the bit for all of them.
 * - With one index replica no log is committed. There a cell counts as named when all replicas have the same
 *   entry and its used bit is set: an object that is missing on one was not proposed. If it never was in a
 *   slot, it leaks.
 * - Lists end first: zero trailers would cut a list short for the next recoverer, should this one die.
 * - The bit goes ahead of the zero trailer: without a bit, a zero trailer is a cell that may be used at once.
 * - The bit that a cell has on any replica is the one that it gets on all: its owner was clearing it, or a
 *   recoverer setting it. Of named cells none is touched: a live client may be about to set it by FAA (H16).
 */
import {
  assertLayout,
  BLOCK_HEADER_BYTES,
  CLASS_LINES,
  LINE_BYTES,
  LOG_ENTRY_BYTES,
  LOG_HEAD_BYTES,
  LogField,
  MAX_REPLICAS,
  readOldValue,
} from '../layout/index.js';
import type { Context } from '../ops/index.js';
import { type LocalMemory, type Op, replicaRef, word } from '../verbs/index.js';
import { setFreeBits } from './free-bits.js';
import type { LoggedObject } from './recover-request.js';
import type { DeadBlock } from './walk-log.js';

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/** What replicas say of a cell, together, as bits. */
const Seen = {
  /** The log entry is missing on some replica, differs between two, is not used, or not committed. */
  UNNAMED: 1,
  /** Some replica has a log entry. */
  TRAILER: 2,
  /** The used bit of the entry is set on some replica. */
  USED: 4,
  /** Something was written there. */
  WRITTEN: 8,
} as const;

/** Ends all log lists that begin in these blocks. A round trip for some 32; false: a node was silent. */
export function* endLists(cx: Context, blocks: readonly DeadBlock[]): Op<boolean> {
  const { view, local } = cx.client;
  const { headsOffset, headsPerBlock, config } = view.geometry;
  const bytes = headsPerBlock * LOG_HEAD_BYTES;
  local.bytes.fill(0, cx.matchArea, cx.matchArea + bytes);
  const perBatch = Math.floor(BATCH_VERBS / config.dataReplicas);
  for (let i = 0; i < blocks.length; i += perBatch) {
    const b = cx.batch.reset();
    for (const { pointer } of blocks.slice(i, i + perBatch))
      for (let r = 0; r < view.dataCount(pointer); r++)
        b.write(view.dataMn(pointer, r), view.dataOffset(pointer + headsOffset, r), cx.matchArea, bytes);
    yield b;
    if (b.anyFailed()) return false;
  }
  return true;
}

/**
 * Clears blocks whose lists have ended: READs of all that their replicas hold, up to 64 KiB or some 64 pieces
 * in a round trip, and what there is to be written, for all blocks together. Nobody waits for it. False: a
 * node was silent.
 */
export function* clearBlocks(cx: Context, blocks: readonly DeadBlock[]): Op<boolean> {
  const bitmaps = yield* readBitmaps(cx, blocks);
  if (bitmaps === undefined) return false;
  const freed: number[] = [];
  const zeroed: number[] = [];
  const pieces = blocks.flatMap((block, i) => cellPieces(cx, block, bitmaps[i]));
  const cells = new Cells(cx);
  const isRead = yield* readPieces(cx, pieces, (piece, at, r) => {
    cells.look(piece, at, r);
    if (r === cx.client.view.dataCount(piece.pointer) - 1) sortOut(piece, cells.seen, { freed, zeroed });
  });
  return isRead && (yield* setFreeBits(cx, freed)) && (yield* zeroTrailers(cx, zeroed));
}

/**
 * What may be in flight in these blocks, where log lists cannot tell: objects whose entry is used, and not
 * committed on all replicas. What was committed has its word on all backups already, so it is as good as
 * done for whoever decides what slots hold. READs of all that the blocks hold; undefined: a node was silent.
 */
export function* uncommittedObjects(
  cx: Context,
  blocks: readonly DeadBlock[],
): Op<LoggedObject[] | undefined> {
  const open: LoggedObject[] = [];
  const bitmap = new Uint8Array(0);
  const pieces = blocks.flatMap((block) => cellPieces(cx, block, bitmap));
  const cells = new Cells(cx);
  const isRead = yield* readPieces(cx, pieces, (piece, at, r) => {
    cells.look(piece, at, r);
    if (r < cx.client.view.dataCount(piece.pointer) - 1) return;
    const { pointer, offset, count, cellBytes, sizeClass } = piece;
    for (let i = 0; i < count; i++) {
      const cell = pointer + offset + (i + 1) * cellBytes - LINE_BYTES;
      const isOpen = (cells.seen[i] & (Seen.USED | Seen.UNNAMED)) === (Seen.USED | Seen.UNNAMED);
      if (isOpen) open.push({ cell, sizeClass });
    }
  });
  return isRead ? open : undefined;
}

/** A stretch of a block that is read from each of its replicas, one after the other. */
interface Piece {
  readonly pointer: number;
  /** Within the block. */
  readonly offset: number;
  readonly bytes: number;
}

/** So many cells of a block. */
interface CellPiece extends Piece {
  readonly sizeClass: number;
  readonly cellBytes: number;
  readonly count: number;
  readonly bitmap: Uint8Array;
}

/** READs pieces, as many at a time as fit; `each` sees them in order. False: a node was silent. */
function* readPieces<P extends Piece>(
  cx: Context,
  pieces: readonly P[],
  each: (piece: P, at: number, replica: number) => void,
): Op<boolean> {
  const { view } = cx.client;
  const reads = pieces.flatMap((piece) =>
    Array.from({ length: view.dataCount(piece.pointer) }, (_, replica) => ({ piece, replica })),
  );
  for (let first = 0; first < reads.length; ) {
    const b = cx.batch.reset();
    let used = 0;
    for (const { piece, replica } of reads.slice(first, first + BATCH_VERBS)) {
      const { pointer, offset, bytes } = piece;
      if (used + bytes > cx.matchBytes) break;
      const from = view.dataOffset(pointer + offset, replica);
      b.read(view.dataMn(pointer, replica), from, cx.matchArea + used, bytes);
      used += bytes;
    }
    const { count } = b;
    yield b;
    if (b.anyFailed()) return false;
    let at = cx.matchArea;
    for (const { piece, replica } of reads.slice(first, first + count)) {
      each(piece, at, replica);
      at += piece.bytes;
    }
    first += count;
  }
  return true;
}

/** Of each block the bits that are set on any replica. */
function* readBitmaps(cx: Context, blocks: readonly DeadBlock[]): Op<Uint8Array[] | undefined> {
  const { view, local } = cx.client;
  const { bitmapBytes } = view.geometry;
  const bitmaps = blocks.map(() => new Uint8Array(bitmapBytes));
  const pieces = blocks.flatMap(({ pointer }, i) => {
    const starts = Array.from(
      { length: Math.ceil(bitmapBytes / cx.matchBytes) },
      (_, k) => k * cx.matchBytes,
    );
    return starts.map((start) => {
      const bytes = Math.min(cx.matchBytes, bitmapBytes - start);
      return { pointer, offset: BLOCK_HEADER_BYTES + start, bytes, into: bitmaps[i].subarray(start) };
    });
  });
  const isRead = yield* readPieces(cx, pieces, ({ into, bytes }, at) => {
    for (let k = 0; k < bytes; k++) into[k] |= local.bytes[at + k];
  });
  return isRead ? bitmaps : undefined;
}

function cellPieces(cx: Context, { pointer, sizeClass }: DeadBlock, bitmap: Uint8Array): CellPiece[] {
  const { geometry } = cx.client.view;
  const cellBytes = CLASS_LINES[sizeClass] * LINE_BYTES;
  const cells = geometry.cellsPerBlock(sizeClass);
  const perRead = Math.max(1, Math.floor(cx.matchBytes / cellBytes));
  return Array.from({ length: Math.ceil(cells / perRead) }, (_, i) => {
    const count = Math.min(perRead, cells - i * perRead);
    return {
      pointer,
      offset: geometry.cellsOffset + i * perRead * cellBytes,
      bytes: count * cellBytes,
      sizeClass,
      cellBytes,
      count,
      bitmap,
    };
  });
}

/**
 * What replicas say of the cells of one piece, which are looked at one after the other. By words, and without
 * an object for each cell: a recovery looks at thousands of them, in a process that has done so seldom.
 */
class Cells {
  /** Of each cell what {@link Seen} names. */
  readonly seen: Uint8Array;
  /** Log entries on the first replica. */
  readonly #entries: Uint32Array;
  readonly #local: LocalMemory;
  readonly #isLogged: boolean;

  constructor({ matchBytes, client }: Context) {
    const cells = Math.max(1, Math.floor(matchBytes / LINE_BYTES));
    this.seen = new Uint8Array(cells);
    this.#entries = new Uint32Array(cells * ENTRY_WORDS);
    this.#local = client.local;
    this.#isLogged = client.view.geometry.config.indexReplicas > 1;
  }

  /** Looks at what one replica has of a piece; it was read to `at`. */
  look({ count, cellBytes }: CellPiece, at: number, replica: number): void {
    const { bytes, words } = this.#local;
    if (replica === 0) this.seen.fill(0, 0, count);
    for (let i = 0; i < count; i++) {
      const end = at + (i + 1) * cellBytes;
      const isSame = this.#takeEntry(end >>> 2, i * ENTRY_WORDS, replica);
      const isUsed = (bytes[end + LogField.OPERATION] & 1) === 1;
      let seen = this.seen[i] | (isUsed ? Seen.USED : 0);
      if (!isUsed || !isSame || (this.#isLogged && !readOldValue(bytes, end, ignored))) seen |= Seen.UNNAMED;
      if (
        !isZero(words, (end >>> 2) - ENTRY_WORDS + 1, end >>> 2) ||
        words[(end >>> 2) - ENTRY_WORDS] > 0xffff
      )
        seen |= Seen.TRAILER | Seen.WRITTEN;
      else if ((seen & Seen.WRITTEN) === 0 && !isZero(words, (end - cellBytes) >>> 2, end >>> 2))
        seen |= Seen.WRITTEN;
      this.seen[i] = seen;
    }
  }

  /** Notes the entry of the first replica; says whether another one has the same. */
  #takeEntry(end: number, at: number, replica: number): boolean {
    const { words } = this.#local;
    const entries = this.#entries;
    let differences = 0;
    for (let k = 0; k < ENTRY_WORDS; k++) {
      // Of the first word only the upper half is the entry's.
      const found = k === 0 ? words[end - ENTRY_WORDS] >>> 16 : words[end - ENTRY_WORDS + k];
      if (replica === 0) entries[at + k] = found;
      else differences |= entries[at + k] ^ found;
    }
    return differences === 0;
  }
}

/** Words that a log entry lies in: it begins in the middle of the first of them. */
const ENTRY_WORDS = 6;
assertLayout(LOG_ENTRY_BYTES === 4 * ENTRY_WORDS - 2, 'a log entry begins in the middle of a word');

/** What an old value is read into that nobody looks at. */
const ignored = word();

function isZero(words: Uint32Array, first: number, end: number): boolean {
  for (let i = first; i < end; i++) if (words[i] !== 0) return false;
  return true;
}

/** What is to become of the cells of a piece that all replicas have been looked at of. */
function sortOut(
  { pointer, offset, count, cellBytes, bitmap }: CellPiece,
  seen: Uint8Array,
  { freed, zeroed }: { freed: number[]; zeroed: number[] },
): void {
  for (let i = 0; i < count; i++) {
    if ((seen[i] & Seen.UNNAMED) === 0) continue;
    const start = offset + i * cellBytes;
    const last = start + cellBytes - LINE_BYTES;
    const line = freedLine(bitmap, start / LINE_BYTES, last / LINE_BYTES);
    if (line >= 0 || (seen[i] & Seen.WRITTEN) !== 0)
      freed.push(pointer + (line < 0 ? last : line * LINE_BYTES));
    if ((seen[i] & Seen.TRAILER) !== 0) zeroed.push(pointer + last);
  }
}

/** The first line from `first` to `last` whose bit is set; -1 when there is none. */
function freedLine(bitmap: Uint8Array, first: number, last: number): number {
  for (let line = first; line <= last; line++)
    if (((bitmap[line >>> 3] >>> (line & 7)) & 1) !== 0) return line;
  return -1;
}

function* zeroTrailers(cx: Context, cells: readonly number[]): Op<boolean> {
  const { view, local } = cx.client;
  const perBatch = Math.floor(BATCH_VERBS / view.geometry.config.dataReplicas);
  const to = replicaRef(MAX_REPLICAS);
  local.bytes.fill(0, cx.matchArea, cx.matchArea + LOG_ENTRY_BYTES);
  for (let i = 0; i < cells.length; i += perBatch) {
    const b = cx.batch.reset();
    for (const cell of cells.slice(i, i + perBatch)) {
      view.dataReplicas(cell, to);
      for (let r = 0; r < to.count; r++)
        b.write(to.mn[r], to.offsetBytes[r] + LINE_BYTES - LOG_ENTRY_BYTES, cx.matchArea, LOG_ENTRY_BYTES);
    }
    yield b;
    if (b.anyFailed()) return false;
  }
  return true;
}
