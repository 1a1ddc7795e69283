/**
 * Takes over a block that another client has left behind, with the objects in it: ahead of asking for a new
 * one, or memory would run out behind clients that come and go.
 */
import { CLASS_LINES, LINE_BYTES, LOG_ENTRY_BYTES, LOG_HEAD_BYTES } from '../layout/index.js';
import { type Op, Status } from '../verbs/index.js';
import type { Context } from './context.js';

/**
 * Adopts a block of the class that the staged object needs. One round trip for each node that may have one,
 * and to look at its cells one for each 64 KiB of a block.
 * @param hasMore tells that there is a cell for the object now: the first block that has one is the last.
 */
export function* adoptBlock(cx: Context, hasMore: () => boolean): Op<void> {
  const { slab, view, cid } = cx.client;
  const { nodes } = view.geometry.config;
  for (let i = 0; i < nodes; i++) {
    const mn = (cid + i) % nodes;
    if (view.isDead(mn)) continue;
    while (slab.orphans[mn] !== 0) {
      // What it says next time it is asked for a block will tell whether there are more.
      slab.orphans[mn] = 0;
      const pointer = yield* cx.allocator.adopt(mn, cx.sizeClass);
      if (pointer === undefined) break;
      slab.orphans[mn] = -1;
      const free = { heads: yield* freeHeadsOf(cx, pointer), cells: yield* freeCellsOf(cx, pointer) };
      slab.inheritBlock(cx.sizeClass, pointer, free);
      if (hasMore()) return;
    }
  }
}

/** Log heads of a block that name nothing. A head that is left names what recovery has still to look at. */
function* freeHeadsOf(cx: Context, block: number): Op<number[]> {
  const { view, local } = cx.client;
  const { headsOffset, headsPerBlock } = view.geometry;
  const b = cx.batch.reset();
  const bytes = headsPerBlock * LOG_HEAD_BYTES;
  b.read(view.dataMn(block, 0), view.dataOffset(block + headsOffset, 0), cx.matchArea, bytes);
  b.markBackground();
  yield b;
  if (b.status(0) !== Status.OK) return [];
  const isFree = (head: number): boolean => {
    const at = cx.matchArea + head * LOG_HEAD_BYTES;
    return isZero(local.bytes, at, at + LOG_HEAD_BYTES);
  };
  return Array.from({ length: headsPerBlock }, (_, head) => head).filter(isFree);
}

/**
 * Cells of a block that nothing holds: no bit, and a trailer that is zero. A set bit is for reclaim to find;
 * all else is in use, or left for recovery.
 */
function* freeCellsOf(cx: Context, block: number): Op<number[]> {
  const { view, local } = cx.client;
  const { geometry } = view;
  const cellBytes = CLASS_LINES[cx.sizeClass] * LINE_BYTES;
  const cells = geometry.cellsPerBlock(cx.sizeClass);
  const perRead = Math.max(1, Math.floor(cx.matchBytes / cellBytes));
  const free: number[] = [];
  const bits = yield* readBits(cx, block);
  if (bits === undefined) return free;
  for (let first = 0; first < cells; first += perRead) {
    const count = Math.min(perRead, cells - first);
    const offset = geometry.cellsOffset + first * cellBytes;
    const b = cx.batch.reset();
    b.read(view.dataMn(block, 0), view.dataOffset(block + offset, 0), cx.matchArea, count * cellBytes);
    b.markBackground();
    yield b;
    if (b.status(0) !== Status.OK) return [];
    for (let i = 0; i < count; i++) {
      const end = cx.matchArea + (i + 1) * cellBytes;
      const firstLine = (offset + i * cellBytes) / LINE_BYTES;
      if (isZero(local.bytes, end - LOG_ENTRY_BYTES, end) && !anyBit(bits, firstLine, cellBytes / LINE_BYTES))
        free.push(first + i);
    }
  }
  return free;
}

/** The free bitmap of a block; undefined when the node was silent. */
function* readBits(cx: Context, block: number): Op<Uint8Array | undefined> {
  const { view, local } = cx.client;
  const { bitmapBytes, bitmapOffset } = view.geometry;
  const bits = new Uint8Array(bitmapBytes);
  for (let done = 0; done < bitmapBytes; done += cx.matchBytes) {
    const length = Math.min(cx.matchBytes, bitmapBytes - done);
    const b = cx.batch.reset();
    b.read(view.dataMn(block, 0), view.dataOffset(block + bitmapOffset + done, 0), cx.matchArea, length);
    b.markBackground();
    yield b;
    if (b.status(0) !== Status.OK) return undefined;
    bits.set(local.bytes.subarray(cx.matchArea, cx.matchArea + length), done);
  }
  return bits;
}

function isZero(bytes: Uint8Array, from: number, end: number): boolean {
  for (let i = from; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

function anyBit(bits: Uint8Array, firstLine: number, lines: number): boolean {
  for (let line = firstLine; line < firstLine + lines; line++)
    if (((bits[line >>> 3] >>> (line & 7)) & 1) !== 0) return true;
  return false;
}
