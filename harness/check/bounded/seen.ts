/** The states that have been explored, by digest, each with the largest budget that it was explored with. */
import type { Digest } from './digest.js';

const LOAD_MAX = 0.6;

/** A table of states, by open addressing. */
export class Seen {
  count = 0;
  #keys = new Int32Array(2 << 12);
  #budgets = new Uint8Array(1 << 12);
  #mask = (1 << 12) - 1;

  /**
   * True when the state has been explored with this budget or a larger one; else it counts as explored from
   * now on.
   * @param budget 0 to 254.
   */
  covers({ a, b }: Digest, budget: number): boolean {
    let at = this.#find(a, b);
    if (this.#budgets[at] > budget) return true;
    if (this.#budgets[at] === 0) {
      if (++this.count > LOAD_MAX * this.#budgets.length) {
        this.#grow();
        at = this.#find(a, b);
      }
      this.#keys[2 * at] = a;
      this.#keys[2 * at + 1] = b;
    }
    this.#budgets[at] = budget + 1;
    return false;
  }

  #find(a: number, b: number): number {
    let at = (a ^ (b >>> 7)) & this.#mask;
    while (this.#budgets[at] !== 0 && (this.#keys[2 * at] !== (a | 0) || this.#keys[2 * at + 1] !== (b | 0)))
      at = (at + 1) & this.#mask;
    return at;
  }

  #grow(): void {
    const keys = this.#keys;
    const budgets = this.#budgets;
    const size = budgets.length * 2;
    this.#keys = new Int32Array(2 * size);
    this.#budgets = new Uint8Array(size);
    this.#mask = size - 1;
    for (let i = 0; i < budgets.length; i++) {
      if (budgets[i] === 0) continue;
      const at = this.#find(keys[2 * i], keys[2 * i + 1]);
      this.#keys[2 * at] = keys[2 * i];
      this.#keys[2 * at + 1] = keys[2 * i + 1];
      this.#budgets[at] = budgets[i];
    }
  }
}
