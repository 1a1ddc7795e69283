/**
 * The intended starts of one client's requests in an open loop: an absolute schedule, which knows nothing of
 * how requests fare. No allocation while it runs.
 */
import { RandomStream } from '../../workloads/index.js';
import type { ClientSchedule } from './plan-open-loop.js';

const START = 0;
const NEXT = 1;
const COUNT = 2;

/** Intended starts, one after the other. */
export class Schedule {
  /** In an array, where doubles stay unboxed. */
  readonly #times = new Float64Array(3);
  readonly #intervalNs: number;
  /** null: all intervals are equal. */
  readonly #random: RandomStream | null;

  /** @param startNs when the schedule begins; the first start lies behind it. */
  constructor({ arrivals, intervalNs, offsetNs, seed }: ClientSchedule, startNs: number) {
    this.#intervalNs = intervalNs;
    this.#random =
      arrivals === 'poisson' ? new RandomStream({ seed, host: 0, process: 0, coroutine: 0 }) : null;
    this.#times[START] = startNs + offsetNs;
    this.#times[NEXT] = startNs + offsetNs;
    if (this.#random !== null) this.advance();
  }

  /** The next intended start. */
  get nextNs(): number {
    return this.#times[NEXT];
  }

  /** Goes on to the start behind it. */
  advance(): void {
    const times = this.#times;
    if (this.#random === null) {
      // By multiplication: sums of rounded intervals would drift.
      times[COUNT]++;
      times[NEXT] = times[START] + times[COUNT] * this.#intervalNs;
    } else times[NEXT] -= Math.log(1 - this.#random.nextDouble()) * this.#intervalNs;
  }
}
