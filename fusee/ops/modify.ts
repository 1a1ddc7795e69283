/**
 * UPDATE and DELETE (FUSEE section 4.6, Figure 9): write the object beside reading the slot, then replace the
 * slot.
 *
 * Round trips on a hit: 4 by Rule 1 (5, 6 by Rules 2, 3), 2 with one index replica; a miss costs one more.
 *
 * Rules of this file:
 * - `vOld` is always a word just read from the primary, never the cached one (hazard H6).
 * - A losing UPDATE is done: it counts just before the winner. A losing DELETE is not: its key may live on
 *   under the winner's value, so it goes again, or answers NOT_FOUND (hazard H3).
 *
 * Deviation: the paper's DELETE installs 0; ours installs a tombstone that names the DELETE's own object
 * (H2).
 */
import { matches } from '../index/index.js';
import { HEADER_BYTES, LINE_BYTES, LogOperation, ownerPointer, slotLines } from '../layout/index.js';
import { Round, Verdict, won } from '../replication/index.js';
import { copyWord, DONE, type Op, type OpLoop, Status } from '../verbs/index.js';
import { type Context, Outcome } from './context.js';
import { isLocked } from './directory.js';
import { appendHintRead, appendObjectRead, countTorn, Hint, hasHint, hintHolds, Located } from './locate.js';
import { checkObject, hasKey, ObjectIs } from './object-check.js';
import { getReady } from './obtain-cell.js';

type Modification = typeof LogOperation.UPDATE | typeof LogOperation.DELETE;

/** Serves requests of one kind: OK, NOT_FOUND, NO_MEMORY or UNAVAILABLE. */
export function* modifyLoop(cx: Context, operation: Modification): OpLoop {
  for (;;) {
    cx.begin();
    if ((!isLocked(cx) && cx.takeCell(operation)) || (yield* getReady(cx, operation))) {
      if (startModify(cx, operation)) yield cx.batch;
      if (!hitFound(cx)) yield* cx.locate;
      if (isLocated(cx, operation)) {
        // The first round, which most requests win, makes no generator.
        if (cx.write.slot.count === 1) {
          yield appendSingle(cx);
          castSingle(cx);
        } else {
          yield* cx.propose;
          if (won(cx.write.verdict)) yield* cx.commit;
        }
        if (won(cx.write.verdict)) succeed(cx, operation);
        else if (yield* lose(cx, operation)) yield* replaceWord(cx, operation);
      }
    }
    cx.end();
    yield DONE;
  }
}

/**
 * Replaces the slot's word, again and again until the request has ended: a request's second round, and those
 * that follow, or the first in a new view.
 * @param resumed the round has won already, and commits its log.
 */
export function* replaceWord(cx: Context, operation: Modification, resumed = false): Op<void> {
  const { write } = cx;
  let isDecided = resumed;
  for (let again = true; again; isDecided = false) {
    if (isDecided) {
      write.verdict = Verdict.RULE_1;
      yield* cx.commit;
    } else if (write.slot.count === 1) {
      yield appendSingle(cx);
      castSingle(cx);
    } else {
      yield* cx.propose;
      if (won(write.verdict)) yield* cx.commit;
    }
    again = won(write.verdict) ? succeed(cx, operation) : yield* lose(cx, operation);
  }
}

/**
 * Fills the first batch: the object, and on a hit the slot. False when the buckets have to be read with it.
 */
function startModify(cx: Context, operation: Modification): boolean {
  cx.seal(operation);
  cx.startBatch();
  cx.appendObject();
  cx.isHit = hasHint(cx);
  if (cx.isHit) appendHintRead(cx);
  if (cx.isHit && !cx.isHintFresh) appendOwnerReads(cx);
  return cx.isHit;
}

/** True when the hit decides: the cached slot holds what the cache said, or a replica was silent. */
function hitFound(cx: Context): boolean {
  if (!cx.isHit) return false;
  if (cx.batch.anyFailed()) {
    // The object is not on every replica: the request must not go on to name it.
    cx.located = Located.FAILED;
    return true;
  }
  if (!hintHolds(cx)) return false;
  if (!cx.isHintFresh && !isOwner(cx)) {
    cx.hint = Hint.USELESS;
    return false;
  }
  cx.located = Located.FOUND;
  cx.slot = cx.hintSlot;
  copyWord(cx.matchedWord, cx.hintWord);
  return true;
}

