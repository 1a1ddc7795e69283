/** What a client's local state is: a node of its unfolding, and what the node's batch has brought so far. */
import type { TakenObject } from '../scenario/client-run.js';
import { FAILED, PENDING, type Unit, UnitKind } from './units.js';

/** Whose turn led to a node: a client's program, or the recovery of that client. */
export interface Origin {
  readonly client: number;
  /** Set for a recovery: what the dead client was doing. */
  readonly dead:
    | { readonly request: number; readonly objects: readonly TakenObject[]; readonly isOpen: boolean }
    | undefined;
  /** A recovery in the view that follows the death of an MN. */
  readonly isAfter: boolean;
}

/** A client at a pending batch, or at its end. */
export interface Node {
  readonly origin: Origin;
  readonly units: readonly Unit[];
  readonly isPoll: boolean;
  /** Its private units need no scheduling: see the explorer's reduction. */
  readonly isEager: boolean;
  /** The first batch of a request, or of one more attempt of an INSERT. */
  readonly isFresh: boolean;
  readonly request: number;
  /** The request's {@link RequestKind}; -1 for recoveries. */
  readonly kind: number;
  /** A unit of the request has touched the index before this batch. */
  readonly isInvoked: boolean;
  readonly choosesSlot: boolean;
  readonly responses: readonly number[];
  readonly error: string | undefined;
  readonly isDone: boolean;
  readonly isUnavailable: boolean;
  readonly isCut: boolean;
  readonly objects: readonly TakenObject[];
  /** Bit i set: the log entry of cell i of the client's block still matters at a fresh batch. */
  readonly keptCells: number;
  /** The client goes by the view that follows the death of an MN. */
  readonly isAfter: boolean;
  /** What it tells a master that stops it here. */
  readonly openSlots: readonly number[];
  /** The view that follows the death of an MN changes its slot's replicas. */
  readonly isInterrupted: boolean;
  /** The completed local state that the node follows, or -1, and the choice made there. */
  readonly parent: number;
  readonly choice: number;
  /** The number of the decisions by which it went on there in another view, or -1. */
  readonly decided: number;
}

/** A node and the results so far of its batch. */
export interface Local {
  readonly node: number;
  readonly results: Int32Array;
  /** Units that may execute next. */
  readonly enabled: readonly number[];
  /** Private units that execute at once. */
  readonly eager: readonly number[];
  readonly isComplete: boolean;
  /** The client has a request open: it touched the index, and was not answered. */
  readonly isOpen: boolean;
  readonly steps: number[][];
  readonly children: number[];
  readonly adoptions: Map<number, number>;
  choices: number;
  crash: number;
  /** The same, when all that the MN that may die has not answered has FAILed. */
  lost: number;
}

/** Units whose predecessors on their MN have executed: earlier verbs, and earlier parts of a WRITE. */
export function enabledUnits(units: readonly Unit[], results: Int32Array): number[] {
  const enabled: number[] = [];
  units.forEach((unit, u) => {
    if (results[u] !== PENDING) return;
    for (let before = 0; before < u; before++) {
      const other = units[before];
      // Answers come in order, so nothing behind one that will not come is waited for.
      if (results[before] >= FAILED || other.mn !== unit.mn) continue;
      if (other.verb < unit.verb || unit.kind === UnitKind.WRITE) return;
    }
    enabled.push(u);
  });
  return enabled;
}

/** Equal for equal origins. */
export function describeOrigin({ client, dead, isAfter }: Origin): string {
  if (dead === undefined) return String(client);
  return `${client}|${dead.request}|${dead.isOpen}|${isAfter}|${dead.objects.map((o) => o.cell)}`;
}
