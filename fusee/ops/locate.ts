/**
 * Where is the key? From the cache's hint, or from the key's two combined buckets; shared by all requests
 * that look for a key which should be there.
 */
import { candidateSlot, isInSubtable, matches } from '../index/index.js';
import { LINE_BYTES, ownerPointer, slotLines } from '../layout/index.js';
import { CorruptionError, copyWord, DONE, type OpLoop, Status } from '../verbs/index.js';
import type { Context } from './context.js';
import { followSplit, isStale } from './directory.js';
import { MATCH_TORN, NO_MATCH } from './match.js';
import { checkObject, ObjectIs } from './object-check.js';

/** What {@link locateLoop} came to. */
export const Located = { FOUND: 0, NOT_FOUND: 1, FAILED: 2 } as const;
export type Located = (typeof Located)[keyof typeof Located];

/** How a request's first batch stands when it turns to {@link locateLoop}. */
export const Hint = {
  /** Nothing posted yet, and no hint: the buckets join what the caller has appended. */
  NONE: 0,
  /** The cached slot was read and holds another word, which stands in `cx.hintWord`. */
  STALE: 1,
  /** The first batch is done; its hint was of no use. */
  USELESS: 2,
} as const;
export type Hint = (typeof Hint)[keyof typeof Hint];

/** Torn objects a request meets before it gives up: each means that memory changed under it. */
const TORN_LIMIT = 64;

/**
 * Looks the key up in the cache. On true, `cx.hintWord` and `cx.hintSlot` hold the entry.
 * The caller must read the slot and compare: a hint is never an answer (hazard H6).
 */
export function hasHint(cx: Context): boolean {
  const { cache, local } = cx.client;
  if (!cache.lookup(cx.place, local, cx.keyAt, cx.keyBytes, cx.hintWord)) {
    cx.hint = Hint.NONE;
    return false;
  }
  cx.hintSlot = cache.slot;
  cx.isHintFresh = cache.period === cx.period;
  if (isInSubtable(cx.place, cx.hintSlot)) return true;
  // A split has moved the key.
  cx.hint = Hint.NONE;
  return false;
}

/** Appends the READ of the hinted slot; as the batch's verb number {@link Context.hintRead}. */
export function appendHintRead(cx: Context): void {
  const { view } = cx.client;
  cx.hintRead = cx.batch.read8(view.slotMn(cx.hintSlot, 0), view.slotOffset(cx.hintSlot));
}

/** After the batch: does the slot still hold the hinted word? If not, sets `cx.hint` and `cx.hintWord`. */
export function hintHolds(cx: Context): boolean {
  if (cx.batch.status(cx.hintRead) !== Status.OK) {
    cx.hint = Hint.USELESS;
    return false;
  }
  if (cx.batch.foundIs(cx.hintRead, cx.hintWord)) return true;
  cx.batch.found(cx.hintRead, cx.hintWord);
  // The slot changed, and its new word may already tell where the key's object is.
  cx.hint = matches(cx.hintWord, cx.place.fingerprint) ? Hint.STALE : Hint.USELESS;
  return false;
}

/** Appends a READ of an object, from its primary replica, into the match area. */
export function appendObjectRead(cx: Context, pointer: number, lines: number): number {
  const { view } = cx.client;
  return cx.batch.readObject(
    view.dataMn(pointer, 0),
    view.dataOffset(pointer, 0),
    cx.matchArea,
    lines * LINE_BYTES,
  );
}

/**
 * Fills `cx.located`; on FOUND also `cx.slot`, `cx.matchedWord`, `cx.foundAt`, and the cache. 1 or 2 round
 * trips.
 */
export function* locateLoop(cx: Context): OpLoop {
  const b = cx.batch;
  for (;;) {
    cx.located = Located.NOT_FOUND;
    if (cx.hint === Hint.STALE) {
      b.reset();
      appendObjectRead(cx, ownerPointer(cx.hintWord), slotLines(cx.hintWord));
      yield b;
      acceptStaleHint(cx);
    }
    let again = cx.hint !== Hint.NONE;
    while (cx.located === Located.NOT_FOUND) {
      if (again) cx.startBatch();
      again = true;
      cx.appendBuckets(0, cx.buckets);
      yield b;
      if (b.anyFailed()) cx.located = Located.FAILED;
      else if (isStale(cx)) {
        if (!(yield* followSplit(cx))) cx.located = Located.FAILED;
      } else {
        yield* cx.match;
        if (cx.matched === MATCH_TORN) {
          countTorn(cx);
          continue;
        }
        conclude(cx);
        if (cx.located === Located.NOT_FOUND) break;
      }
    }
    yield DONE;
  }
}

function acceptStaleHint(cx: Context): void {
  if (cx.batch.anyFailed()) return;
  if (checkObject(cx, cx.matchArea, slotLines(cx.hintWord), 0) !== ObjectIs.THE_KEYS) return;
  copyWord(cx.matchedWord, cx.hintWord);
  cx.slot = cx.hintSlot;
  cx.learn(cx.slot, cx.matchedWord, false);
  cx.located = Located.FOUND;
}

function conclude(cx: Context): void {
  if (cx.matched >= 0) {
    cx.slot = candidateSlot(cx.place, cx.matched);
    cx.learn(cx.slot, cx.matchedWord, false);
    cx.located = Located.FOUND;
  } else if (cx.matched === NO_MATCH) {
    cx.forget();
  } else {
    cx.located = Located.FAILED;
  }
}

/** @throws CorruptionError after too many: an object that a slot names must be whole. */
export function countTorn(cx: Context): void {
  if (++cx.torn < TORN_LIMIT) return;
  throw new CorruptionError(
    `objects named by the candidate slots of a key failed their checksum ${TORN_LIMIT} times; ` +
      `fingerprint ${cx.place.fingerprint}, buckets at ${cx.place.combined[0]} and ${cx.place.combined[1]}`,
  );
}
