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
import { type Op, replicaRef, word } from '../verbs/index.js';
import { setFreeBits } from './free-bits.js';
import type { LoggedObject } from './recover-request.js';
import type { DeadBlock } from './walk-log.js';

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/** What all replicas together say of a cell. */
interface Cell {
  isNamed: boolean;
  hasTrailer: boolean;
  /** The used bit of its entry is set on some replica. */
  isUsed: boolean;
  isFresh: boolean;
}

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
  const isRead = yield* readPieces(cx, pieces, (piece, at, r) => {
    lookAt(cx, piece, at, r);
    if (r === cx.client.view.dataCount(piece.pointer) - 1) sortOut(piece, freed, zeroed);
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
  const isRead = yield* readPieces(cx, pieces, (piece, at, r) => {
    lookAt(cx, piece, at, r);
    if (r < cx.client.view.dataCount(piece.pointer) - 1) return;
    const { pointer, offset, cellBytes, sizeClass } = piece;
    for (const [i, { isNamed, isUsed }] of piece.cells.entries()) {
      const cell = pointer + offset + (i + 1) * cellBytes - LINE_BYTES;
      if (isUsed && !isNamed) open.push({ cell, sizeClass });
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

/** So many cells of a block, and what its replicas say of them. */
interface CellPiece extends Piece {
  readonly sizeClass: number;
  readonly cellBytes: number;
  readonly bitmap: Uint8Array;
  readonly cells: Cell[];
  /** Log entries on the first replica. */
  readonly trailers: Buffer;
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

const freshCell = (): Cell => ({ isNamed: true, hasTrailer: false, isUsed: false, isFresh: true });

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
      bitmap,
      cells: Array.from({ length: count }, freshCell),
      trailers: Buffer.alloc(count * LOG_ENTRY_BYTES),
    };
  });
}

/**
 * Looks at what one replica has of a piece. By whole comparisons, not byte by byte, and without an object for
 * each: recovery runs in masters that have compiled none of this yet.
 */
function lookAt(cx: Context, { cells, cellBytes, trailers }: CellPiece, at: number, replica: number): void {
  const { view, local } = cx.client;
  const isLogged = view.geometry.config.indexReplicas > 1;
  const bytes = Buffer.from(local.bytes.buffer, local.bytes.byteOffset + at, cells.length * cellBytes);
  for (const [i, cell] of cells.entries()) {
    const end = (i + 1) * cellBytes;
    const entry = end - LOG_ENTRY_BYTES;
    const first = i * LOG_ENTRY_BYTES;
    if (replica === 0) bytes.copy(trailers, first, entry, end);
    const hasTrailer = !isZero(bytes, entry, end);
    const isSame = trailers.compare(bytes, entry, end, first, first + LOG_ENTRY_BYTES) === 0;
    cell.isNamed &&= hasTrailer && isSame && isNamed(bytes, end, isLogged);
    cell.hasTrailer ||= hasTrailer;
    cell.isUsed ||= isUsed(bytes, end);
    cell.isFresh &&= !hasTrailer && isZero(bytes, end - cellBytes, end);
  }
}

/** What is to become of the cells of a piece that all replicas have been read of. */
function sortOut(
  { pointer, offset, cellBytes, bitmap, cells }: CellPiece,
  freed: number[],
  zeroed: number[],
): void {
  for (const [i, { isNamed, hasTrailer, isFresh }] of cells.entries()) {
    if (isNamed) continue;
    const start = offset + i * cellBytes;
    const last = start + cellBytes - LINE_BYTES;
    const line = freedLine(bitmap, start / LINE_BYTES, last / LINE_BYTES);
    if (line >= 0 || !isFresh) freed.push(pointer + (line < 0 ? last : line * LINE_BYTES));
    if (hasTrailer) zeroed.push(pointer + last);
  }
}

/** The first line from `first` to `last` whose bit is set; -1 when there is none. */
function freedLine(bitmap: Uint8Array, first: number, last: number): number {
  for (let line = first; line <= last; line++)
    if (((bitmap[line >>> 3] >>> (line & 7)) & 1) !== 0) return line;
  return -1;
}

const ZEROS = Buffer.alloc(Math.max(...CLASS_LINES) * LINE_BYTES);

const isZero = (bytes: Buffer, start: number, end: number): boolean =>
  ZEROS.compare(bytes, start, end, 0, end - start) === 0;

/** What an old value is read into that nobody looks at. */
const ignored = word();

/** Has a slot named the object whose log entry ends here, as far as that tells? */
function isNamed(bytes: Buffer, end: number, isLogged: boolean): boolean {
  return isUsed(bytes, end) && (!isLogged || readOldValue(bytes, end, ignored));
}

const isUsed = (bytes: Buffer, end: number): boolean => (bytes[end + LogField.OPERATION] & 1) === 1;

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
