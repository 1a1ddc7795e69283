/**
 * INSERT over replicas with each of its rules as a switch. With {@link RIGHT} it does what the product does,
 * so a violation found under a wrong setting comes from that setting. Keys are told apart by fingerprint
 * alone.
 */
import {
  CANDIDATES,
  candidateSlot,
  candidateWord,
  chooseVacancy,
  matches,
} from '../../../fusee/index/index.js';
import { isTomb, LogOperation, makeSlot, slotFingerprint } from '../../../fusee/layout/index.js';
import { type Context, Outcome } from '../../../fusee/ops/index.js';
import { appendCommit, Round, requireSwapped, won } from '../../../fusee/replication/index.js';
import { DONE, type Op, type OpLoop, sameWord, type Word, word } from '../../../fusee/verbs/index.js';
import { type ContestPolicy, contest } from './propose.js';

export interface InsertPolicy extends ContestPolicy {
  /** H1a: a loser reports success. */
  readonly loser: 'looks again' | 'says OK';
  /**
   * H1b: `none`; X4: `no tombs` ignores a matching tombstone; X5: `unordered` reads primary and backup at
   * once; X9: `with the commit` reads the backup in the batch that commits the log.
   */
  readonly check: 'ordered' | 'unordered' | 'no tombs' | 'with the commit' | 'none';
  /** X3: the lower slot goes ahead; X6: whoever sees anything gives way. */
  readonly conflict: 'lower waits' | 'lower survives' | 'both yield';
  /**
   * X8: `restores` puts the old value back; `primary first` turns the primary into a tombstone ahead of
   * backups.
   */
  readonly undo: 'tomb' | 'restores' | 'primary first';
  /** H10: a deadline that strikes in a conflict leaves the claim where it is. */
  readonly deadline: 'undoes' | 'abandons';
}

/** What the product does. */
export const RIGHT: InsertPolicy = {
  votes: 'owner',
  reads: 'behind',
  loser: 'looks again',
  check: 'ordered',
  conflict: 'lower waits',
  undo: 'tomb',
  deadline: 'undoes',
};

type Next = 'commit' | 'exists' | 'again' | 'again, new object' | 'unavailable';

/** INSERT under a policy. */
export function* insertWith(cx: Context, policy: InsertPolicy): OpLoop {
  for (;;) {
    cx.begin();
    cx.outcome = yield* insert(cx, policy);
    yield DONE;
  }
}

function* insert(cx: Context, policy: InsertPolicy): Op<Outcome> {
  const { batch: b, write, client } = cx;
  let hasObject = false;
  for (;;) {
    if (!hasObject && !cx.takeCell(LogOperation.INSERT)) return Outcome.NO_MEMORY;
    if (!hasObject) cx.seal(LogOperation.INSERT);
    cx.startBatch();
    if (!hasObject) cx.appendObject();
    hasObject = true;
    cx.appendBuckets(0, cx.buckets);
    yield b;
    if (holds(cx, cx.buckets, -1) >= 0) return Outcome.EXISTS;
    const own = chooseVacancy(client.local.words, cx.buckets, cx.place);
    if (own < 0) return Outcome.INDEX_FULL;
    candidateWord(client.local.words, cx.buckets, own, write.vOld);
    cx.aim(candidateSlot(cx.place, own), cx.lines);
    const isLate = policy.check === 'none' || policy.check === 'with the commit';
    const verdict = yield* contest(cx, isLate ? { ...policy, reads: 'none' } : policy);
    write.verdict = verdict;
    if (!won(verdict)) {
      if (policy.loser === 'says OK') return Outcome.OK;
      if (matches(write.lost, cx.place.fingerprint)) return Outcome.EXISTS;
      continue;
    }
    if (policy.check === 'with the commit') {
      write.round = Round.COMMITTING;
      b.reset();
      appendCommit(write);
      cx.appendBuckets(1, cx.backupBuckets);
      yield b;
    }
    const next = policy.check === 'none' ? 'commit' : yield* settle(cx, policy, own);
    if (next === 'exists') return Outcome.EXISTS;
    if (next === 'unavailable') return Outcome.UNAVAILABLE;
    if (next === 'again, new object') hasObject = false;
    if (next !== 'commit') continue;
    if (policy.check === 'with the commit') {
      write.round = Round.SWAPPING;
      b.reset().cas(write.slot.mn[0], write.slot.offsetBytes[0], write.vOld, write.vNew);
      yield b;
      requireSwapped(b, 0, write.vOld, "the winner's CAS of the primary");
    } else yield* cx.commit;
    return Outcome.OK;
  }
}

