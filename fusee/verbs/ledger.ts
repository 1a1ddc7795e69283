/**
 * What requests cost: round trips, verbs, bytes, CAS failures; exact, and the same on every fabric.
 *
 * Verbs that no answer waits for are counted apart. Polls are round trips of a writer that waits for another:
 * they depend on timing, so they are counted apart from the round trips that the protocol prescribes.
 */
import { Opcode, type VerbBatch } from './batch.js';

/** Counts of one or many requests. */
export class Ledger {
  rtts = 0;
  verbs = 0;
  bytes = 0;
  casFailures = 0;
  polls = 0;
  backgroundVerbs = 0;
  backgroundBytes = 0;

  /**
   * Counts a completed batch; one without verbs only waited for a sibling coroutine, and counts as nothing.
   */
  add(b: VerbBatch): void {
    if (b.count === 0) return;
    if (b.isPoll) this.polls++;
    else if (b.count > b.backgroundCount) this.rtts++;
    this.verbs += b.count - b.backgroundCount;
    this.bytes += b.bytes - b.backgroundBytes;
    this.backgroundVerbs += b.backgroundCount;
    this.backgroundBytes += b.backgroundBytes;
    if (b.casCount > 0) this.#countFailures(b);
  }

  /** Adds another ledger's counts. */
  merge(other: Readonly<Ledger>): void {
    this.rtts += other.rtts;
    this.verbs += other.verbs;
    this.bytes += other.bytes;
    this.casFailures += other.casFailures;
    this.polls += other.polls;
    this.backgroundVerbs += other.backgroundVerbs;
    this.backgroundBytes += other.backgroundBytes;
  }

  #countFailures(b: VerbBatch): void {
    for (let i = 0; i < b.count; i++) if (b.opcode(i) === Opcode.CAS && !b.swapped(i)) this.casFailures++;
  }
}
