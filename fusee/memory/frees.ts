/**
 * What a client's requests leave for its background work to free: a queue that never blocks a request.
 */

/** Grows by doubling; drained as a whole, into the hands of one reader. */
class PointerQueue {
  #items = new Float64Array(256);
  count = 0;

  push(pointer: number): void {
    if (this.count === this.#items.length) {
      const larger = new Float64Array(this.count * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.count++] = pointer;
  }

  /** Takes up to `most` items out, oldest first. */
  take(most: number): Float64Array {
    const taken = this.#items.slice(0, Math.min(most, this.count));
    this.#items.copyWithin(0, taken.length, this.count);
    this.count -= taken.length;
    return taken;
  }
}

/** Objects and cells on their way to being free. */
export class Frees {
  /**
   * Objects that this client has replaced, by the pointer that a slot named them by: their free bits are to
   * be set, once, after a checkpoint has passed the log entry of whoever replaced them (hazards H16, H17).
   */
  readonly objects: PointerQueue = new PointerQueue();
  /**
   * Cells of this client whose objects lost their rounds, by the pointer of their last line: nobody names
   * them, but others may have seen their addresses, so they have to wait like the rest (hazard H4).
   */
  readonly cells: PointerQueue = new PointerQueue();
}
