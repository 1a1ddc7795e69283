/** CASes of dead clients that nobody fenced, still on their way: lists of them, interned. */
import type { Unit } from './units.js';

/** No verb is on its way: states begin so. */
const NO_STRAYS = 0;

/** The lists of one model. */
export class Strays {
  readonly #lists: (readonly Unit[])[] = [[]];
  readonly #ids = new Map<string, number>([['', NO_STRAYS]]);

  /** The list with more units behind. */
  add(list: number, units: readonly Unit[]): number {
    return this.#intern([...this.#lists[list], ...units]);
  }

  /** Each unit that may execute next: the first to its MN; and the list without it. */
  forEach(list: number, visit: (unit: Unit, left: number, index: number) => void): void {
    const units = this.#lists[list];
    units.forEach((unit, i) => {
      if (units.findIndex(({ mn }) => mn === unit.mn) < i) return;
      visit(unit, this.#intern(units.filter((_, k) => k !== i)), i);
    });
  }

  #intern(units: readonly Unit[]): number {
    const key = units.map(({ place, expect, swap }) => `${place},${expect},${swap}`).join(';');
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    this.#ids.set(key, this.#lists.length);
    return this.#lists.push(units) - 1;
  }
}
