/**
 * Recovery of one request of a crashed client (FUSEE section 5.3), from the object that its log names.
 *
 * Rules of this file:
 * - The dead client is fenced first: none of its verbs executes any more.
 * - The request is found by its own pointer, on the primary first and on the backups in a *later* batch: a
 *   word still on a backup then proves that its round was open when the primary was read, so the word read
 *   there is the round's old value. The other order takes a newer word for it (control X10).
 * - Found: the round is finished, or undone, with the same object. Nowhere: nothing is done. Redoing with
 *   another object would fight the dead client's own words (hazard H15, controls X10b and X10c).
 * - Every step may have been taken by an earlier recoverer that crashed: this one starts from the top, and
 *   finds it so.
 *
 * Deviation: the paper redoes requests whose log is not committed (c1). Here such a request is finished where
 * its word stands on a backup, and dropped where it does not: nobody was told of it.
 */
import { CANDIDATES, candidateSlot, candidateWord, matches } from '../index/index.js';
import {
  CLASS_LINES,
  HEADER_BYTES,
  isTent,
  isTomb,
  LINE_BYTES,
  LogField,
  LogOperation,
  makeSlot,
  objectLines,
  ownerPointer,
  readOldValue,
  slotLines,
} from '../layout/index.js';
import type { Context } from '../ops/index.js';
import { requireSwapped, Verdict, won } from '../replication/index.js';
import { CorruptionError, copyWord, type Op, sameWord, type Word, word } from '../verbs/index.js';

/** What recovery made of a request. */
export const Recovered = {
  /** c0, or c1 whose word is nowhere: it never took effect, and its object is free. */
  DROPPED: 1,
  /** Somebody had finished it, or written over it; or another writer won its round. */
  NOTHING_TO_DO: 2,
  /** c1 or c2: it took effect now. */
  FINISHED: 3,
  /** An INSERT not yet acknowledged: its object is its slot's tombstone now. */
  UNDONE: 4,
  /** A replica did not answer: begin again. */
  FAILED: 5,
} as const;
export type Recovered = (typeof Recovered)[keyof typeof Recovered];

/** A logged object of the dead client. */
export interface LoggedObject {
  /** Pointer of its cell's last line, which holds the log entry. */
  readonly cell: number;
  readonly sizeClass: number;
}

/** What the log says of an object. */
interface Found {
  operation: number;
  isCommitted: boolean;
}

/**
 * Finishes, undoes or drops the request that wrote `object`. 1 to 3 round trips when there is nothing to do,
 * at most 4 more. `cx` belongs to the recoverer; its staged request is overwritten.
 *
 * @throws CorruptionError when the slots contradict the log.
 */
export function* recoverRequest(cx: Context, object: LoggedObject): Op<Recovered> {
  const recovered = yield* recover(cx, object);
  cx.end();
  return recovered;
}

/** A logged object, and where its word may stand. */
export interface LoggedSlots extends LoggedObject {
  readonly operation: number;
  /** What it was to replace, or has replaced, when its log is committed. */
  readonly vOld: Word | undefined;
  /** The candidates of its key, as logical offsets; none when it is not whole, and so was never proposed. */
  readonly slots: readonly number[];
}

/** The slots that may hold the word of a logged object. A round trip for each replica; undefined: silence. */
export function* slotsOfObject(cx: Context, object: LoggedObject): Op<LoggedSlots | undefined> {
  const found: Found = { operation: 0, isCommitted: false };
  const read = yield* readObject(cx, object, found);
  if (read === Recovered.FAILED) return undefined;
  const { operation, isCommitted } = found;
  if (read !== undefined) return { ...object, operation, vOld: undefined, slots: [] };
  cx.begin();
  const slots = Array.from({ length: CANDIDATES }, (_, q) => candidateSlot(cx.place, q));
  cx.end();
  const { vOld } = cx.write;
  return { ...object, operation, vOld: isCommitted ? word(vOld.hi, vOld.lo) : undefined, slots };
}

