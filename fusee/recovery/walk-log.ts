/**
 * Which requests may a dead client have left half done? The walk of its log lists (FUSEE section 5.3).
 *
 * A block has log heads: each names the first cell of a list that may hold an unfinished operation, and each
 * object names the cell that comes after it. Rules of the walk:
 * - The last byte of an entry, operation and used bit, lands last: while it is zero nothing was ever written
 *   whole there, and the list ends. A cell that is to be used next has a zero trailer, so every list ends so.
 * - A clear used bit behind an operation is that of a request that left nothing behind; the list goes on
 *   (H5).
 * - A request begins its next object when every replica has the one before. So only the last of a list can be
 *   missing on some replica, and any replica's word is good.
 * - Heads lag behind: most of what the walk meets is finished. Recovery finds that out by itself.
 */
import { getPointer, LINE_BYTES, LOG_ENTRY_BYTES, LogField, MAX_REPLICAS } from '../layout/index.js';
import type { Context } from '../ops/index.js';
import { CorruptionError, type Op, replicaRef, Status } from '../verbs/index.js';
import type { LoggedObject } from './recover-request.js';

/** A block of the dead client, as LIST names it. */
export interface DeadBlock {
  readonly pointer: number;
  readonly sizeClass: number;
}

/**
 * The latest objects of each list that were written whole, newest first: at most two of each. A round trip
 * for each block, and for each object from the heads on.
 * @returns undefined when a node was silent.
 * @throws CorruptionError when a list has no end.
 */
export function* walkLogs(cx: Context, blocks: readonly DeadBlock[]): Op<LoggedObject[][] | undefined> {
  const { geometry } = cx.client.view;
  const lists: LoggedObject[][] = [];
  let cells = 0;
  for (const { sizeClass } of blocks) cells += geometry.cellsPerBlock(sizeClass);
  for (const { pointer, sizeClass } of blocks) {
    const heads = yield* readHeads(cx, pointer);
    if (heads === undefined) return undefined;
    for (const head of heads) {
      const list = yield* walkList(cx, { cell: head, sizeClass }, cells);
      if (list === undefined) return undefined;
      if (list.length > 0) lists.push(list);
    }
  }
  return lists;
}

/** Cells that a block's log heads name. */
function* readHeads(cx: Context, block: number): Op<number[] | undefined> {
  const { view, local } = cx.client;
  const { headsOffset, headsPerBlock } = view.geometry;
  const at = block + headsOffset;
  const b = cx.batch.reset();
  b.read(view.dataMn(at, 0), view.dataOffset(at, 0), cx.matchArea, headsPerBlock * 8);
  yield b;
  if (b.status(0) !== Status.OK) return undefined;
  const heads: number[] = [];
  for (let i = 0; i < headsPerBlock; i++) {
    const w = (cx.matchArea >>> 2) + 2 * i;
    const cell = local.words[w] + local.words[w + 1] * 0x100000000;
    if (cell !== 0) heads.push(cell);
  }
  return heads;
}

function* walkList(cx: Context, from: LoggedObject, cellsMax: number): Op<LoggedObject[] | undefined> {
  const { bytes } = cx.client.local;
  const { view } = cx.client;
  const to = replicaRef(MAX_REPLICAS);
  const whole: LoggedObject[] = [];
  let { cell } = from;
  for (let steps = 0; ; steps++) {
    if (steps > cellsMax)
      throw new CorruptionError(`the log list that begins at cell ${from.cell} has no end`);
    view.dataReplicas(cell, to);
    const b = cx.batch.reset();
    for (let r = 0; r < to.count; r++) {
      const entry = to.offsetBytes[r] + LINE_BYTES - LOG_ENTRY_BYTES;
      b.read(to.mn[r], entry, cx.matchArea + r * LINE_BYTES, LOG_ENTRY_BYTES);
    }
    yield b;
    let last = 0;
    let next = 0;
    let answers = 0;
    for (let r = 0; r < to.count; r++) {
      if (b.status(r) !== Status.OK) continue;
      answers++;
      const end = cx.matchArea + r * LINE_BYTES + LOG_ENTRY_BYTES;
      const byte = bytes[end + LogField.OPERATION];
      if (byte === 0) continue;
      // Where replicas differ in the used bit, the request was resetting it: it is still to be looked at.
      last |= byte;
      next = getPointer(bytes, end + LogField.NEXT);
    }
    if (answers === 0) return undefined;
    if (last === 0) return whole;
    if ((last & 1) === 1) {
      whole.unshift({ cell, sizeClass: from.sizeClass });
      whole.length = Math.min(whole.length, 2);
    }
    cell = next;
  }
}
