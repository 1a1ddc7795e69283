/**
 * SEARCH (FUSEE section 4.6): one round trip on a valid cache hit, two on a miss without false matches.
 *
 * Deviation: the paper's hit reads both combined buckets and trusts an invalidation byte in the object. Here the hit
 * reads the 8-byte slot, and is valid only if it still holds the cached word (hazard H6).
 */
import { candidateSlot, matches } from '../index/index.js';
import { LINE_BYTES, ownerPointer, slotLines } from '../layout/index.js';
import { CorruptionError, type OpLoop, Status, word } from '../verbs/index.js';
import { type Context, finish, Outcome } from './context.js';
import { MATCH_FAILED, MATCH_TORN, NO_MATCH } from './match.js';
import { checkObject, ObjectIs } from './object-check.js';

/** Torn objects a request meets before it gives up: each means that memory changed under it. */
const TORN_LIMIT = 64;

/** Serves SEARCH requests: OK with the value in `cx.foundAt`, NOT_FOUND, or UNAVAILABLE. */
export function* searchLoop(cx: Context): OpLoop {
  const { batch: b, client } = cx;
  const { view, cache, local } = client;
  const cached = word();
  request: for (;;) {
    cx.begin();
    if (cache.lookup(cx.place, local, cx.keyAt, cx.keyBytes, cached)) {
      const slot = cache.slot;
      cx.startBatch();
      const slotRead = b.read8(view.slotMn(slot, 0), view.slotOffset(slot));
      const objectRead = appendObjectRead(cx, ownerPointer(cached), slotLines(cached));
      yield b;
      if (b.status(slotRead) === Status.OK && b.status(objectRead) === Status.OK) {
        if (b.foundIs(slotRead, cached)) {
          if (checkObject(cx, cx.matchArea, slotLines(cached)) === ObjectIs.THE_KEYS) {
            yield finish(cx, Outcome.OK);
            continue;
          }
        } else if (matches(b.found(slotRead, cached), cx.place.fingerprint)) {
          // The slot changed, and its new word may already tell where the key's object is.
          b.reset();
          appendObjectRead(cx, ownerPointer(cached), slotLines(cached));
          yield b;
          if (!b.anyFailed() && checkObject(cx, cx.matchArea, slotLines(cached)) === ObjectIs.THE_KEYS) {
            cx.learn(slot, cached, false);
            yield finish(cx, Outcome.OK);
            continue;
          }
        }
      }
    }
    do {
      cx.startBatch();
      cx.appendBuckets(0, cx.buckets);
      yield b;
      if (b.anyFailed()) {
        yield finish(cx, Outcome.UNAVAILABLE);
        continue request;
      }
      yield* cx.match;
      if (cx.matched === MATCH_TORN) countTorn(cx);
    } while (cx.matched === MATCH_TORN);
    if (cx.matched >= 0) {
      cx.learn(candidateSlot(cx.place, cx.matched), cx.matchedWord, false);
      yield finish(cx, Outcome.OK);
    } else if (cx.matched === NO_MATCH) {
      cx.forget();
      yield finish(cx, Outcome.NOT_FOUND);
    } else {
      yield finish(cx, cx.matched === MATCH_FAILED ? Outcome.UNAVAILABLE : Outcome.NOT_FOUND);
    }
  }
}

/** Appends a READ of an object, from its primary replica, into the match area. */
export function appendObjectRead(cx: Context, pointer: number, lines: number): number {
  const { view } = cx.client;
  return cx.batch.read(
    view.dataMn(pointer, 0),
    view.dataOffset(pointer, 0),
    cx.matchArea,
    lines * LINE_BYTES,
  );
}

/** @throws CorruptionError after too many: an object that a slot names must be whole. */
export function countTorn(cx: Context): void {
  if (++cx.torn < TORN_LIMIT) return;
  throw new CorruptionError(
    `objects named by the candidate slots of a key failed their checksum ${TORN_LIMIT} times; ` +
      `fingerprint ${cx.place.fingerprint}, buckets at ${cx.place.combined[0]} and ${cx.place.combined[1]}`,
  );
}
