/**
 * Where masters keep what a successor must know, and who of them leads. One leads at a time; each term has a
 * number above all before it, by which clients tell a master that has been replaced.
 */
import type { MasterState } from './state.js';

/** What a master that wants to lead says of itself, and hears. */
export interface Candidate {
  /** The pool's secret. */
  readonly secret: Buffer;
  /** Gives up waiting: `lead` rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Another master leads, and this one waits. */
  readonly onStandby?: (() => void) | undefined;
}

/** The time that one master leads. */
export interface Term {
  readonly number: number;
  /** What the master before has left; undefined: there was none. */
  readonly left: MasterState | undefined;
  /** False: another may lead by now. Until it is true again nothing may be done. */
  readonly isHeld: boolean;
  /** Resolves when another may lead for good, and this master must end; with the reason. */
  readonly lost: Promise<string>;
  /**
   * Keeps a state in place of the one before. What follows from it is done when it is kept: at once when
   * nothing is returned.
   * @throws FabricError, also by the promise, when this term is over.
   */
  save(state: MasterState): Promise<void> | undefined;
  /** Ends the term in order: the next master need not wait. @param state what it leaves; null: nothing. */
  resign(state: MasterState | null): Promise<void>;
  /** Ends what runs for the term, and leaves it to run out. */
  abandon(): void;
}

/** Keeps the masters' state, and lets one of them lead. */
export interface Store {
  /** For messages. */
  readonly name: string;
  /**
   * Resolves when this master leads.
   * @throws UsageError when another does, and this one is not to wait.
   */
  lead(candidate: Candidate): Promise<Term>;
}
