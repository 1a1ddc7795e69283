import { requireInteger } from './errors.js';
import { mix32 } from './random.js';
import { itemCountMax } from './zipf.js';

const ROUNDS = 4;

/**
 * A fixed bijection of [0, count) onto itself that looks random: a four-round Feistel network over the fewest
 * bits that hold `count` numbers, walked until it lands below `count` (under two walks on average). It
 * depends on `count` alone, so all clients of a run agree where the popular keys are.
 */
export class KeyPermutation {
  readonly #count: number;
  readonly #lowSpan: number;
  readonly #lowMask: number;
  readonly #highMask: number;

  constructor(count: number) {
    this.#count = requireInteger('key count', count, { min: 1, max: itemCountMax });
    let bits = 2;
    while (2 ** bits < count) bits++;
    const lowBits = bits >> 1;
    this.#lowSpan = 2 ** lowBits;
    this.#lowMask = this.#lowSpan - 1;
    this.#highMask = 2 ** (bits - lowBits) - 1;
  }

  /** Where `index`, an integer from 0 to `count - 1`, goes. */
  apply(index: number): number {
    let value = index;
    do {
      let high = Math.floor(value / this.#lowSpan);
      let low = value - high * this.#lowSpan;
      for (let round = 1; round <= ROUNDS; round += 2) {
        high ^= mix32(low + Math.imul(round, 0x9e3779b9)) & this.#highMask;
        low ^= mix32(high + Math.imul(round + 1, 0x9e3779b9)) & this.#lowMask;
      }
      value = high * this.#lowSpan + low;
    } while (value >= this.#count);
    return value;
  }
}