function* recover(cx: Context, object: LoggedObject): Op<Recovered> {
  const found: Found = { operation: 0, isCommitted: false };
  const read = yield* readObject(cx, object, found);
  if (read !== undefined) return read;
  cx.begin();

  const b = cx.batch.reset();
  cx.appendBuckets(0, cx.buckets);
  yield b;
  if (b.anyFailed()) return Recovered.FAILED;
  const onPrimary = holder(cx, cx.buckets);
  const replicas = cx.client.view.slotCount(cx.place.combined[0]);
  if (onPrimary >= 0) return yield* undoTentative(cx, onPrimary);
  // One replica: no log commit tells "overwritten" from "never happened", so nothing may be redone.
  if (replicas === 1) return Recovered.NOTHING_TO_DO;
  const primary = cx.client.local.bytes.slice(cx.buckets, cx.buckets + 256);

  let candidate = -1;
  let isUndo = false;
  b.reset();
  for (let r = 1; r < replicas; r++) cx.appendBuckets(r, cx.matchArea + (r - 1) * 256);
  yield b;
  if (b.anyFailed()) return Recovered.FAILED;
  const w = word();
  for (let r = 1; r < replicas; r++) {
    const q = holder(cx, cx.matchArea + (r - 1) * 256);
    if (q < 0) continue;
    if (candidate >= 0 && candidate !== q)
      throw new CorruptionError(`object ${cx.objectPointer} of a crashed client stands in two slots`);
    candidate = q;
    candidateWord(cx.client.local.words, cx.matchArea + (r - 1) * 256, q, w);
    if (found.operation === LogOperation.INSERT && isTomb(w)) isUndo = true;
  }
  if (candidate < 0) return found.isCommitted ? Recovered.NOTHING_TO_DO : Recovered.DROPPED;

  cx.client.local.bytes.set(primary, cx.buckets);
  cx.aim(candidateSlot(cx.place, candidate), found.operation === LogOperation.DELETE ? 0 : cx.lines);
  candidateWord(cx.client.local.words, cx.buckets, candidate, cx.write.vOld);
  return yield* finishRound(cx, candidate, { ...found, isUndo });
}

/**
 * Finds the object in its cell on any replica, and what its log says; a result when there is nothing to look
 * for.
 */
function* readObject(cx: Context, object: LoggedObject, found: Found): Op<Recovered | undefined> {
  const { client } = cx;
  const { bytes } = client.local;
  const cellBytes = CLASS_LINES[object.sizeClass] * LINE_BYTES;
  cx.cell = object.cell;
  cx.sizeClass = object.sizeClass;
  const to = client.view.dataReplicas(object.cell, cx.write.objectEnd);
  for (let r = 0; r < to.count; r++) to.offsetBytes[r] += LINE_BYTES;
  let isWhole = false;
  let isSilent = true;
  for (let r = 0; r < to.count; r++) {
    const b = cx.batch.reset();
    b.read(to.mn[r], to.offsetBytes[r] - cellBytes, cx.tombstone, cellBytes);
    yield b;
    if (b.anyFailed()) continue;
    isSilent = false;
    const end = cx.tombstone + cellBytes;
    const entry = bytes[end + LogField.OPERATION];
    const lines = wholeLines(cx, end, object.sizeClass);
    if ((entry & 1) === 0 || lines === 0) continue;
    const vOld = word();
    if (readOldValue(bytes, end, vOld)) {
      found.isCommitted = true;
      copyWord(cx.write.vOld, vOld);
    }
    if (isWhole) continue;
    isWhole = true;
    found.operation = entry >> 1;
    stage(cx, end, lines);
  }
  if (isSilent) return Recovered.FAILED;
  return isWhole ? undefined : Recovered.DROPPED;
}

/** Lines of the whole object that ends at `end`; 0 when there is none. */
function wholeLines(cx: Context, end: number, sizeClass: number): number {
  const { words, crc32c } = cx.client.local;
  const least = sizeClass === 0 ? 0 : CLASS_LINES[sizeClass - 1];
  for (let lines = CLASS_LINES[sizeClass]; lines > least; lines--) {
    const at = end - lines * LINE_BYTES;
    const lengths = words[at >>> 2];
    const keyBytes = lengths & 0xffff;
    const valueBytes = lengths >>> 16;
    if (keyBytes === 0 || objectLines(keyBytes, valueBytes) !== lines) continue;
    if (crc32c(at + HEADER_BYTES, keyBytes + valueBytes, lengths) === words[(at >>> 2) + 1]) return lines;
  }
  return 0;
}

