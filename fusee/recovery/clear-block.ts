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
import type { DeadBlock } from './walk-log.js';

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/** What all replicas together say of a cell. */
interface Cell {
  isNamed: boolean;
  hasTrailer: boolean;
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
 * Clears one block whose lists have ended. A READ of 64 KiB at a time of all its replicas, and what
 * there is to be written. Nobody waits for it. False: a node was silent.
 */
export function* clearBlock(cx: Context, block: DeadBlock): Op<boolean> {
  const { geometry } = cx.client.view;
  const bitmap = yield* readBitmap(cx, block.pointer);
  if (bitmap === undefined) return false;
  const cellBytes = CLASS_LINES[block.sizeClass] * LINE_BYTES;
  const cells = geometry.cellsPerBlock(block.sizeClass);
  const perRead = Math.max(1, Math.floor(cx.matchBytes / cellBytes));
  const freed: number[] = [];
  const zeroed: number[] = [];
  for (let first = 0; first < cells; first += perRead) {
    const offset = geometry.cellsOffset + first * cellBytes;
    const found = yield* readCells(cx, block, { offset, count: Math.min(perRead, cells - first) });
    if (found === undefined) return false;
    found.forEach(({ isNamed, hasTrailer, isFresh }, i) => {
      if (isNamed) return;
      const start = offset + i * cellBytes;
      const last = start + cellBytes - LINE_BYTES;
      const line = freedLine(bitmap, start / LINE_BYTES, last / LINE_BYTES);
      if (line >= 0 || !isFresh) freed.push(block.pointer + (line < 0 ? last : line * LINE_BYTES));
      if (hasTrailer) zeroed.push(block.pointer + last);
    });
  }
  return (yield* setFreeBits(cx, freed)) && (yield* zeroTrailers(cx, zeroed));
}

/** The first line from `first` to `last` whose bit is set; -1 when there is none. */
function freedLine(bitmap: Uint8Array, first: number, last: number): number {
  for (let line = first; line <= last; line++)
    if (((bitmap[line >>> 3] >>> (line & 7)) & 1) !== 0) return line;
  return -1;
}

/** The bits that are set on any replica. */
function* readBitmap(cx: Context, block: number): Op<Uint8Array | undefined> {
  const { view, local } = cx.client;
  const { bitmapBytes } = view.geometry;
  const bitmap = new Uint8Array(bitmapBytes);
  const b = cx.batch;
  for (let done = 0; done < bitmapBytes; done += cx.matchBytes) {
    const length = Math.min(cx.matchBytes, bitmapBytes - done);
    for (let r = 0; r < view.dataCount(block); r++) {
      const offset = view.dataOffset(block + BLOCK_HEADER_BYTES + done, r);
      b.reset().read(view.dataMn(block, r), offset, cx.matchArea, length);
      yield b;
      if (b.anyFailed()) return undefined;
      for (let i = 0; i < length; i++) bitmap[done + i] |= local.bytes[cx.matchArea + i];
    }
  }
  return bitmap;
}

function* readCells(
  cx: Context,
  { pointer, sizeClass }: DeadBlock,
  { offset, count }: { offset: number; count: number },
): Op<Cell[] | undefined> {
  const { view, local } = cx.client;
  const { indexReplicas } = view.geometry.config;
  const cellBytes = CLASS_LINES[sizeClass] * LINE_BYTES;
  const cells = Array.from({ length: count }, () => ({ isNamed: true, hasTrailer: false, isFresh: true }));
  const trailers = new Uint8Array(count * LOG_ENTRY_BYTES);
  for (let r = 0; r < view.dataCount(pointer); r++) {
    const b = cx.batch.reset();
    b.read(view.dataMn(pointer, r), view.dataOffset(pointer + offset, r), cx.matchArea, count * cellBytes);
    yield b;
    if (b.anyFailed()) return undefined;
    for (const [i, cell] of cells.entries()) {
      const first = trailers.subarray(i * LOG_ENTRY_BYTES, (i + 1) * LOG_ENTRY_BYTES);
      const at = cx.matchArea + i * cellBytes;
      const end = at + cellBytes;
      const trailer = local.bytes.subarray(end - LOG_ENTRY_BYTES, end);
      if (r === 0) first.set(trailer);
      const isSame = trailer.every((byte, k) => byte === first[k]);
      cell.isNamed &&= isSame && isNamed(trailer, indexReplicas > 1);
      cell.hasTrailer ||= trailer.some((byte) => byte !== 0);
      cell.isFresh &&= isZero(local.words, at >>> 2, end >>> 2);
    }
  }
  return cells;
}

/** Most of a block may be fresh: it is looked at word by word, and not by a call for each byte. */
function isZero(words: Uint32Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (words[i] !== 0) return false;
  return true;
}

/** Has a slot named the object with this log entry, as far as that tells? */
function isNamed(entry: Uint8Array, isLogged: boolean): boolean {
  const isUsed = (entry[LOG_ENTRY_BYTES + LogField.OPERATION] & 1) === 1;
  return isUsed && (!isLogged || readOldValue(entry, LOG_ENTRY_BYTES, word()));
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
