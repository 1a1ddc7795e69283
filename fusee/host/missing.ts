/**
 * Clients that have died on their way into the pool: behind their JOIN at the nodes, which grants a place,
 * and ahead of their join at the master. Nobody would ever take their places back. So the node that grants
 * places is asked now and then who holds one (RPC HOLDERS), and whom the master does not know, and still does
 * not know when a grace has passed, is given up (`Master.missed`).
 *
 * The grace is longer than any joining should take, but nothing rests on that: who comes later is told to
 * come again as another client, and has changed nothing by then.
 */
import type { Member } from '../master/index.js';

/** A client has so long for its way from the nodes to the master. */
export const JOIN_GRACE_MS = 15_000;
/** Times that nodes are asked in a grace. */
const LOOKS = 4;

/** Who is missing, by what one master has heard. */
export class Missing {
  readonly #graceMs: number;
  /** Since when a client that holds a place is not known. */
  readonly #since = new Map<number, number>();

  constructor(graceMs: number = JOIN_GRACE_MS) {
    this.#graceMs = graceMs;
  }

  /** From one look to the next. */
  get lookMs(): number {
    return this.#graceMs / LOOKS;
  }

  /** @returns who has been missing for a grace, of those that hold a place now and are not known. */
  seen(unknown: readonly Member[], nowMs: number): Member[] {
    const still = new Set(unknown.map(({ cid }) => cid));
    for (const cid of this.#since.keys()) if (!still.has(cid)) this.#since.delete(cid);
    for (const { cid } of unknown) if (!this.#since.has(cid)) this.#since.set(cid, nowMs);
    return unknown.filter(({ cid }) => nowMs - (this.#since.get(cid) ?? nowMs) >= this.#graceMs);
  }

  /** The master has not looked for long, so that nobody could come: everybody has a grace anew. */
  forget(): void {
    this.#since.clear();
  }
}
