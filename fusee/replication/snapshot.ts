/**
 * SNAPSHOT: client-centric replication of one index slot (FUSEE section 4.3, Algorithm 1), for two replicas
 * and more.
 *
 * Rules of this file:
 * - Every `vNew` proposed for a slot is unique, so a failed CAS proves that another round moved on.
 * - The log commit has a batch of its own: recovery reads "old value complete" as "all backups agree", so it
 *   must not be able to land before the CASes that make them agree.
 * - Results of all CASes are checked. A last writer's CAS cannot fail; when it does, bytes are wrong.
 */
import { COMBINED_BYTES, LOG_COMMIT_BYTES, LogField, MAX_REPLICAS, stageOldValue } from '../layout/index.js';
import {
  CorruptionError,
  copyWord,
  DONE,
  formatWord,
  type LocalMemory,
  type OpLoop,
  type ReplicaRef,
  replicaRef,
  type VerbBatch,
  type Word,
  word,
} from '../verbs/index.js';
import { countVotes, isLeast, Verdict } from './rules.js';

/**
 * How far a slot write has gone, for whoever must find out what became of it when a node has died: what is
 * named here was posted, and may or may not have executed.
 */
export const Round = {
  /** Nothing of it stands in the slot. */
  NONE: 0,
  /** Its word may stand on backups. */
  PROPOSED: 1,
  /** It has won, and commits its log. */
  COMMITTING: 2,
  /** Its word may stand on the primary. */
  SWAPPING: 3,
  /** It takes its word back. */
  UNDOING: 4,
  /** It has taken its word back: the object is the slot's tombstone, and stays so. */
  UNDONE: 5,
} as const;
export type Round = (typeof Round)[keyof typeof Round];

/** One coroutine's slot write: arguments and results of the stages below, made once. */
export class SlotWrite {
  readonly batch: VerbBatch;
  readonly local: LocalMemory;
  /** The slot's replicas, primary first. */
  readonly slot: ReplicaRef = replicaRef(MAX_REPLICAS);
  /** The object's end on each data replica: its log entry lies right before it. */
  readonly objectEnd: ReplicaRef = replicaRef(MAX_REPLICAS);
  /** End of the staged object in registered memory. */
  stagedEnd = 0;
  readonly vOld: Word = word();
  readonly vNew: Word = word();
  readonly votes: Word[] = Array.from({ length: MAX_REPLICAS }, () => word());
  verdict: Verdict = Verdict.FAIL;
  round: Round = Round.NONE;
  /** It takes its word back: what is committed is its tombstone. */
  undoes = false;
  /** The object's address has been proposed at some time, so others may have seen it. */
  wasProposed = false;
  /** After LOSE or FINISH: what the primary held when it no longer held `vOld`. */
  readonly lost: Word = word();
  /** INSERT's duplicate check: read both combined buckets on the first backup behind the CAS to it. */
  checksDuplicates = false;
  /** Offsets of the combined buckets on the slot's replicas, for the duplicate check. */
  readonly bucketOffsets = new Float64Array(2);
  /** Where the duplicate check's buckets land. */
  bucketsLocal = 0;
  /** The request's deadline has passed: pollers give up with EXPIRED. Set by the driver. */
  expired = false;

  constructor(batch: VerbBatch) {
    this.batch = batch;
    this.local = batch.local;
  }
}

/**
 * The contest for a slot: broadcast, rules, fix. One round trip by Rule 1, two by Rule 2, three by Rule 3;
 * losers poll the primary until the winner shows. Ends with {@link SlotWrite.verdict}; a winner has made all
 * backups agree.
 */
