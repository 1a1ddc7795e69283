/**
 * Free bits, set by recovery. Whatever it does may be done again by the next recoverer, and FAA of a bit
 * that is set carries into its neighbour's (hazard H16): so bits are read, and those that are missing are
 * swapped in, as often as others change the same word.
 */
import {
  BLOCK_HEADER_BYTES,
  isReplacedWord,
  LINE_BYTES,
  LogField,
  MAX_REPLICAS,
  ownerPointer,
  readOldValue,
} from '../layout/index.js';
import type { Context } from '../ops/index.js';
import { type Op, replicaRef, type Word, word } from '../verbs/index.js';
import type { DeadList } from './walk-log.js';

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/** Bits that one word of a bitmap is to have. */
interface Bits {
  /** Pointer of the word. */
  readonly pointer: number;
  lo: number;
  hi: number;
}

/** The same on one replica, and what it was last seen to hold. */
interface Missing extends Bits {
  readonly mn: number;
  readonly offset: number;
  readonly seen: Word;
}

/**
 * Sets the free bits of what the operations in these lists have replaced: finished ones whose client died
 * before it did, or between its bits, and those that recovery itself has finished or undone. A bit that is
 * set stays so, since nobody can have taken the cell back meanwhile (`memory/log-head.ts`; since its death
 * the client's word has stood still).
 *
 * The log of an operation is committed when, and only when, it has put its word into its slot, for any number
 * of index replicas but one: there the old value is not logged, and what the dead client had still to free
 * leaks. Round trips: one for some 32 entries, then as {@link setFreeBits}.
 * @returns false when a replica was silent.
 */
export function* freeReplaced(cx: Context, lists: readonly DeadList[]): Op<boolean> {
  const { view, local } = cx.client;
  const { dataReplicas } = view.geometry.config;
  const cells = lists.flatMap((list) => list.cells);
  const perBatch = Math.floor(BATCH_VERBS / dataReplicas);
  const replaced: number[] = [];
  const vOld = word();
  for (let i = 0; i < cells.length; i += perBatch) {
    const some = cells.slice(i, i + perBatch);
    const b = cx.batch.reset();
    for (const cell of some)
      for (let r = 0; r < view.dataCount(cell); r++)
        b.read(
          view.dataMn(cell, r),
          view.dataOffset(cell, r),
          cx.matchArea + b.count * LINE_BYTES,
          LINE_BYTES,
        );
    yield b;
    if (b.anyFailed()) return false;
    for (let k = 0; k < b.count; k++) {
      const end = cx.matchArea + (k + 1) * LINE_BYTES;
      const isUsed = (local.bytes[end + LogField.OPERATION] & 1) === 1;
      if (isUsed && readOldValue(local.bytes, end, vOld) && isReplacedWord(vOld))
        replaced.push(ownerPointer(vOld));
    }
  }
  return yield* setFreeBits(cx, replaced);
}

/**
 * Sets the free bits of these lines on every replica. A round trip for some 32 words, and one more for those
 * that lack a bit, again while others change them.
 * @returns false when a replica was silent.
 */
export function* setFreeBits(cx: Context, lines: readonly number[]): Op<boolean> {
  const words = wordsOf(cx.client.view.geometry.config.blockBytes, lines);
  const perBatch = Math.floor(BATCH_VERBS / cx.client.view.geometry.config.dataReplicas);
  for (let i = 0; i < words.length; i += perBatch) {
    let missing = yield* readWords(cx, words.slice(i, i + perBatch));
    while (missing !== undefined && missing.length > 0) missing = yield* swapIn(cx, missing);
    if (missing === undefined) return false;
  }
  return true;
}

function wordsOf(blockBytes: number, lines: readonly number[]): Bits[] {
  const words = new Map<number, Bits>();
  for (const pointer of lines) {
    const block = pointer - (pointer % blockBytes);
    const line = (pointer - block) / LINE_BYTES;
    const at = block + BLOCK_HEADER_BYTES + 8 * (line >>> 6);
    const bits = words.get(at) ?? { pointer: at, lo: 0, hi: 0 };
    if ((line & 32) === 0) bits.lo = (bits.lo | (1 << (line & 31))) >>> 0;
    else bits.hi = (bits.hi | (1 << (line & 31))) >>> 0;
    words.set(at, bits);
  }
  return [...words.values()];
}

const lacks = ({ seen, lo, hi }: Missing): boolean => (lo & ~seen.lo) !== 0 || (hi & ~seen.hi) !== 0;

function* readWords(cx: Context, words: readonly Bits[]): Op<Missing[] | undefined> {
  const b = cx.batch.reset();
  const all: Missing[] = [];
  const to = replicaRef(MAX_REPLICAS);
  for (const bits of words) {
    cx.client.view.dataReplicas(bits.pointer, to);
    for (let r = 0; r < to.count; r++) {
      all.push({ ...bits, mn: to.mn[r], offset: to.offsetBytes[r], seen: word() });
      b.read8(to.mn[r], to.offsetBytes[r]);
    }
  }
  yield b;
  if (b.anyFailed()) return undefined;
  for (const [i, { seen }] of all.entries()) b.found(i, seen);
  return all.filter(lacks);
}

function* swapIn(cx: Context, missing: readonly Missing[]): Op<Missing[] | undefined> {
  const b = cx.batch.reset();
  for (const { mn, offset, seen, lo, hi } of missing)
    b.cas(mn, offset, seen, word((seen.hi | hi) >>> 0, (seen.lo | lo) >>> 0));
  yield b;
  if (b.anyFailed()) return undefined;
  return missing.filter((of, i) => {
    if (b.foundIs(i, of.seen)) return false;
    b.found(i, of.seen);
    return lacks(of);
  });
}
