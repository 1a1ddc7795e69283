/** What an explorer is given: actors over memory nodes, and what must hold. */
import type { MemoryNodes } from '../../../fusee/fabric/memory-nodes.js';
import type { VerbBatch } from '../../../fusee/verbs/index.js';
import type { Digest } from './digest.js';

/** One thread of execution: batches over registered memory of its own, one after another. */
export interface Actor {
  readonly name: string;
  /**
   * Actors of one group share what they remember, as a client's coroutines and its background work do, and
   * die together. Pruning relies on it: who shares anything outside the nodes' memory must be in one group.
   * @default a group of its own
   */
  readonly group?: string;
  /** The actor may die at any verb, if the bounds allow a crash. */
  readonly mayCrash?: boolean;
  /** The actor need not end: a run is over when all others have ended and this one only waits. */
  readonly isDaemon?: boolean;
  /**
   * Goes on with the results of the last batch, if there was one; null: the actor has ended. What it does
   * follows from those results alone. An error that it throws ends the run, as a failure.
   */
  next(): VerbBatch | null;
  /** Hears of each verb of its batch when it, or its first part, has executed. */
  executed?(): void;
  /** What there is to tell about the last `next`, for a person. */
  told?(): string;
}

/** A small case, as it is at the start of a run. */
export interface BoundedWorld {
  /** {@link HashedNodes} let states be pruned; over any others each schedule runs to its end. */
  readonly nodes: MemoryNodes;
  readonly actors: readonly Actor[];
  /** What is wrong after a step. */
  wrongNow?(): string | undefined;
  /** What is wrong when all actors have ended. */
  wrongAtEnd(): string | undefined;
  /**
   * The client of this actor has died: none of its verbs executes any more.
   * @returns who takes its place, such as its recovery; nobody if undefined.
   */
  onCrash?(actor: Actor): Actor | undefined;
  /** Takes in what the checks remember beyond the nodes' memory, such as the order of requests so far. */
  addTo?(digest: Digest): void;
  /**
   * The checks look at memory and at what {@link addTo} takes in, never at actors: so two states that differ
   * only in what ended actors remember count as one.
   */
  readonly forgetsEnded?: boolean;
  /** What lies at an offset of an MN, for a person. */
  describe?(mn: number, offset: number): string;
}

/** What may go wrong in a run, beside the order of verbs. */
export interface Failures {
  /** Clients that may die, those that take a dead one's place included. @default 0 */
  readonly crashes?: number;
  /** RPCs whose request or answer is lost, or whose request arrives late or twice. @default 0 */
  readonly lostRpcs?: number;
  /** WRITEs may be torn; costs one preemption, or nothing when the writer dies of it. @default false */
  readonly tears?: boolean;
  /** READs may be torn too. @default false */
  readonly tornReads?: boolean;
}