/**
 * Appends READs of what tells whose the hinted object is. The slot may hold the very word that the cache
 * remembers, and yet name another key's object: in the same cell, freed and used again since (hazard H4).
 *
 * First the used bit, then the key, on one node: a set bit proves that the object in the cell is whole.
 * Reclaim clears it a grace ahead of the cell's next use, so what is whole in both READs is one object, and
 * if the slot holds the word, it names that.
 */
function appendOwnerReads(cx: Context): void {
  const { view } = cx.client;
  const pointer = ownerPointer(cx.hintWord);
  const last = pointer + slotLines(cx.hintWord) * LINE_BYTES - 8;
  const mn = view.dataMn(pointer, 0);
  cx.batch.read8(mn, view.dataOffset(last, 0));
  cx.batch.read(mn, view.dataOffset(pointer, 0), cx.matchArea, HEADER_BYTES + cx.keyBytes);
}

/** After the batch: does the hinted word name an object of the request's key? */
function isOwner(cx: Context): boolean {
  const last = cx.batch.found(cx.hintRead + 1, cx.scratch);
  return ((last.hi >>> 24) & 1) === 1 && hasKey(cx, cx.matchArea);
}

/** Aims at the slot, or ends the request. */
function isLocated(cx: Context, operation: Modification): boolean {
  if (cx.located === Located.FOUND) {
    copyWord(cx.write.vOld, cx.matchedWord);
    cx.aim(cx.slot, operation === LogOperation.DELETE ? 0 : cx.lines);
    return true;
  }
  if (cx.located === Located.NOT_FOUND) {
    cx.dropCell(operation);
    cx.outcome = Outcome.NOT_FOUND;
  } else {
    cx.outcome = Outcome.UNAVAILABLE;
  }
  return false;
}

/** One replica: a compare-and-swap, and a failed one is the lost round. */
function appendSingle(cx: Context): Context['batch'] {
  const { write } = cx;
  const { slot, vOld, vNew } = write;
  write.round = Round.SWAPPING;
  write.wasProposed = true;
  cx.batch.reset().cas(slot.mn[0], slot.offsetBytes[0], vOld, vNew);
  return cx.batch;
}

function castSingle(cx: Context): void {
  const { write, batch } = cx;
  if (batch.status(0) !== Status.OK) write.verdict = Verdict.FAIL;
  else if (batch.foundIs(0, write.vOld)) write.verdict = Verdict.RULE_1;
  else {
    batch.found(0, write.lost);
    write.verdict = Verdict.LOSE;
    write.round = Round.NONE;
  }
}

function succeed(cx: Context, operation: Modification): false {
  if (operation === LogOperation.DELETE) cx.forget();
  else cx.learn(cx.slot, cx.write.vNew, true);
  cx.freeReplaced(cx.write.vOld);
  cx.outcome = Outcome.OK;
  return false;
}

/** After a round that was not won. True: go again, on the winner's value. */
function* lose(cx: Context, operation: Modification): Op<boolean> {
  const { write } = cx;
  cx.outcome = Outcome.UNAVAILABLE;
  if (write.verdict === Verdict.FAIL || write.verdict === Verdict.EXPIRED) return false;
  cx.lostRound = true;
  const isDelete = operation === LogOperation.DELETE;
  if (isDelete && matches(write.lost, cx.place.fingerprint)) {
    // The winner put a KV there: if it is the key's, the key exists and this DELETE must go on.
    let is: ObjectIs;
    do {
      cx.batch.reset();
      appendObjectRead(cx, ownerPointer(write.lost), slotLines(write.lost));
      yield cx.batch;
      if (cx.batch.anyFailed()) return false;
      is = checkObject(cx, cx.matchArea, slotLines(write.lost), 0);
      if (is === ObjectIs.TORN) countTorn(cx);
    } while (is === ObjectIs.TORN);
    if (is === ObjectIs.THE_KEYS) {
      if (write.expired) return false;
      copyWord(write.vOld, write.lost);
      return true;
    }
  }
  // Recovery must not take this object for an operation in flight: wait for the reset before answering.
  yield cx.resetBatch(operation);
  cx.loseCell();
  // A lost UPDATE learns nothing: the winner's word may be of another key. The entry is stale, and will be
  // found so.
  if (isDelete) cx.forget();
  cx.outcome = isDelete ? Outcome.NOT_FOUND : Outcome.OK;
  return false;
}
