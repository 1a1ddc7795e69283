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
 * - What the death of its client can tear is none of these rules: it leaves an entry without its last byte,
 *   or the head of before. A list that goes round in circles, or does not come to its head, is memory that
 *   nobody has written so, or a block of it lay where no replica is left. It is told of; the others go on.
 *
 * All lists are walked at once, so what it takes follows from the longest of them.
 */
import {
  CLASS_LINES,
  type Geometry,
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
  /** Why it cannot be followed: there may be more than it says. */
  fault?: string | undefined;
}

/** A list under way. */
interface Walker extends DeadList {
  readonly head: HeadWords;
  readonly sizeClass: number;
  cell: number;
  /** The head has been met. */
  isOpen: boolean;
  readonly seen: Set<number>;
}

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/**
 * The lists that begin in these blocks, but for those without an operation. A round trip for some 64 blocks,
 * and for a step of all lists, or of some 32 of them. Lists that cannot be followed have a fault.
 * @returns undefined when a node was silent.
 */
export function* walkLogs(cx: Context, blocks: readonly DeadBlock[]): Op<DeadList[] | undefined> {
  const { config } = cx.client.view.geometry;
  const walkers: Walker[] = [];
  const atOnce = Math.min(BATCH_VERBS, Math.floor(cx.matchBytes / headsBytes(cx)));
  for (let i = 0; i < blocks.length; i += atOnce)
    if (!(yield* readHeads(cx, blocks.slice(i, i + atOnce), walkers))) return undefined;
  const own = new Map(blocks.map(({ pointer, sizeClass }) => [pointer, sizeClass]));
  const perBatch = Math.floor(BATCH_VERBS / config.dataReplicas);
  // A list may begin, and end, in a block that its client has given away since.
  let going = walkers.filter((walker) => goesOn(cx, walker, own) || beginsElsewhere(cx, walker, own));
  while (going.length > 0) {
    const next: Walker[] = [];
    for (let i = 0; i < going.length; i += perBatch) {
      const some = going.slice(i, i + perBatch);
      if (!(yield* step(cx, some, next))) return undefined;
    }
    going = next.filter((walker) => goesOn(cx, walker, own));
  }
  for (const walker of walkers) {
    const { isOpen, head } = walker;
    if (!isOpen)
      walker.fault ??= `the log list from cell ${head.freed} does not come to its head, ${head.head}`;
  }
  return walkers.filter(({ cells, fault }) => cells.length > 0 || fault !== undefined);
}

/** @throws CorruptionError when one of these lists cannot be followed. */
export function requireWhole(lists: readonly DeadList[]): void {
  for (const { fault } of lists) if (fault !== undefined) throw new CorruptionError(fault);
}

/** The block of a cell of that class; -1 where there cannot be one. */
function blockOfCell(geometry: Geometry, cell: number, sizeClass: number): number {
  const { config } = geometry;
  const block = cell - (cell % config.blockBytes);
  const cells = (cell + LINE_BYTES - block - geometry.cellsOffset) / (CLASS_LINES[sizeClass] * LINE_BYTES);
  const isCell = Number.isInteger(cells) && cells >= 1 && cells <= geometry.cellsPerBlock(sizeClass);
  return isCell && cell < geometry.regions * config.regionBytes ? block : -1;
}

/** Does a list go on at its cell? It ends where that is none of its client's, and of its class. */
function goesOn(cx: Context, walker: Walker, own: ReadonlyMap<number, number>): boolean {
  const { cell, sizeClass, seen } = walker;
  const block = blockOfCell(cx.client.view.geometry, cell, sizeClass);
  if (own.get(block) !== sizeClass) return false;
  if (seen.has(cell)) walker.fault = `the log list that begins at cell ${walker.head.freed} has no end`;
  seen.add(cell);
  return walker.fault === undefined;
}

/** Does a list begin, with its latest cell, in a block that its client has given back or away since? */
function beginsElsewhere(cx: Context, walker: Walker, own: ReadonlyMap<number, number>): boolean {
  const { head, cell, sizeClass } = walker;
  const block = blockOfCell(cx.client.view.geometry, cell, sizeClass);
  return block >= 0 && cell === head.head && own.get(block) !== sizeClass;
}

/** Bytes of the log heads of a block. */
const headsBytes = (cx: Context): number => cx.client.view.geometry.headsPerBlock * LOG_HEAD_BYTES;

/** Begins the lists of the heads in some blocks. False: a node was silent. */
function* readHeads(cx: Context, blocks: readonly DeadBlock[], walkers: Walker[]): Op<boolean> {
  const { view, local } = cx.client;
  const { headsOffset, headsPerBlock } = view.geometry;
  const bytes = headsBytes(cx);
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
      walkers.push({
        ...{ head, sizeClass, cell: head.freed, isOpen: false },
        ...{ unfinished: [], cells: [], seen: new Set() },
      });
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
