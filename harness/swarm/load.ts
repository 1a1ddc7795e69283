/** Which request a coroutine makes next, and the bytes it takes to stage it. */
import { SimRandom } from '../../fusee/fabric/sim/index.js';
import { RequestKind } from '../../fusee/ops/index.js';
import type { SwarmPlan } from './plan.js';
import { Values } from './values.js';

/** The load of one run: one stream of chance for all coroutines, in the order in which they ask. */
export class Load {
  readonly keys: readonly Uint8Array[];
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
    this.keys = plan.keys.map((key) => Uint8Array.from(Buffer.from(key, 'latin1')));
    const total = plan.mix.reduce((sum, weight) => sum + weight, 0);
    const kinds: number[] = [];
    let before = 0;
    plan.mix.forEach((weight, kind) => {
      before += weight;
      while (kinds.length < Math.round((64 * before) / total)) kinds.push(kind);
    });
    this.#kinds = Uint8Array.from(kinds);
  }

  /** Draws a request into {@link kind}, {@link key} and {@link valueBytes}. */
  draw(): void {
    const { random } = this;
    const { skew, valueBytesLeast, valueBytesMost } = this.#plan;
    this.kind = this.#kinds[random.next() >>> 26] as RequestKind;
    let unit = random.unit();
    if (skew === 2) unit *= unit;
    else if (skew !== 1) unit **= skew;
    this.key = Math.floor(unit * this.keys.length);
    this.valueBytes = random.between(valueBytesLeast, valueBytesMost);
  }

  /** The first requests of a run that is loaded first: an INSERT of key `key`. */
  drawLoad(key: number): void {
    this.kind = RequestKind.INSERT;
    this.key = key;
    this.valueBytes = this.#plan.valueBytesMost;
  }
}
