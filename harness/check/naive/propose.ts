/**
 * The contest for a slot with its rules as switches: the right settings, and the wrong ones that controls X7,
 * X8b need.
 */
import { COMBINED_BYTES, lessOwner, sameOwner } from '../../../fusee/layout/index.js';
import type { Context } from '../../../fusee/ops/index.js';
import { Round, requireSwapped, Verdict } from '../../../fusee/replication/index.js';
import { copyWord, type Op, sameWord, type Word } from '../../../fusee/verbs/index.js';

/** How votes are compared, and where the duplicate check's READs stand. */
export interface ContestPolicy {
  /** X7: `word` compares and orders whole words, so a tombstone is another voter than its object. */
  readonly votes: 'owner' | 'word';
  /** X8b: `unordered` reads the first backup ahead of the CAS to it. */
  readonly reads: 'behind' | 'unordered' | 'none';
}

const lessWord = (a: Word, b: Word): boolean => a.hi < b.hi || (a.hi === b.hi && a.lo < b.lo);
/** Tombstones after objects, as an order of whole words may well put them. */
const isTombLike = (w: Word): number => ((w.lo & 0xff00) === 0 ? 1 : 0);

/** One round; the verdict as `propose` gives it. A loser polls until the primary changes. */
export function* contest(cx: Context, policy: ContestPolicy): Op<Verdict> {
  const { batch: b, write: w } = cx;
  const { slot, votes } = w;
  const backups = slot.count - 1;
  const same = policy.votes === 'owner' ? sameOwner : sameWord;
  w.round = Round.PROPOSED;
  w.wasProposed = true;
  b.reset();
  if (policy.reads === 'unordered') appendReads(cx);
  const first = b.count;
  for (let r = 1; r <= backups; r++) b.cas(slot.mn[r], slot.offsetBytes[r], w.vOld, w.vNew);
  if (policy.reads === 'behind') appendReads(cx);
  yield b;
  for (let i = 0; i < backups; i++) {
    b.found(first + i, votes[i]);
    if (sameWord(votes[i], w.vOld)) copyWord(votes[i], w.vNew);
  }
  const cast = votes.slice(0, backups);
  const count = (of: Word): number => cast.filter((vote) => same(vote, of)).length;
  if (count(w.vNew) === backups) return Verdict.RULE_1;
  const firstIsMine = sameWord(votes[0], w.vNew);
  let wins = 2 * count(w.vNew) > backups;
  const loses = count(w.vNew) === 0 || cast.some((vote) => !same(vote, w.vNew) && 2 * count(vote) > backups);
  if (!wins && !loses) {
    b.reset().read8(slot.mn[0], slot.offsetBytes[0]);
    yield b;
    if (!b.foundIs(0, w.vOld)) {
      b.found(0, w.lost);
      w.round = Round.NONE;
      return Verdict.FINISH;
    }
    wins = !cast.some((vote) => precedes(vote, w.vNew, policy));
  }
  if (!wins) {
    do {
      b.reset().read8(slot.mn[0], slot.offsetBytes[0]);
      b.isPoll = true;
      yield b;
      b.found(0, w.lost);
    } while (sameWord(w.lost, w.vOld));
    w.round = Round.NONE;
    return Verdict.LOSE;
  }
  yield* fix(cx, policy, !firstIsMine);
  return Verdict.RULE_2;
}

function precedes(vote: Word, mine: Word, policy: ContestPolicy): boolean {
  if (policy.votes === 'owner') return lessOwner(vote, mine);
  if (isTombLike(vote) !== isTombLike(mine)) return isTombLike(vote) < isTombLike(mine);
  return lessWord(vote, mine);
}

function* fix(cx: Context, policy: ContestPolicy, readsAgain: boolean): Op<void> {
  const { batch: b, write: w } = cx;
  const { slot, votes } = w;
  b.reset();
  for (let r = 1; r < slot.count; r++) {
    if (!sameWord(votes[r - 1], w.vNew)) b.cas(slot.mn[r], slot.offsetBytes[r], votes[r - 1], w.vNew);
  }
  if (readsAgain && policy.reads !== 'none') appendReads(cx);
  yield b;
  let verb = 0;
  for (let r = 1; r < slot.count; r++) {
    if (!sameWord(votes[r - 1], w.vNew))
      requireSwapped(b, verb++, votes[r - 1], `the winner's fix of backup ${r}`);
  }
}

function appendReads(cx: Context): void {
  const { view } = cx.client;
  const { combined } = cx.place;
  const mn = view.slotMn(combined[0], 1);
  cx.batch.read(mn, view.slotOffset(combined[0]), cx.backupBuckets, COMBINED_BYTES);
  cx.batch.read(mn, view.slotOffset(combined[1]), cx.backupBuckets + COMBINED_BYTES, COMBINED_BYTES);
}
