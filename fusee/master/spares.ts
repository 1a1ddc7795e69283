/**
 * Spares: fresh processes that wait for any place of a running pool (beyond FUSEE, whose memory nodes are
 * given). Pure: the master (`master.ts`) asks who is to have which place, and its driver says who waits.
 *
 * A spare that was given a place offers itself for it, and from there on is what any fresh process is
 * (`next-view.ts`). One that is gone meanwhile leaves the place to the next. Nobody remembers spares: each
 * tells every master anew.
 */
import type { MasterView } from './next-view.js';

/** A place for a spare. */
export interface Assignment {
  /** The driver's number for it. */
  readonly spare: number;
  readonly mn: number;
  /** The place is another process's, which lives and is to part with it. */
  readonly isReplacing: boolean;
}

/** Who waits for a place, and who has been given one. */
export class Spares {
  /** In the order in which they came. */
  readonly #waiting = new Set<number>();
  readonly #given = new Map<number, number>();
  /** Places that living nodes are to part with. */
  readonly #draining = new Set<number>();
  /** Places of which something has no replica left: whoever fills them would have to invent it. */
  readonly #bereft = new Set<number>();

  /** Spares that wait for a place. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Nobody has been given a place that is not filled yet. */
  get isQuiet(): boolean {
    return this.#given.size === 0;
  }

  /** A spare has come. */
  add(spare: number): void {
    this.#waiting.add(spare);
  }

  /** A spare is gone, whatever it did: to a place of its own, or for good. */
  remove(spare: number): void {
    this.#waiting.delete(spare);
    this.#given.delete(spare);
  }

  /** A living node is to part with its place, or not any more. */
  drain(mn: number, isTo = true): void {
    if (isTo) this.#draining.add(mn);
    else this.#draining.delete(mn);
  }

  /** Nobody can fill a place any more. */
  bereft(mn: number): void {
    this.#bereft.add(mn);
  }

  /** The place that a spare has been given. */
  placeOf(spare: number): number | undefined {
    return this.#given.get(spare);
  }

  /** A place has been filled. */
  filled(mn: number): void {
    this.#draining.delete(mn);
  }

  /**
   * Gives places to those that wait: of the dead first, then those to be drained.
   * @param view in which nobody stands still.
   * @param isTaken says of a place that a process stands ready for it.
   */
  assign(view: MasterView, isTaken: (mn: number) => boolean): Assignment[] {
    const given = new Set(this.#given.values());
    const open = [...view.dead, ...[...this.#draining].filter((mn) => !view.dead.includes(mn))].filter(
      (mn) => !given.has(mn) && !this.#bereft.has(mn) && !isTaken(mn),
    );
    const assigned: Assignment[] = [];
    for (const spare of [...this.#waiting].slice(0, open.length)) {
      const mn = open[assigned.length];
      this.#waiting.delete(spare);
      this.#given.set(spare, mn);
      assigned.push({ spare, mn, isReplacing: !view.dead.includes(mn) });
    }
    return assigned;
  }
}
