/**
 * What can happen next in a run, the most ordinary first.
 *
 * The baseline without preemptions runs one actor until it ends or waits; its verbs execute in posting order.
 * Then all others that can go on are tried, in every order: those choices are free, as in CHESS (Musuvathi
 * and Qadeer, 2007). What costs one preemption:
 * - somebody else gets the turn although the current actor could go on;
 * - the current actor's verbs to one MN are late: its verbs to other MNs go on, and when all that are left are
 *   late, it waits. Late verbs come whenever the turn is free, or when their actor gets it again.
 * - a WRITE or READ is torn; the rest of it is late.
 *
 * So with enough preemptions every order is reached that a network may bring about. Failures have budgets of
 * their own. An actor's death is offered ahead of its first step and right behind each: later it would change
 * nothing, since whoever takes its place may always begin later.
 */
import { Opcode } from '../../../fusee/verbs/index.js';
import { ChoiceKind, COSTS, choiceOf, NO_VERB } from './choice.js';
import { type Lane, tearPoints } from './lane.js';
import type { Run } from './run.js';
import type { Failures } from './world.js';

/**
 * Appends what can happen next; nothing when the run is over.
 * @param failures budgets of the whole run.
 * @param mayPreempt a preemption is left.
 */
export function optionsOf(run: Run, failures: Failures, mayPreempt: boolean, into: number[]): void {
  if (run.isOver) return;
  const lane = run.lanes[run.current];
  const head = lane === undefined || !run.canGoOn(lane) ? -1 : headOf(lane);
  if (lane !== undefined && head >= 0) {
    into.push(choiceOf(ChoiceKind.RUN, lane.index, head));
    appendFailures(run, lane, head, failures, into);
    if (!mayPreempt) return;
    appendLate(lane, head, failures, into);
    if (!run.isFresh) appendTurns(run, COSTS, into);
    return;
  }
  // The turn of an actor whose verbs are all late is given to it for one of them.
  if (!run.isFresh) appendTurns(run, 0, into);
  if (lane !== undefined && run.canGoOn(lane)) appendLateHeads(lane, into);
  if (into.length === 0) into.push(choiceOf(ChoiceKind.END, 0));
  if (lane !== undefined) appendDeath(run, lane, failures, into);
}

const headOf = (lane: Lane): number => (lane.batch?.count === 0 ? NO_VERB : lane.head());

function appendTurns(run: Run, costs: number, into: number[]): void {
  const { lanes, current } = run;
  for (let i = 1; i <= lanes.length; i++) {
    const lane = lanes[(Math.max(current, -1) + i) % lanes.length];
    if (lane.index !== current && run.canGoOn(lane)) into.push(choiceOf(ChoiceKind.TURN, lane.index) | costs);
  }
}

function appendLateHeads(lane: Lane, into: number[]): void {
  for (let mn = 0; lane.delayed >>> mn !== 0; mn++) {
    const head = ((lane.delayed >>> mn) & 1) === 0 ? -1 : lane.headTo(mn);
    if (head >= 0) into.push(choiceOf(ChoiceKind.RUN, lane.index, head));
  }
}

function appendLate(lane: Lane, head: number, failures: Failures, into: number[]): void {
  const { batch } = lane;
  if (batch === null || head === NO_VERB) return;
  if (lane.hasOther(batch.mn(head)))
    into.push(choiceOf(ChoiceKind.DELAY, lane.index, batch.mn(head)) | COSTS);
  const isWrite = batch.opcode(head) === Opcode.WRITE;
  if (!(isWrite ? failures.tears : failures.tornReads && batch.opcode(head) === Opcode.READ)) return;
  appendCuts(lane, head, ChoiceKind.TEAR, COSTS, into);
}

function appendCuts(lane: Lane, head: number, kind: ChoiceKind, costs: number, into: number[]): void {
  const { batch } = lane;
  if (batch === null) return;
  tearPoints(batch, head).forEach((cut, i) => {
    if (cut > lane.progressBytes[head]) into.push(choiceOf(kind, lane.index, head, 1 + i) | costs);
  });
}

function appendFailures(run: Run, lane: Lane, head: number, failures: Failures, into: number[]): void {
  const { batch } = lane;
  appendDeath(run, lane, failures, into);
  if (batch === null || head === NO_VERB || lane.isStray) return;
  const mayDie = lane.actor.mayCrash === true && run.crashes < (failures.crashes ?? 0);
  if (mayDie && failures.tears === true && batch.opcode(head) === Opcode.WRITE)
    appendCuts(lane, head, ChoiceKind.CRASH, 0, into);
  if (batch.opcode(head) !== Opcode.RPC || run.lostRpcs >= (failures.lostRpcs ?? 0)) return;
  into.push(choiceOf(ChoiceKind.LOSE_REQUEST, lane.index, head));
  into.push(choiceOf(ChoiceKind.LOSE_ANSWER, lane.index, head));
  into.push(choiceOf(ChoiceKind.DUPLICATE, lane.index, head));
  into.push(choiceOf(ChoiceKind.LATE, lane.index, head));
}

function appendDeath(run: Run, lane: Lane, failures: Failures, into: number[]): void {
  if (lane.isDead || lane.actor.mayCrash !== true || (run.isFresh && lane.hasBegun)) return;
  if (run.crashes < (failures.crashes ?? 0)) into.push(choiceOf(ChoiceKind.CRASH, lane.index));
}
