/** Which request a coroutine makes next, and the bytes it takes to stage it. */
import { SimRandom } from '../../fusee/fabric/sim/index.js';
import { RequestKind } from '../../fusee/ops/index.js';
import type { SwarmPlan } from './plan.js';
import { Values } from './values.js';

/** The load of one run: one stream of chance for all coroutines, in the order in which they ask. */
export class Load {
  /** Bytes of each key. */
  readonly keyBytes: Uint8Array;
  /**
   * Words of each key from `key * keyStride` on, padded with zeroes: one table, since keys are drawn at
   * random.
   */
  readonly keyWords: Uint32Array;
  readonly keyStride: number;
  /** The request drawn last. */
  kind: RequestKind = RequestKind.SEARCH;
  key = 0;
  valueBytes = 0;
  readonly values = new Values();
  readonly random: SimRandom;
  readonly #plan: SwarmPlan;
  /** Kinds by weight: 64 of them. */
  readonly #kinds: Uint8Array;

  constructor(plan: SwarmPlan) {
    this.#plan = plan;
    this.random = new SimRandom(plan.seed, 2);
    this.keyBytes = Uint8Array.from(plan.keys, (key) => key.length);
    this.keyStride = Math.ceil(Math.max(...this.keyBytes) / 4);
    this.keyWords = new Uint32Array(plan.keys.length * this.keyStride);
    const bytes = new Uint8Array(this.keyWords.buffer);
    plan.keys.forEach((key, k) => {
      bytes.set(Buffer.from(key, 'latin1'), k * this.keyStride * 4);
    });
    const total = plan.mix.reduce((sum, weight) => sum + weight, 0);
    const kinds: number[] = [];
    let before = 0;
    plan.mix.forEach((weight, kind) => {
      before += weight;
      while (kinds.length < Math.round((64 * before) / total)) kinds.push(kind);
    });
    this.#kinds = Uint8Array.from(kinds);
  }

  /**
   * Draws request number `made` of a coroutine: of a run that is loaded first, the first ones load its keys.
   */
  drawNext(thread: number, made: number): void {
    const { isLoaded, clients, coroutines } = this.#plan;
    const key = made * clients * coroutines + thread;
    if (isLoaded && key < this.keyBytes.length) this.drawLoad(key);
    else this.draw();
  }

  /** Draws a request into {@link kind}, {@link key} and {@link valueBytes}. */
  draw(): void {
    const { random } = this;
    const { skew, valueBytesLeast, valueBytesMost } = this.#plan;
    this.kind = this.#kinds[random.next() >>> 26] as RequestKind;
    const first = random.unit();
    let unit = first;
    // By products: powers differ in their last bits from one engine to another.
    for (let power = 1; power < skew; power++) unit *= first;
    this.key = Math.floor(unit * this.keyBytes.length);
    this.valueBytes = random.between(valueBytesLeast, valueBytesMost);
  }

  /** The first requests of a run that is loaded first: an INSERT of key `key`. */
  drawLoad(key: number): void {
    this.kind = RequestKind.INSERT;
    this.key = key;
    this.valueBytes = this.#plan.valueBytesMost;
  }
}
