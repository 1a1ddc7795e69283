/** One client of a {@link World}, or its recoverer. */
import { Field, Status } from '../../fusee/verbs/index.js';
import { type Unit, UnitKind } from './explorer/units.js';
import type { Run } from './scenario/client-run.js';

/** One client, or its recoverer, and what its pending batch still has to execute. */
export interface Actor {
  run: Run;
  isRecovery: boolean;
  units: readonly Unit[];
  executed: boolean[];
  /** Units that have executed on an MN that will die before it answers. */
  unanswered: number[];
  /** The request in hand has touched a slot, or its client died with some verb executed. */
  isOpen: boolean;
  readonly isCut: boolean[];
  /** `nodes.changes` when this actor's last poll began, -1 before any. */
  polledAt: number;
  /**
   * It would poll again, and nothing has changed since the last time: parked until `nodes.changes` differs.
   */
  parkedAt: number;
  /** A view has been published that the client has not heard of. */
  awaitsView: boolean;
}

/**
 * Units that may execute next: behind no earlier verb to the same MN, nor an earlier part of the same WRITE.
 */
export function enabledUnits(actor: Pick<Actor, 'units' | 'executed' | 'unanswered'>): number[] {
  const { units, executed, unanswered } = actor;
  return units.flatMap((unit, u) => {
    const waits = units.some(
      (other, before) =>
        before < u &&
        (!executed[before] || unanswered.includes(before)) &&
        other.mn === unit.mn &&
        (other.verb < unit.verb || unit.kind === UnitKind.WRITE),
    );
    return executed[u] || waits ? [] : [u];
  });
}

/** What has not executed yet on one MN. */
export const pendingOn = (actor: Actor, mn: number): number[] =>
  actor.units.flatMap((unit, u) => (unit.mn === mn && !actor.executed[u] ? [u] : []));

/** All of its batch is answered. */
export const isAnswered = ({ executed, unanswered }: Actor): boolean =>
  executed.every(Boolean) && unanswered.length === 0;

/** Some verb of its batch has FAILed. */
export function hasFailed({ run, units }: Actor): boolean {
  return units.some(({ verb }) => run.batch?.status(verb) === Status.FAIL);
}

/** What the actor waits for from an MN that is dead FAILs, executed or not. */
export function failAnswers({ run, units, executed, unanswered }: Actor, mn: number): void {
  units.forEach((unit, u) => {
    if (unit.mn !== mn || (executed[u] && !unanswered.includes(u))) return;
    executed[u] = true;
    run.batch?.setField(unit.verb, Field.STATUS, Status.FAIL);
  });
  unanswered.length = 0;
}
