/**
 * A client that got no answer waits a little before it asks again. A node that is dead or cut off FAILs verbs
 * in no time at all: a closed loop would run through its stream in the blink of an eye, and measure nothing.
 */
import type { RequestSource } from '../../fusee/client/request-source.js';
import { type Coroutine, Outcome } from '../../fusee/ops/index.js';
import type { Ledger, OpLoop } from '../../fusee/verbs/index.js';

/** How long a coroutine rests after a request that ended UNAVAILABLE: short against what it recovers from. */
const REST_NS = 5e6;

/** Wraps a source. */
export class PatientSource implements RequestSource {
  readonly #inner: RequestSource;
  readonly #nowNs: () => number;
  readonly #untilNs: Float64Array;

  constructor(inner: RequestSource, options: { coroutines: number; nowNs: () => number }) {
    this.#inner = inner;
    this.#nowNs = options.nowNs;
    this.#untilNs = new Float64Array(options.coroutines);
  }

  /** A coroutine rests, and will go on: whoever drives them has to wake it. */
  get isResting(): boolean {
    return this.#untilNs.some((untilNs) => untilNs !== 0);
  }

  next(coroutine: Coroutine): OpLoop | null {
    const { coroutine: i } = coroutine.cx;
    if (this.#untilNs[i] > this.#nowNs()) return null;
    this.#untilNs[i] = 0;
    return this.#inner.next(coroutine);
  }

  ended(coroutine: Coroutine, postedNs: number, completedNs: number): void {
    const { cx } = coroutine;
    if (cx.outcome === Outcome.UNAVAILABLE) this.#untilNs[cx.coroutine] = this.#nowNs() + REST_NS;
    this.#inner.ended(coroutine, postedNs, completedNs);
  }

  ledger(coroutine: Coroutine): Ledger {
    return this.#inner.ledger(coroutine);
  }
}
