/**
 * Which view comes next: deaths first, then what the place needs that is being filled (`fill.ts`). Pure: the
 * master (`master.ts`) makes the views, one after another.
 *
 *     a fresh process stands ready   ->  view with the place as `filling`
 *     all is copied for now          ->  view by which it joins; or, too much having changed, one more as
 *     before the process is gone            ->  view without it
 */

/** Who is alive. */
export interface MasterView {
  readonly number: number;
  readonly dead: readonly number[];
  /** A place that is being filled: clients note what they write to. */
  readonly filling?: number;
}

/** A view that is being made, and who joins by it. */
export interface NextView extends MasterView {
  readonly joins?: number;
}

/** The places for which fresh processes stand ready, and the one of them that is filled. */
export class Places {
  readonly #offered = new Set<number>();
  /** The place that is filled has all been copied for now. */
  #isFilled = false;

  /** Nobody waits for a place. */
  get isQuiet(): boolean {
    return this.#offered.size === 0;
  }

  /** Does a process stand ready for the place? */
  isOffered(mn: number): boolean {
    return this.#offered.has(mn);
  }

  offer(mn: number): void {
    this.#offered.add(mn);
  }

  withdraw(mn: number): void {
    this.#offered.delete(mn);
  }

  /** All of the place that is filled has been copied for now. */
  filled(): void {
    this.#isFilled = true;
  }

  /** Do the processes still stand ready that the view counts on? */
  carries(view: NextView | undefined): boolean {
    return [view?.joins, view?.filling].every((mn) => mn === undefined || this.#offered.has(mn));
  }

  /**
   * The next view to be made; undefined: none, or `changing` as it is.
   * @param lost nodes that have died since.
   * @param changing the view that is being made, in which everybody stands still.
   */
  next(view: MasterView, lost: ReadonlySet<number>, changing: NextView | undefined): NextView | undefined {
    const { dead, filling } = view;
    const number = (changing ?? view).number + 1;
    if (lost.size > 0 || !this.carries(changing)) {
      // Of a view that somebody was to join by nothing counts.
      const known = changing === undefined || changing.joins !== undefined ? dead : changing.dead;
      const all = [...new Set([...known, ...lost])].sort((a, b) => a - b);
      const stays = filling !== undefined && this.#offered.has(filling);
      return stays ? { number, dead: all, filling } : { number, dead: all };
    }
    if (changing !== undefined) return undefined;
    if (filling === undefined) {
      const [first] = this.#offered;
      return first === undefined ? undefined : { number, dead, filling: first };
    }
    if (!this.#offered.has(filling)) return { number, dead };
    if (!this.#isFilled) return undefined;
    return { number, dead: dead.filter((mn) => mn !== filling), joins: filling };
  }

  /**
   * A view has been made.
   * @returns the place of which is to be copied what is left: it is new, or has to be copied some more.
   */
  made(next: NextView, before: MasterView): number | undefined {
    if (next.joins !== undefined) this.#offered.delete(next.joins);
    const isToCopy = next.filling !== before.filling || this.#isFilled;
    this.#isFilled = false;
    return isToCopy ? next.filling : undefined;
  }
}
