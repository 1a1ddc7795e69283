/** Seeded random numbers of a simulation: the same seed gives the same run on every machine. */

/** sfc32 of PractRand: four 32-bit words, the last a counter, so no cycle is shorter than 2^32 draws. */
export class SimRandom {
  readonly #state = new Int32Array(4);

  /**
   * Begins the sequence of `seed`, an integer up to 2^53, and `stream`, which tells sequences of one seed
   * apart.
   */
  constructor(seed: number, stream = 0) {
    const s = this.#state;
    s[0] = (seed % 2 ** 32) | 0;
    s[1] = Math.floor(seed / 2 ** 32) | 0;
    s[2] = Math.imul(stream, 0x9e3779b1) ^ 0x243f6a88;
    s[3] = 1;
    for (let i = 0; i < 16; i++) this.next();
  }

  /** The next 32 bits, as an integer from 0 to 2^32 - 1. */
  next(): number {
    const s = this.#state;
    const sum = (s[0] + s[1] + s[3]) | 0;
    s[3] = s[3] + 1;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = s[2] + (s[2] << 3);
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + sum;
    return sum >>> 0;
  }

  /** From 0 (included) to 1 (excluded), in steps of 2^-32. */
  unit(): number {
    return this.next() * 2 ** -32;
  }

  /** An integer from 0 (included) to `bound` (excluded, at most 2^32). */
  below(bound: number): number {
    return Math.floor(this.next() * 2 ** -32 * bound);
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** Whether an event of this probability happens; draws in any case. */
  happens(probability: number): boolean {
    return this.next() * 2 ** -32 < probability;
  }

  /** One of the list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}
