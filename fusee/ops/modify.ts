/**
 * UPDATE and DELETE (FUSEE section 4.6, Figure 9): write the object beside reading the slot, then replace the slot.
 *
 * Round trips on a hit: 4 by Rule 1 (5, 6 by Rules 2, 3), 2 with one index replica; a miss costs one more.
 *
 * Rules of this file:
 * - `vOld` is always a word just read from the primary, never the cached one (hazard H6).
 * - A losing UPDATE is done: it counts just before the winner. A losing DELETE is not: its key may live on under the
 *   winner's value, so it goes again, or answers NOT_FOUND (hazard H3).
 *
 * Deviation: the paper's DELETE installs 0; ours installs a tombstone that names the DELETE's own object (H2).
 */
import { candidateSlot, matches } from '../index/index.js';
import { LogOperation, ownerPointer, slotLines } from '../layout/index.js';
import { Allocation } from '../memory/index.js';
import { Verdict, won } from '../replication/index.js';
import { copyWord, type OpLoop, Status, word } from '../verbs/index.js';
import { allocationOutcome, type Context, finish, Outcome } from './context.js';
import { MATCH_FAILED, MATCH_TORN } from './match.js';
import { checkObject, ObjectIs } from './object-check.js';
import { appendObjectRead, countTorn } from './search.js';

/** Serves requests of one kind: OK, NOT_FOUND, NO_MEMORY or UNAVAILABLE. */
export function* modifyLoop(
  cx: Context,
  operation: typeof LogOperation.UPDATE | typeof LogOperation.DELETE,
): OpLoop {
  const { batch: b, client, write } = cx;
  const { view, cache, local } = client;
  const isDelete = operation === LogOperation.DELETE;
  const found = word();
  request: for (;;) {
    cx.begin();
    while (!cx.takeCell(operation)) {
      const refilled = yield* cx.allocator.refill(cx.sizeClass);
      if (refilled !== Allocation.OK) {
        yield finish(cx, allocationOutcome(refilled));
        continue request;
      }
    }
    cx.seal(operation);

    // First batch: the object, beside the slot (hit) or the buckets (miss).
    let slot = -1;
    const hit = cache.lookup(cx.place, local, cx.keyAt, cx.keyBytes, found);
    cx.startBatch();
    cx.appendObject();
    if (hit) {
      const cachedSlot = cache.slot;
      const read = b.read8(view.slotMn(cachedSlot, 0), view.slotOffset(cachedSlot));
      yield b;
      if (b.anyFailed()) {
        yield finish(cx, Outcome.UNAVAILABLE);
        continue;
      }
      if (b.foundIs(read, found)) slot = cachedSlot;
      else if (matches(b.found(read, found), cx.place.fingerprint)) {
        b.reset();
        appendObjectRead(cx, ownerPointer(found), slotLines(found));
        yield b;
        if (!b.anyFailed() && checkObject(cx, cx.matchArea, slotLines(found)) === ObjectIs.THE_KEYS) {
          cx.learn(cachedSlot, found, false);
          slot = cachedSlot;
        }
      }
      if (slot >= 0) copyWord(write.vOld, found);
    }
    let firstBatch = !hit;
    while (slot < 0) {
      if (!firstBatch) b.reset();
      firstBatch = false;
      cx.appendBuckets(0, cx.buckets);
      yield b;
      if (b.anyFailed()) break;
      yield* cx.match;
      if (cx.matched === MATCH_TORN) {
        countTorn(cx);
        continue;
      }
      if (cx.matched < 0) break;
      slot = candidateSlot(cx.place, cx.matched);
      copyWord(write.vOld, cx.matchedWord);
      cx.learn(slot, cx.matchedWord, false);
    }
    if (slot < 0) {
      const silent = b.anyFailed() || cx.matched === MATCH_FAILED;
      if (!silent) {
        cx.dropCell(operation);
        cx.forget();
      }
      yield finish(cx, silent ? Outcome.UNAVAILABLE : Outcome.NOT_FOUND);
      continue;
    }

    cx.aim(slot, isDelete ? 0 : cx.lines);
    for (;;) {
      // One replica: a compare-and-swap, and a failed one is the lost round.
      if (write.slot.count === 1) {
        b.reset().cas(write.slot.mn[0], write.slot.offsetBytes[0], write.vOld, write.vNew);
        yield b;
        if (b.status(0) !== Status.OK) write.verdict = Verdict.FAIL;
        else if (b.foundIs(0, write.vOld)) write.verdict = Verdict.RULE_1;
        else {
          b.found(0, write.lost);
          write.verdict = Verdict.LOSE;
        }
      } else {
        yield* cx.propose;
        if (won(write.verdict)) yield* cx.commit;
      }
      if (won(write.verdict)) {
        if (isDelete) cx.forget();
        else cx.learn(slot, write.vNew, true);
        yield finish(cx, Outcome.OK);
        continue request;
      }
      if (write.verdict === Verdict.FAIL || write.verdict === Verdict.EXPIRED) {
        yield finish(cx, Outcome.UNAVAILABLE);
        continue request;
      }
      cx.lostRound = true;
      if (!isDelete || !matches(write.lost, cx.place.fingerprint)) break;
      // The winner put a KV there: if it is the key's, the key exists and this DELETE must go on.
      b.reset();
      appendObjectRead(cx, ownerPointer(write.lost), slotLines(write.lost));
      yield b;
      if (b.anyFailed()) {
        yield finish(cx, Outcome.UNAVAILABLE);
        continue request;
      }
      const is = checkObject(cx, cx.matchArea, slotLines(write.lost));
      if (is === ObjectIs.ANOTHERS) break;
      if (is === ObjectIs.TORN) {
        countTorn(cx);
        continue;
      }
      if (write.expired) {
        yield finish(cx, Outcome.UNAVAILABLE);
        continue request;
      }
      copyWord(write.vOld, write.lost);
    }
    // Recovery must not take this object for an operation in flight: wait for the reset before answering.
    yield cx.resetBatch(operation);
    // An UPDATE's entry stays, stale: what the slot holds by now may be another key's, and nobody has looked. Were
    // it learnt, the next UPDATE would find it unchanged and replace that key's object.
    if (isDelete) cx.forget();
    yield finish(cx, isDelete ? Outcome.NOT_FOUND : Outcome.OK);
  }
}
