/**
 * How an INSERT claims a slot of an index with two replicas or more: SNAPSHOT, and a duplicate check in
 * between.
 *
 * Exclusion: each INSERT reads both combined buckets on the first backup `d`, behind its own CAS to `d`. Of
 * two INSERTs of one key at least one therefore sees the other's word, which stays on `d` until its owner
 * commits, undoes, or loses its slot. Only a clean INSERT commits its log; so at most one clean INSERT of a
 * key is open. Conflict: the lower slot waits for the word it saw, the higher undoes at once; both would
 * livelock otherwise.
 */
import { CANDIDATES, candidateSlot, candidateWord, matches } from '../index/index.js';
import { isKv, makeSlot, ownerPointer, slotLines } from '../layout/index.js';
import { Round, requireSwapped, Verdict, won } from '../replication/index.js';
import { copyWord, type Op, type OpLoop, sameWord, word } from '../verbs/index.js';
import { Claim, type Claimant } from './claim.js';
import type { Context } from './context.js';
import { appendObjectRead } from './locate.js';
import { checkObject, ObjectIs } from './object-check.js';

/**
 * Claims `cx.write.slot` for the sealed object; result in `claimant.claim`. 3 round trips by Rule 1 when
 * clean.
 */
export function* claimReplicatedLoop(cx: Context, claimant: Claimant): OpLoop {
  const { write, client } = cx;
  for (;;) {
    write.checksDuplicates = true;
    write.bucketOffsets[0] = client.view.slotOffset(cx.place.combined[0]);
    write.bucketOffsets[1] = client.view.slotOffset(cx.place.combined[1]);
    yield* cx.propose;
    write.checksDuplicates = false;
    if (won(write.verdict)) {
      const clean = claimant.check.suspects(claimant.own) === 0;
      claimant.claim = clean ? Claim.INSERTED : yield* settle(cx, claimant);
      if (claimant.claim === Claim.INSERTED) {
        yield* cx.commit;
        if (!won(write.verdict)) claimant.claim = Claim.FAILED;
      }
    } else if (write.verdict === Verdict.FAIL) {
      claimant.claim = Claim.FAILED;
    } else if (write.verdict === Verdict.EXPIRED) {
      claimant.claim = Claim.EXPIRED;
    } else {
      claimant.claim = Claim.AGAIN;
      if (matches(write.lost, cx.place.fingerprint)) claimant.claim = yield* readWinner(cx);
    }
    yield null;
  }
}

/** Was the slot lost to the same key? One round trip. */
function* readWinner(cx: Context): Op<Claim> {
  const { lost } = cx.write;
  cx.batch.reset();
  appendObjectRead(cx, ownerPointer(lost), slotLines(lost));
  yield cx.batch;
  if (cx.batch.anyFailed()) return Claim.FAILED;
  return checkObject(cx, cx.matchArea, slotLines(lost)) === ObjectIs.THE_KEYS
    ? Claim.EXISTS_LOST
    : Claim.AGAIN;
}

/**
 * The check was not clean. Decides between going on (INSERTED: the caller commits) and giving way.
 * Each turn reads the primary strictly after the backup: unordered, the pair proves nothing (control X5).
 */
function* settle(cx: Context, claimant: Claimant): Op<Claim> {
  const { check, own } = claimant;
  const { words } = cx.client.local;
  const w = word();
  for (;;) {
    check.startTurn();
    const b = cx.batch.reset();
    cx.appendBuckets(0, cx.buckets);
    check.appendUnknown(cx.backupBuckets, own);
    yield b;
    if (b.anyFailed()) return Claim.FAILED;
    check.digest();
    // Nothing is left to read, unless the primary has words that the backup has not.
    if (!(yield* check.resolve(cx.buckets, own))) return Claim.FAILED;
    if (!(yield* check.resolve(cx.backupBuckets, own))) return Claim.FAILED;
    if (check.keys(cx.buckets, own, 'visible') !== 0) {
      return (yield* undo(cx)) ? Claim.EXISTS_UNDONE : Claim.FAILED;
    }
    // Tentative copies of the key: on the backup, not visible on the primary. Tombstones are settled by now.
    let rivals = 0;
    for (let q = 0; q < CANDIDATES; q++) {
      if (q === own || !isKv(candidateWord(words, cx.backupBuckets, q, w)) || !check.isKeys(w)) continue;
      rivals++;
      if (candidateSlot(cx.place, q) > claimant.slot) continue;
      if (!(yield* undo(cx))) return Claim.FAILED;
      return yield* awaitResolution(cx, q);
    }
    if (rivals === 0) return Claim.INSERTED;
    // Every rival sits higher, so it undoes itself, or has done so: wait for that.
    b.reset();
    cx.appendBuckets(1, cx.backupBuckets);
    b.isPoll = true;
    yield b;
    if (b.anyFailed()) return Claim.FAILED;
    if (check.suspects(own) === 0) return Claim.INSERTED;
    if (cx.write.expired) return (yield* undo(cx)) ? Claim.EXPIRED : Claim.FAILED;
  }
}

/**
 * Takes the claim back: the object becomes its slot's tombstone, backups first. Three round trips. Restoring
 * the old value, or undoing the primary first, would leave losers waiting for ever (control X8). The log is
 * committed as a winner's is, when no backup names a KV any more: recovery must know what the tombstone has
 * replaced, and that it has been in its slot (`recovery/recover-client.ts`).
 */
function* undo(cx: Context): Op<boolean> {
  const { batch: b, write } = cx;
  const { slot, vNew } = write;
  const tomb = makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);
  write.round = Round.UNDOING;
  write.undoes = true;
  b.reset();
  for (let r = 1; r < slot.count; r++) b.cas(slot.mn[r], slot.offsetBytes[r], vNew, tomb);
  yield b;
  if (b.anyFailed()) return false;
  for (let r = 1; r < slot.count; r++) requireSwapped(b, r - 1, vNew, `an undo's CAS of backup ${r}`);
  copyWord(vNew, tomb);
  return yield* finishUndo(cx);
}

/**
 * The rest of an undo whose tombstone stands on all backups: the log's commit, and the primary. Two round
 * trips. It may be begun anew; false: a replica was silent.
 */
export function* finishUndo(cx: Context): Op<boolean> {
  const { write } = cx;
  yield* cx.commit;
  if (!won(write.verdict)) return false;
  write.round = Round.UNDONE;
  return true;
}

/** Waits until the rival's very word at candidate `q` has left the backup or reached the primary. */
function* awaitResolution(cx: Context, q: number): Op<Claim> {
  const { batch: b, client } = cx;
  const { view } = client;
  const slot = candidateSlot(cx.place, q);
  const seen = candidateWord(client.local.words, cx.backupBuckets, q, word());
  const primary = word();
  for (;;) {
    b.reset();
    const onBackup = b.read8(view.slotMn(slot, 1), view.slotOffset(slot));
    const onPrimary = b.read8(view.slotMn(slot, 0), view.slotOffset(slot));
    b.isPoll = true;
    yield b;
    if (b.anyFailed()) return Claim.FAILED;
    if (!b.foundIs(onBackup, seen) || sameWord(b.found(onPrimary, primary), seen))
      return Claim.AGAIN_NEW_OBJECT;
    if (cx.write.expired) return Claim.EXPIRED;
  }
}