/** Makes the object the recoverer's own staged one: what commits and proposes it needs it there. */
function stage(cx: Context, end: number, lines: number): void {
  const { bytes, words } = cx.client.local;
  const lengthBytes = lines * LINE_BYTES;
  bytes.copyWithin(cx.object, end - lengthBytes, end);
  cx.lines = lines;
  cx.keyBytes = words[cx.object >>> 2] & 0xffff;
  cx.valueBytes = words[cx.object >>> 2] >>> 16;
  cx.write.stagedEnd = cx.object + lengthBytes;
}

/** The candidate whose word names the object, in buckets read to `at`, or -1. */
function holder(cx: Context, at: number): number {
  const w = word();
  for (let q = 0; q < CANDIDATES; q++) {
    candidateWord(cx.client.local.words, at, q, w);
    if ((w.hi | w.lo) !== 0 && ownerPointer(w) === cx.objectPointer) return q;
  }
  return -1;
}

/**
 * The primary names the object: done, unless it is the tentative word of an INSERT that nobody was told of.
 */
function* undoTentative(cx: Context, candidate: number): Op<Recovered> {
  const { batch: b } = cx;
  const w = candidateWord(cx.client.local.words, cx.buckets, candidate, word());
  if (!isTent(w)) return Recovered.NOTHING_TO_DO;
  cx.aim(candidateSlot(cx.place, candidate), slotLines(w));
  const tomb = makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);
  b.reset().cas(cx.write.slot.mn[0], cx.write.slot.offsetBytes[0], w, tomb);
  yield b;
  if (b.anyFailed()) return Recovered.FAILED;
  requireSwapped(b, 0, w, "recovery's CAS of a tentative slot");
  return Recovered.UNDONE;
}

/** The object's word stands on a backup, and the round was open: end it. */
function* finishRound(
  cx: Context,
  candidate: number,
  state: Found & { readonly isUndo: boolean },
): Op<Recovered> {
  const { write } = cx;
  if (state.isUndo) return yield* undo(cx);
  if (!state.isCommitted) {
    // A recoverer waits for nobody: who loses here leaves the slot to its winner.
    write.expired = true;
    yield* cx.propose;
    if (!won(write.verdict))
      return write.verdict === Verdict.FAIL ? Recovered.FAILED : Recovered.NOTHING_TO_DO;
    if (state.operation === LogOperation.INSERT) {
      const isAlone = yield* noTraceOfKey(cx, candidate);
      if (isAlone === undefined) return Recovered.FAILED;
      if (!isAlone) return yield* undo(cx);
    }
  }
  return (yield* commitAnew(cx)) ? Recovered.FINISHED : Recovered.FAILED;
}

/** Committed on one replica is not committed on all: once more, before the primary changes. */
function* commitAnew({ write, commit }: Context): Op<boolean> {
  write.verdict = Verdict.RULE_1;
  yield* commit;
  return won(write.verdict);
}

/**
 * May an unacknowledged INSERT become visible? Only if no other slot may hold its key, on the first backup
 * and then on the primary. The fingerprint decides: giving way needlessly is right too.
 */
function* noTraceOfKey(cx: Context, own: number): Op<boolean | undefined> {
  for (const replica of [1, 0]) {
    const b = cx.batch.reset();
    cx.appendBuckets(replica, cx.backupBuckets);
    yield b;
    if (b.anyFailed()) return undefined;
    const w = word();
    for (let q = 0; q < CANDIDATES; q++) {
      if (q === own) continue;
      if (matches(candidateWord(cx.client.local.words, cx.backupBuckets, q, w), cx.place.fingerprint))
        return false;
    }
  }
  return true;
}

/** Turns the object into its slot's tombstone, as its client would; a backup may be one already. */
function* undo(cx: Context): Op<Recovered> {
  const { batch: b, write } = cx;
  const { slot, vNew } = write;
  const tomb = makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);
  b.reset();
  for (let r = 1; r < slot.count; r++) b.cas(slot.mn[r], slot.offsetBytes[r], vNew, tomb);
  yield b;
  if (b.anyFailed()) return Recovered.FAILED;
  const w: Word = word();
  for (let r = 1; r < slot.count; r++) {
    if (!sameWord(b.found(r - 1, w), tomb)) requireSwapped(b, r - 1, vNew, `recovery's undo of backup ${r}`);
  }
  copyWord(vNew, tomb);
  return (yield* commitAnew(cx)) ? Recovered.UNDONE : Recovered.FAILED;
}
