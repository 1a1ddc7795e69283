/**
 * What becomes of requests in flight when the view changes (FUSEE section 5.2, the client's part of Algorithm
 * 3).
 *
 * The driver stops posting, waits until all that it has posted is answered, and tells the master the rounds
 * that its requests have open ({@link openRounds}). The master decides what each of them holds, and the
 * driver lets each request go on in the new view. Rules of this file:
 * - A request whose slot's replicas have changed is *interrupted*: it goes by what the master decided and reads
 *   nothing anew, since others may have gone on before it. Its own word there, or any word but the old one if
 *   its CAS of the primary was posted: it has won (control X11). Anything else: it begins again; nobody has
 *   seen its word.
 * - Where a node has joined, a slot may have had one replica: its round is won by the CAS of that, and a
 *   claim that was tentative has become its object's tombstone.
 * - One whose slot's replicas are all there has met a silent data replica at most: its round goes on from where
 *   it stood, with the replicas that are left. Nobody but itself can end it.
 * - One that has proposed nothing begins again.
 * - What begins again does so with an object of its own: the log entry of the former one may be committed.
 */
import { isTomb, LogOperation, sameOwner } from '../layout/index.js';
import { NO_PERIOD } from '../memory/index.js';
import { Round, Verdict } from '../replication/index.js';
import { DONE, type Op, type OpLoop, Stage, Status, sameWord, type Word, word } from '../verbs/index.js';
import type { ClientState } from './client-state.js';
import { type Context, Outcome } from './context.js';
import { type Coroutine, RequestKind, rearm } from './coroutine.js';
import { resumeClaim } from './insert.js';
import { replaceWord } from './modify.js';

/** A round that may stand on some replicas of its slot only. */
export interface OpenRound {
  /** Logical offset of the slot. */
  readonly slot: number;
  /** Pointers of the object, which its word names, and of its cell's last line; what it was written for. */
  readonly object: number;
  readonly cell: number;
  readonly operation: number;
  readonly vOld: Word;
  /** The word may stand on the primary. */
  readonly wasSwapped: boolean;
}

/** The rounds of requests in flight. */
export function openRounds({ contexts }: ClientState): OpenRound[] {
  return contexts
    .filter((cx) => cx.period !== NO_PERIOD && isHalfDone(cx))
    .map(({ aimedAt, objectPointer, cell, operation, write }) => ({
      slot: aimedAt,
      object: objectPointer,
      cell,
      operation,
      vOld: word(write.vOld.hi, write.vOld.lo),
      wasSwapped: write.round === Round.SWAPPING,
    }));
}

/** What the master decided for slots: their words, by logical offset. */
export type Decisions = ReadonlyMap<number, Word>;

/** Nothing was decided: rounds go on. */
export const NO_DECISIONS: Decisions = new Map();

/**
 * Has the coroutine's latest request, which ended UNAVAILABLE, left a round open that nobody else will end?
 * Who merely waited for a winner has not.
 */
export const leavesHalfDone = (cx: Context): boolean =>
  isHalfDone(cx) && cx.write.verdict !== Verdict.EXPIRED;

/** May the coroutine's latest request have left its word on some replica of its slot only? */
const isHalfDone = ({ write: { round } }: Context): boolean => round !== Round.NONE && round !== Round.UNDONE;

/**
 * Does a change of the view touch the coroutine's request: does its key's subtable have other replicas now?
 * Asked when the client's view has changed. What has not begun, or waits to begin, remembers nothing.
 */
export function isInterrupted({ client, period, place }: Context): boolean {
  return period !== NO_PERIOD && client.view.hasChanged(place.combined[0]);
}

/**
 * Lets an interrupted request go on: the loop of its rest. The coroutine's own loops are made anew.
 * @param kind of the request as it was asked for.
 */
export function continueRequest(coroutine: Coroutine, kind: RequestKind, decided: Decisions): OpLoop {
  rearm(coroutine);
  return restOf(coroutine, kind, decided);
}

function* restOf(coroutine: Coroutine, kind: RequestKind, decided: Decisions): OpLoop {
  const { cx, loops } = coroutine;
  const hasEnded = cx.holdsCell && (yield* settleRound(coroutine, decided));
  const { operation, outcome } = cx;
  // put goes by how its UPDATE and its INSERT end.
  const missed = operation === LogOperation.UPDATE ? Outcome.NOT_FOUND : Outcome.EXISTS;
  if (!hasEnded || (kind === RequestKind.PUT && outcome === missed)) {
    cx.isPrepared = false;
    yield* new Stage(loops[kind]);
  }
  for (;;) yield DONE;
}

/** True: the request has ended, with its outcome set. False: it begins again. */
function* settleRound(coroutine: Coroutine, decided: Decisions): Op<boolean> {
  const { cx } = coroutine;
  const { write } = cx;
  if (write.round === Round.UNDONE) {
    cx.freeReplaced(write.vOld);
    cx.leaveCell();
    write.round = Round.NONE;
    return false;
  }
  if (!isHalfDone(cx)) {
    yield* abandonObject(cx);
    return false;
  }
  const stands = decided.get(cx.aimedAt);
  if (stands === undefined) return yield* resumeRound(coroutine);
  const hasWon = isWon(cx, stands);
  write.round = Round.NONE;
  if (hasWon) {
    if (cx.operation === LogOperation.DELETE) cx.forget();
    else cx.learn(cx.aimedAt, write.vNew, true);
    cx.freeReplaced(write.vOld);
    cx.outcome = Outcome.OK;
    cx.end();
    return true;
  }
  // Its object is the slot's tombstone: it stays.
  if (isTomb(stands) && sameOwner(stands, write.vNew)) {
    cx.freeReplaced(write.vOld);
    cx.leaveCell();
  } else yield* abandonObject(cx);
  return false;
}

function isWon({ write, batch }: Context, stands: Word): boolean {
  if (write.round === Round.UNDOING) return false;
  // Of a slot with one replica its CAS is the contest: one that was answered says how that ended, whatever
  // the slot holds by now. The answer is here, as all answers are.
  if (write.slot.count === 1 && write.round === Round.SWAPPING && batch.status(0) === Status.OK)
    return batch.swapped(0);
  const isDecided = write.slot.count > 1 && write.round === Round.SWAPPING;
  if (isDecided && !sameWord(stands, write.vOld)) return true;
  return sameWord(stands, write.vNew);
}

/** The replicas of its slot are all there: its round goes on. */
function* resumeRound(coroutine: Coroutine): Op<boolean> {
  const { cx, claimant } = coroutine;
  cx.client.view.slotReplicas(cx.aimedAt, cx.write.slot);
  cx.aimObject();
  if (cx.operation === LogOperation.INSERT) return yield* resumeClaim(cx, claimant);
  yield* replaceWord(cx, cx.operation, cx.write.round === Round.COMMITTING);
  cx.end();
  return true;
}

/**
 * Leaves the object that was written, and that no slot names: recovery must not take it for one in flight.
 */
function* abandonObject(cx: Context): Op<void> {
  if (!cx.write.wasProposed) {
    cx.dropCell(cx.operation);
    return;
  }
  yield cx.resetBatch(cx.operation);
  cx.loseCell();
}
