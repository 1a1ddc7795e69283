import { requireInteger } from './errors.js';

/** What tells one stream of random numbers from every other: integers from 0 to 2^53 - 1. */
export interface RandomIdentity {
  /** The seed of the whole run. */
  readonly seed: number;
  /** The index of the host. */
  readonly host: number;
  /** The index of the client process on its host. */
  readonly process: number;
  /** The index of the coroutine in its process. */
  readonly coroutine: number;
}

const TWO_TO_32 = 4294967296;
/** 2^-53: the distance between two neighbouring draws of `nextDouble`. */
const UNIT = 1.1102230246251565e-16;

/** The 32-bit finalizer of MurmurHash3: a bijection in which every bit of the input moves every bit. */
export function mix32(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/**
 * A stream of pseudo-random numbers: sfc32 of PractRand (four 32-bit words, the last of them a counter, so no
 * cycle is shorter than 2^32 draws), its state hashed from the whole identity.
 *
 * Streams of different identities are independent in the statistical sense; the same identity always gives
 * the same stream, on every machine.
 */
export class RandomStream {
  #a = 0x9e3779b9 | 0;
  #b = 0x243f6a88 | 0;
  #c = 0xb7e15162 | 0;
  #counter = 0x6a09e667 | 0;

  constructor(identity: RandomIdentity) {
    const limits = { min: 0, max: Number.MAX_SAFE_INTEGER };
    this.#absorb(requireInteger('seed', identity.seed, limits));
    this.#absorb(requireInteger('host', identity.host, limits));
    this.#absorb(requireInteger('process', identity.process, limits));
    this.#absorb(requireInteger('coroutine', identity.coroutine, limits));
    // sfc32 needs a dozen rounds before every bit of the state reaches every bit of the output.
    for (let i = 0; i < 16; i++) this.nextUint32();
  }

  /** The next 32 bits, as an integer from 0 to 2^32 - 1. */
  nextUint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** The next number, a multiple of 2^-53, uniform over [0, 1). */
  nextDouble(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 67108864 + low) * UNIT;
  }

  /**
   * An integer uniform over [0, limit), for limits up to 2^36: the bias of one value is under 2^-17 of its
   * share.
   */
  nextBelow(limit: number): number {
    return Math.floor(this.nextDouble() * limit);
  }

  /** Folds both words of one number of the identity into the four words of state. */
  #absorb(value: number): void {
    this.#absorbWord((value % TWO_TO_32) | 0);
    this.#absorbWord(Math.floor(value / TWO_TO_32));
  }

  #absorbWord(word: number): void {
    this.#a = mix32((this.#a ^ word) + 0x9e3779b9);
    this.#b = mix32((this.#b + word) ^ this.#a);
    this.#c = mix32((this.#c ^ Math.imul(word, 0x9e3779b1)) + this.#b);
    this.#counter = mix32((this.#counter + Math.imul(word, 0x85ebca77)) ^ this.#c);
  }
}
