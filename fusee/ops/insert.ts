/**
 * INSERT (FUSEE section 4.6): 4 round trips by Rule 1 (5, 6 by Rules 2, 3), 3 with one index replica; one
 * more when another key's fingerprint matches.
 *
 * Deviation: the paper's loser reports success although its key is nowhere, and nothing keeps two INSERTs of
 * a key apart (hazard H1). Here a loser looks again, and only an INSERT whose duplicate check is clean
 * becomes visible:
 * `claim-replicated.ts` and `claim-single.ts`.
 */
import { CANDIDATE_BYTES, candidateSlot, candidateWord, chooseVacancy } from '../index/index.js';
import { LogOperation } from '../layout/index.js';
import { Round, Verdict, won } from '../replication/index.js';
import { DONE, type Op, type OpLoop, Stage } from '../verbs/index.js';
import { Claim, type Claimant } from './claim.js';
import { claimReplicatedLoop, finishUndo } from './claim-replicated.js';
import { claimSingleLoop } from './claim-single.js';
import { type Context, finish, Outcome } from './context.js';
import { awaitRoom, followSplit, isLocked, isStale, Room } from './directory.js';
import { DuplicateCheck } from './duplicate-check.js';
import { countTorn } from './locate.js';
import { MATCH_TORN, NO_MATCH } from './match.js';
import { getReady } from './obtain-cell.js';

/** Serves INSERT requests: OK, EXISTS, NO_MEMORY, INDEX_FULL or UNAVAILABLE. */
export function* insertLoop(cx: Context, claimant: Claimant): OpLoop {
  const { batch: b, client, write } = cx;
  const claim = claimStages(cx, claimant);
  request: for (;;) {
    cx.begin();
    let hasObject = false;
    /** Others may have seen the object's address: it cannot be handed back as if nobody had. */
    let proposed = false;
    for (;;) {
      const writes = !hasObject;
      if (writes) {
        const isReady = !isLocked(cx) && cx.takeCell(LogOperation.INSERT);
        if (!isReady && !(yield* getReady(cx, LogOperation.INSERT))) {
          cx.end();
          yield DONE;
          continue request;
        }
        cx.seal(LogOperation.INSERT);
        hasObject = true;
        proposed = false;
      }
      cx.startBatch();
      if (writes) cx.appendObject();
      cx.appendBuckets(0, cx.buckets);
      yield b;
      if (b.anyFailed()) break;
      if (isStale(cx)) {
        yield* giveUp(cx, proposed);
        hasObject = false;
        if (!(yield* followSplit(cx))) break;
        continue;
      }
      yield* cx.match;
      if (cx.matched === MATCH_TORN) {
        countTorn(cx);
        continue;
      }
      if (cx.matched >= 0) {
        cx.learn(candidateSlot(cx.place, cx.matched), cx.matchedWord, false);
        yield* giveUp(cx, proposed);
        yield finish(cx, Outcome.EXISTS);
        continue request;
      }
      if (cx.matched !== NO_MATCH) break;
      claimant.own = chooseVacancy(client.local.words, cx.buckets, cx.place);
      if (claimant.own < 0) {
        yield* giveUp(cx, proposed);
        hasObject = false;
        if ((yield* awaitRoom(cx)) === Room.AGAIN) continue;
        yield DONE;
        continue request;
      }
      candidateWord(client.local.words, cx.buckets, claimant.own, write.vOld);
      claimant.slot = candidateSlot(cx.place, claimant.own);
      claimant.check.begin();
      cx.aim(claimant.slot, cx.lines);
      proposed = true;
      yield* write.slot.count === 1 ? claim.single : claim.replicated;
      if (yield* hasEnded(cx, claimant)) {
        yield DONE;
        continue request;
      }
      if (claimant.claim === Claim.AGAIN_NEW_OBJECT) hasObject = false;
      else if (claimant.claim !== Claim.AGAIN) break;
      cx.lostRound = true;
      if (write.expired) break;
    }
    yield finish(cx, Outcome.UNAVAILABLE);
  }
}