export function* proposeLoop(w: SlotWrite): OpLoop {
  const { batch: b, slot, votes } = w;
  for (;;) {
    const backups = slot.count - 1;
    w.round = Round.PROPOSED;
    w.wasProposed = true;
    b.reset();
    for (let r = 1; r <= backups; r++) b.cas(slot.mn[r], slot.offsetBytes[r], w.vOld, w.vNew);
    // Same node as the first CAS, and behind it: of two INSERTs of a key at least one reads the other's word.
    if (w.checksDuplicates) appendDuplicateReads(w);
    yield b;
    let verdict: Verdict = b.anyFailed() ? Verdict.FAIL : castVotes(w, backups);
    const firstIsMine = verdict !== Verdict.FAIL && sameBits(votes[0], w.vNew);
    if (verdict === Verdict.TIE) {
      // Rule 3 is sound only while nobody has won: a changed primary proves that somebody has.
      b.reset().read8(slot.mn[0], slot.offsetBytes[0]);
      yield b;
      if (b.anyFailed()) verdict = Verdict.FAIL;
      else if (!b.foundIs(0, w.vOld)) {
        b.found(0, w.lost);
        verdict = Verdict.FINISH;
      } else verdict = isLeast(votes, backups, w.vNew) ? Verdict.RULE_3 : Verdict.LOSE;
    }
    if (verdict === Verdict.RULE_2 || verdict === Verdict.RULE_3) {
      b.reset();
      for (let r = 1; r <= backups; r++) {
        if (!sameBits(votes[r - 1], w.vNew)) b.cas(slot.mn[r], slot.offsetBytes[r], votes[r - 1], w.vNew);
      }
      const fixes = b.count;
      if (w.checksDuplicates && !firstIsMine) appendDuplicateReads(w);
      yield b;
      if (b.anyFailed()) verdict = Verdict.FAIL;
      else requireFixed(w, backups, fixes);
    } else if (verdict === Verdict.LOSE) {
      do {
        b.reset().read8(slot.mn[0], slot.offsetBytes[0]);
        b.isPoll = true;
        yield b;
        if (b.anyFailed()) verdict = Verdict.FAIL;
        else if (!b.foundIs(0, w.vOld)) b.found(0, w.lost);
        else if (w.expired) verdict = Verdict.EXPIRED;
      } while (verdict === Verdict.LOSE && b.foundIs(0, w.vOld));
    }
    w.verdict = verdict;
    if (verdict === Verdict.LOSE || verdict === Verdict.FINISH) w.round = Round.NONE;
    yield DONE;
  }
}

/**
 * The last writer's end: log commit, then the primary. Two round trips. Verdict FAIL when a replica is
 * silent.
 */
export function* commitLoop(w: SlotWrite): OpLoop {
  const { batch: b, slot } = w;
  for (;;) {
    w.round = w.undoes ? Round.UNDOING : Round.COMMITTING;
    b.reset();
    appendCommit(w);
    yield b;
    if (b.anyFailed()) {
      w.verdict = Verdict.FAIL;
    } else {
      if (!w.undoes) w.round = Round.SWAPPING;
      b.reset().cas(slot.mn[0], slot.offsetBytes[0], w.vOld, w.vNew);
      yield b;
      if (b.anyFailed()) w.verdict = Verdict.FAIL;
      else requireSwapped(b, 0, w.vOld, "the last writer's CAS of the primary");
    }
    yield DONE;
  }
}

/** Appends the log commit: the old value and its CRC, to the object's entry on all data replicas. */
export function appendCommit({ batch, local, objectEnd, stagedEnd, vOld }: SlotWrite): void {
  stageOldValue(local.bytes, stagedEnd, vOld);
  for (let r = 0; r < objectEnd.count; r++) {
    const at = objectEnd.offsetBytes[r] + LogField.OLD_VALUE;
    batch.write(objectEnd.mn[r], at, stagedEnd + LogField.OLD_VALUE, LOG_COMMIT_BYTES);
  }
}

const sameBits = (a: Word, b: Word): boolean => a.lo === b.lo && a.hi === b.hi;

function appendDuplicateReads(w: SlotWrite): void {
  const mn = w.slot.mn[1];
  w.batch.read(mn, w.bucketOffsets[0], w.bucketsLocal, COMBINED_BYTES);
  w.batch.read(mn, w.bucketOffsets[1], w.bucketsLocal + COMBINED_BYTES, COMBINED_BYTES);
}

/** Algorithm 2, lines 1 to 11: a backup that held `vOld` took our CAS, so its vote is ours. */
function castVotes(w: SlotWrite, backups: number): Verdict {
  for (let i = 0; i < backups; i++) {
    w.batch.found(i, w.votes[i]);
    if (sameBits(w.votes[i], w.vOld)) copyWord(w.votes[i], w.vNew);
  }
  return countVotes(w.votes, backups, w.vNew);
}

function requireFixed(w: SlotWrite, backups: number, fixes: number): void {
  let verb = 0;
  for (let r = 1; r <= backups && verb < fixes; r++) {
    if (sameBits(w.votes[r - 1], w.vNew)) continue;
    requireSwapped(w.batch, verb++, w.votes[r - 1], `the last writer's CAS of backup ${r}`);
  }
}

/** @throws CorruptionError when CAS number `verb`, which nobody else may contest, did not find `expected`. */
export function requireSwapped(b: VerbBatch, verb: number, expected: Word, what: string): void {
  if (b.foundIs(verb, expected)) return;
  const found = b.found(verb, word());
  throw new CorruptionError(
    `${what} on node ${b.mn(verb)} at ${b.remote(verb)} failed: ` +
      `expected ${formatWord(expected)}, found ${formatWord(found)}`,
  );
}