/** The first candidate from 0 on, other than `own`, that is a KV with the key's fingerprint, or -1. */
function holds(cx: Context, at: number, own: number): number {
  const w = word();
  for (let q = 0; q < CANDIDATES; q++) {
    if (q !== own && matches(candidateWord(cx.client.local.words, at, q, w), cx.place.fingerprint)) return q;
  }
  return -1;
}

function hasSuspects(cx: Context, policy: InsertPolicy, own: number): boolean {
  const { words } = cx.client.local;
  const w = word();
  const p = word();
  for (let q = 0; q < CANDIDATES; q++) {
    candidateWord(words, cx.backupBuckets, q, w);
    if (q === own || slotFingerprint(w) !== cx.place.fingerprint) continue;
    if (sameWord(w, candidateWord(words, cx.buckets, q, p))) continue;
    if (matches(w, cx.place.fingerprint) || (isTomb(w) && policy.check !== 'no tombs')) return true;
  }
  return false;
}

function* settle(cx: Context, policy: InsertPolicy, own: number): Op<Next> {
  const { batch: b } = cx;
  if (policy.check === 'unordered') {
    b.reset();
    cx.appendBuckets(1, cx.backupBuckets);
    cx.appendBuckets(0, cx.buckets);
    yield b;
    if (holds(cx, cx.buckets, own) < 0 && holds(cx, cx.backupBuckets, own) < 0) return 'commit';
  }
  while (hasSuspects(cx, policy, own)) {
    if (policy.check !== 'unordered') {
      b.reset();
      cx.appendBuckets(0, cx.buckets);
      yield b;
    }
    if (holds(cx, cx.buckets, own) >= 0) {
      yield* undo(cx, policy);
      return 'exists';
    }
    const rival = holds(cx, cx.backupBuckets, own);
    if (rival < 0) return 'commit';
    if (rival < own || policy.conflict === 'both yield') {
      yield* undo(cx, policy);
      return yield* awaitResolution(cx, rival);
    }
    if (policy.conflict === 'lower survives') return 'commit';
    if (cx.write.expired) {
      if (policy.deadline === 'undoes') yield* undo(cx, policy);
      return 'unavailable';
    }
    b.reset();
    cx.appendBuckets(1, cx.backupBuckets);
    if (policy.check === 'unordered') cx.appendBuckets(0, cx.buckets);
    b.isPoll = true;
    yield b;
  }
  return 'commit';
}

function* undo(cx: Context, policy: InsertPolicy): Op<void> {
  const { batch: b, write } = cx;
  const { slot, vOld, vNew } = write;
  const to: Word =
    policy.undo === 'restores' ? vOld : makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);
  write.round = Round.UNDOING;
  const steps = policy.undo === 'primary first' ? ['primary', 'backups'] : ['backups', 'primary'];
  for (const step of steps) {
    b.reset();
    if (step === 'primary') {
      if (policy.undo === 'restores') continue;
      b.cas(slot.mn[0], slot.offsetBytes[0], vOld, to);
    } else for (let r = 1; r < slot.count; r++) b.cas(slot.mn[r], slot.offsetBytes[r], vNew, to);
    yield b;
    for (let i = 0; i < b.count; i++)
      requireSwapped(b, i, step === 'primary' ? vOld : vNew, `an undo's CAS of ${step}`);
  }
  write.round = Round.UNDONE;
}

function* awaitResolution(cx: Context, q: number): Op<Next> {
  const { batch: b, client } = cx;
  const { view } = client;
  const slot = candidateSlot(cx.place, q);
  const seen = candidateWord(client.local.words, cx.backupBuckets, q, word());
  const primary = word();
  for (;;) {
    b.reset();
    b.read8(view.slotMn(slot, 1), view.slotOffset(slot));
    b.read8(view.slotMn(slot, 0), view.slotOffset(slot));
    b.isPoll = true;
    yield b;
    if (!b.foundIs(0, seen) || sameWord(b.found(1, primary), seen)) return 'again, new object';
    if (cx.write.expired) return 'unavailable';
  }
}
