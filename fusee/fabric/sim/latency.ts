/** How long verbs travel. A calibrated model of NICs implements the same interface. */
import type { VerbBatch } from '../../verbs/index.js';
import type { SimRandom } from './random.js';

/**
 * Times of a chain: the verbs of one batch that go to one MN. Nanoseconds, at least 1, whole numbers.
 *
 * `responseNs` is asked when the chain's last verb executes, chain by chain in the order of their execution,
 * so a model may keep queues per MN.
 */
export interface LatencyModel {
  /** From the doorbell to the MN. */
  requestNs(random: SimRandom, mn: number, batch: VerbBatch): number;
  /** From the execution of the chain's last verb, at `nowNs`, to the client. */
  responseNs(random: SimRandom, mn: number, batch: VerbBatch, nowNs: number): number;
  /** What the MN's weak CPU works on one request. */
  serviceNs(random: SimRandom, mn: number, request: Uint8Array): number;
}

/** Every chain takes half a round trip each way. */
export class ConstantLatency implements LatencyModel {
  readonly #oneWayNs: number;
  readonly #serviceNs: number;

  constructor(options: { rttNs: number; serviceNs: number }) {
    this.#oneWayNs = Math.max(1, Math.round(options.rttNs / 2));
    this.#serviceNs = options.serviceNs;
  }

  requestNs(): number {
    return this.#oneWayNs;
  }

  responseNs(): number {
    return this.#oneWayNs;
  }

  serviceNs(): number {
    return this.#serviceNs;
  }
}

/** Each way takes at least a given time, and a random part on top: mostly small, seldom near its limit. */
export class JitteredLatency implements LatencyModel {
  readonly #leastNs: number;
  readonly #jitterNs: number;
  readonly #serviceNs: number;

  /** One way takes `leastNs` to `leastNs + jitterNs`; a call is served in `serviceNs` to twice that. */
  constructor(options: { leastNs: number; jitterNs: number; serviceNs: number }) {
    this.#leastNs = Math.max(1, options.leastNs);
    this.#jitterNs = options.jitterNs;
    this.#serviceNs = options.serviceNs;
  }

  requestNs(random: SimRandom): number {
    const unit = random.unit();
    return this.#leastNs + Math.floor(unit * unit * this.#jitterNs);
  }

  responseNs(random: SimRandom): number {
    return this.requestNs(random);
  }

  serviceNs(random: SimRandom, _mn: number, _request: Uint8Array): number {
    return this.#serviceNs + random.below(this.#serviceNs + 1);
  }
}
