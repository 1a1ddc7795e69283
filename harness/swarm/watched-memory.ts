/** Memory nodes of a simulation that somebody watches: they tell each verb, or part of it, as it executes. */
import { SimMemory } from '../../fusee/fabric/sim/index.js';
import type { VerbBatch } from '../../fusee/verbs/index.js';

/** Who watches. */
export interface MemoryWatch {
  /** Verb `i` of a batch has executed as a whole. */
  executed(batch: VerbBatch, i: number): void;
  /** Bytes were read into, or written from, `bytes` at `at`, not by a whole verb. */
  moved(place: { mn: number; remote: number; lengthBytes: number }, bytes: Uint8Array, at: number): void;
}

/** As {@link SimMemory}, watched. */
export class WatchedMemory extends SimMemory {
  readonly #watch: MemoryWatch;
  #isInVerb = false;

  constructor(memoryBytes: readonly number[], watch: MemoryWatch) {
    super(memoryBytes);
    this.#watch = watch;
  }

  override execute(batch: VerbBatch, i: number): void {
    this.#isInVerb = true;
    super.execute(batch, i);
    this.#isInVerb = false;
    this.#watch.executed(batch, i);
  }

  override read(mn: number, remote: number, into: Uint8Array, at: number, lengthBytes: number): void {
    super.read(mn, remote, into, at, lengthBytes);
    if (!this.#isInVerb) this.#watch.moved({ mn, remote, lengthBytes }, into, at);
  }

  override write(mn: number, remote: number, source: Uint8Array, at: number, lengthBytes: number): void {
    super.write(mn, remote, source, at, lengthBytes);
    if (!this.#isInVerb) this.#watch.moved({ mn, remote, lengthBytes }, source, at);
  }
}