/** What claims slots: for the views in which a slot has one replica, and more. */
const claimStages = (cx: Context, claimant: Claimant): { single: Stage; replicated: Stage } => ({
  single: new Stage(claimSingleLoop(cx, claimant)),
  replicated: new Stage(claimReplicatedLoop(cx, claimant)),
});

/** A coroutine's claimant; made once. */
export const newClaimant = (cx: Context): Claimant => ({
  check: new DuplicateCheck(cx),
  own: -1,
  slot: 0,
  claim: Claim.FAILED,
});

/**
 * Goes on with the claim of an INSERT whose slot's replicas are all there, but which a silent data replica
 * has stopped.
 * @returns true: the INSERT has ended; false: it begins again, with a new object.
 */
export function* resumeClaim(cx: Context, claimant: Claimant): Op<boolean> {
  const { write } = cx;
  if (write.round === Round.COMMITTING) {
    // Decided: nobody may take it back any more.
    write.verdict = Verdict.RULE_1;
    yield* cx.commit;
    claimant.claim = won(write.verdict) ? Claim.INSERTED : Claim.FAILED;
  } else if (write.round === Round.UNDOING) {
    // Its word is a tombstone by now: claimed once more, that would pass for an INSERT that is done. Only the
    // log's commit can have met the silence, so all backups hold it.
    write.verdict = Verdict.RULE_1;
    claimant.claim = (yield* finishUndo(cx)) ? Claim.AGAIN_NEW_OBJECT : Claim.FAILED;
  } else {
    // What is known of the primary is from after the claim, and may hold the key: a duplicate check that
    // compares the backup with it would pass over the very copy that it is there to find.
    claimant.check.forget();
    cx.client.local.bytes.fill(0, cx.buckets, cx.buckets + CANDIDATE_BYTES);
    const claim = claimStages(cx, claimant);
    yield* write.slot.count === 1 ? claim.single : claim.replicated;
  }
  if (yield* hasEnded(cx, claimant)) return true;
  if (claimant.claim === Claim.AGAIN) {
    yield* giveUp(cx, true);
    return false;
  }
  if (claimant.claim === Claim.AGAIN_NEW_OBJECT) return false;
  finish(cx, Outcome.UNAVAILABLE);
  return true;
}

/** Draws the conclusions of a claim. True: the request has ended, with its outcome set. */
function* hasEnded(cx: Context, { claim, slot }: Claimant): Op<boolean> {
  const { write } = cx;
  switch (claim) {
    case Claim.INSERTED:
      cx.learn(slot, write.vNew, true);
      cx.freeReplaced(write.vOld);
      finish(cx, Outcome.OK);
      return true;
    case Claim.EXISTS_LOST:
      yield* giveUp(cx, true);
      finish(cx, Outcome.EXISTS);
      return true;
    case Claim.EXISTS_UNDONE:
      // An undone object is its slot's tombstone now. Its used bit stays set: cleared, it would let recovery
      // put an object on a free list that a slot still names.
      cx.freeReplaced(write.vOld);
      finish(cx, Outcome.EXISTS);
      return true;
    case Claim.AGAIN_NEW_OBJECT:
      cx.freeReplaced(write.vOld);
      cx.leaveCell();
      write.round = Round.NONE;
      return false;
    default:
      return false;
  }
}

/**
 * Ends an INSERT that leaves nothing behind. An object that nobody has seen goes back to its list at once;
 * one that was proposed does not, and its used bit is reset before the answer, or recovery would take it for
 * one in flight.
 */
function* giveUp(cx: Context, proposed: boolean): Op<void> {
  if (!proposed) cx.dropCell(LogOperation.INSERT);
  else {
    yield cx.resetBatch(LogOperation.INSERT);
    cx.loseCell();
  }
}
