/**
 * What may a dead client have left half done? The walk of its log lists (FUSEE section 5.3).
 *
 * A block has log heads (`memory/log-head.ts`): each names the first cell of a list that may hold an
 * unfinished operation, and a cell ahead of it from which on frees may be missing; each object names the cell
 * that comes after it. Rules of the walk:
 * - The last byte of an entry, operation and used bit, lands last: while it is zero nothing was ever written
 *   whole there, and the list ends. A cell that is to be used next has a zero trailer, so every list ends so.
 *   One that was abandoned ends with its last operation: the cell behind that may be another client's by now.
 * - A clear used bit behind an operation is that of a request that left nothing behind; the list goes on
 *   (H5).
 * - A request begins its next object when every replica has the one before. So only the last of a list can be
 *   missing on some replica, and any replica's word is good.
 * - Heads lag behind: most of what the walk meets is finished. Recovery finds that out by itself.
 *
 * All lists are walked at once, so what it takes follows from the longest of them.
 */
import {
  getPointer,
  LINE_BYTES,
  LOG_ENTRY_BYTES,
  LOG_HEAD_BYTES,
  LogField,
  MAX_REPLICAS,
} from '../layout/index.js';
import { type HeadWords, readHead } from '../memory/index.js';
import type { Context } from '../ops/index.js';
import { CorruptionError, type Op, replicaRef, Status } from '../verbs/index.js';
import type { LoggedObject } from './recover-request.js';

/** A block of the dead client, as LIST names it. */
export interface DeadBlock {
  readonly pointer: number;
  readonly sizeClass: number;
}

/** A log list of the dead client. */
export interface DeadList {
  /** Its latest operations that were written whole and may be unfinished, newest first: at most two. */
  readonly unfinished: LoggedObject[];
  /** All its cells whose operations may have left something to free, oldest first: by their last lines. */
  readonly cells: number[];
}

/** A list under way. */
interface Walker extends DeadList {
  readonly head: HeadWords;
  readonly sizeClass: number;
  cell: number;
  /** The head has been met. */
  isOpen: boolean;
}

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/**
 * The lists that begin in these blocks, but for those without an operation. A round trip for some 64 blocks,
 * and for a step of all lists, or of some 32 of them.
 * @returns undefined when a node was silent.
 * @throws CorruptionError when a list has no end, or does not come to its head.
 */
export function* walkLogs(cx: Context, blocks: readonly DeadBlock[]): Op<DeadList[] | undefined> {
  const { geometry } = cx.client.view;
  const walkers: Walker[] = [];
  let cells = 0;
  const bytes = geometry.headsPerBlock * LOG_HEAD_BYTES;
  const atOnce = Math.min(BATCH_VERBS, Math.floor(cx.matchBytes / bytes));
  for (let i = 0; i < blocks.length; i += atOnce)
    if (!(yield* readHeads(cx, blocks.slice(i, i + atOnce), walkers))) return undefined;
  for (const { sizeClass } of blocks) cells += geometry.cellsPerBlock(sizeClass);
  const own = new Set(blocks.map(({ pointer }) => pointer));
  const perBatch = Math.floor(BATCH_VERBS / geometry.config.dataReplicas);
  let going: readonly Walker[] = walkers;
  for (let steps = 0; going.length > 0; steps++) {
    if (steps > cells)
      throw new CorruptionError(`the log list that begins at cell ${going[0].head.freed} has no end`);
    const next: Walker[] = [];
    for (let i = 0; i < going.length; i += perBatch) {
      const some = going.slice(i, i + perBatch);
      if (!(yield* step(cx, some, next))) return undefined;
    }
    going = next.filter(({ cell }) => own.has(cell - (cell % geometry.config.blockBytes)));
  }
  for (const { isOpen, head } of walkers)
    if (!isOpen)
      throw new CorruptionError(
        `the log list from cell ${head.freed} does not come to its head, ${head.head}`,
      );
  return walkers.filter((list) => list.cells.length > 0);
}

/** Begins the lists of the heads in some blocks. False: a node was silent. */
function* readHeads(cx: Context, blocks: readonly DeadBlock[], walkers: Walker[]): Op<boolean> {
  const { view, local } = cx.client;
  const { headsOffset, headsPerBlock } = view.geometry;
  const bytes = headsPerBlock * LOG_HEAD_BYTES;
  const b = cx.batch.reset();
  for (const { pointer } of blocks) {
    const at = pointer + headsOffset;
    b.read(view.dataMn(at, 0), view.dataOffset(at, 0), cx.matchArea + b.count * bytes, bytes);
  }
  yield b;
  if (b.anyFailed()) return false;
  for (const [i, { pointer, sizeClass }] of blocks.entries()) {
    for (let h = 0; h < headsPerBlock; h++) {
      const found = cx.matchArea + i * bytes + h * LOG_HEAD_BYTES;
      const head = readHead(local, found, pointer + headsOffset + h * LOG_HEAD_BYTES);
      if (head === undefined) continue;
      walkers.push({ head, sizeClass, cell: head.freed, isOpen: false, unfinished: [], cells: [] });
    }
  }
  return true;
}

/** Reads an entry of each list, and goes on with those that do not end there. False: a node was silent. */
function* step(cx: Context, walkers: readonly Walker[], next: Walker[]): Op<boolean> {
  const { view } = cx.client;
  const to = replicaRef(MAX_REPLICAS);
  const b = cx.batch.reset();
  const firsts: number[] = [];
  for (const { cell } of walkers) {
    view.dataReplicas(cell, to);
    firsts.push(b.count);
    for (let r = 0; r < to.count; r++) {
      const entry = to.offsetBytes[r] + LINE_BYTES - LOG_ENTRY_BYTES;
      b.read(to.mn[r], entry, cx.matchArea + b.count * LINE_BYTES, LOG_ENTRY_BYTES);
    }
  }
  yield b;
  for (const [i, walker] of walkers.entries()) {
    const follows = take(cx, walker, firsts[i], (firsts[i + 1] ?? b.count) - firsts[i]);
    if (follows === undefined) return false;
    if (follows === 0) continue;
    walker.cell = follows;
    next.push(walker);
  }
  return true;
}

/**
 * Notes what replicas say of a list's cell; the next cell, 0 at the end, undefined when none has answered.
 */
function take(cx: Context, walker: Walker, first: number, replicas: number): number | undefined {
  const { bytes } = cx.client.local;
  const { cell, sizeClass, head } = walker;
  let last = 0;
  let next = 0;
  let answers = 0;
  for (let i = first; i < first + replicas; i++) {
    if (cx.batch.status(i) !== Status.OK) continue;
    answers++;
    const end = cx.matchArea + i * LINE_BYTES + LOG_ENTRY_BYTES;
    const byte = bytes[end + LogField.OPERATION];
    if (byte === 0) continue;
    // Where replicas differ in the used bit, the request was resetting it: it is still to be looked at.
    last |= byte;
    next = getPointer(bytes, end + LogField.NEXT);
  }
  if (answers === 0) return undefined;
  if (cell === head.head) walker.isOpen = true;
  if (last === 0) return 0;
  walker.cells.push(cell);
  if (walker.isOpen && (last & 1) === 1) {
    walker.unfinished.unshift({ cell, sizeClass });
    walker.unfinished.length = Math.min(walker.unfinished.length, 2);
  }
  return next;
}
