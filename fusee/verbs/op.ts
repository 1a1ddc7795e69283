/**
 * How protocol code is driven: a generator that yields one {@link VerbBatch} per round trip.
 *
 * A generator serves many requests: its body is an endless loop, and the end of each request is a yield of
 * {@link DONE}. So the hot path creates no generator, and the only garbage of a round trip is the result
 * object that `next()` makes. Whoever drives it (reactor, simulator, explorer) decides what a round trip is.
 */
import type { VerbBatch } from './batch.js';
import { FabricError } from './errors.js';

/** Yielded in place of a batch: this call is complete, and its results stand in the context. */
export const DONE = null;

/** A re-armed protocol operation: yields batches, and DONE between calls; never returns. */
export type OpLoop = Generator<VerbBatch | typeof DONE, never, undefined>;

/** One call of a protocol step that is not on the hot path: a plain generator, made for the call. */
export type Op<T> = Generator<VerbBatch, T, undefined>;

const generatorNext = Object.getPrototypeOf(function* () {}.prototype).next as (
  this: OpLoop,
) => IteratorResult<VerbBatch | typeof DONE, never>;

/**
 * Goes on with a loop: its next batch, or DONE. Not `loop.next()`: each generator function gives its
 * generators another prototype, and a look-up that meets many of them is slow.
 * @throws FabricError when an error has ended the loop before.
 */
export function resume(loop: OpLoop): VerbBatch | typeof DONE {
  const result = generatorNext.call(loop);
  if (result.done) throw new FabricError('a coroutine was driven on after an error ended it');
  return result.value;
}

const END: IteratorResult<VerbBatch, void> = { done: true, value: undefined };

/**
 * A step shared by several operations, for `yield*`: runs one call of an {@link OpLoop}.
 *
 * `yield*` hands the inner result object through, so a stage costs no allocation per round trip either.
 * Arguments and results travel through the context that the loop was made with.
 */
export class Stage implements Iterable<VerbBatch, void, undefined> {
  readonly #loop: OpLoop;

  constructor(loop: OpLoop) {
    this.#loop = loop;
  }

  next(): IteratorResult<VerbBatch, void> {
    const result = generatorNext.call(this.#loop);
    return result.value === DONE ? END : (result as IteratorResult<VerbBatch, void>);
  }

  [Symbol.iterator](): Iterator<VerbBatch, void, undefined> {
    return this;
  }
}
