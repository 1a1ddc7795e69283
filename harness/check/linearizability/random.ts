/** A small seeded generator of random numbers (mulberry32), so that a seed replays a history. */
export class Random {
  #state: number;

  /** Begins the sequence of `seed`, an integer. */
  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 (included) to 1 (excluded). */
  unit(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 (included) to `bound` (excluded). */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  /** Whether an event of this probability happens. */
  happens(probability: number): boolean {
    return this.unit() < probability;
  }
}
