/** Events by time in a binary heap: typed arrays, which grow by doubling. */

/** Earliest first; of two at one time the one that was added first. */
export class EventHeap {
  #times = new Float64Array(256);
  #orders = new Float64Array(256);
  #events = new Int32Array(256);
  #size = 0;
  #added = 0;

  get size(): number {
    return this.#size;
  }

  /** Time of the earliest event; the heap must not be empty. */
  get firstNs(): number {
    return this.#times[0];
  }

  /** Adds `event`, any 32-bit integer, at `timeNs`. */
  push(timeNs: number, event: number): void {
    if (this.#size === this.#times.length) this.#grow();
    const times = this.#times;
    const orders = this.#orders;
    const events = this.#events;
    let at = this.#size++;
    // The newest of equal times goes last, so times alone decide on the way up.
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (times[parent] <= timeNs) break;
      times[at] = times[parent];
      orders[at] = orders[parent];
      events[at] = events[parent];
      at = parent;
    }
    times[at] = timeNs;
    orders[at] = this.#added++;
    events[at] = event;
  }

  /** Takes the earliest event out; the heap must not be empty. */
  pop(): number {
    const times = this.#times;
    const orders = this.#orders;
    const events = this.#events;
    const first = events[0];
    const size = --this.#size;
    const timeNs = times[size];
    const order = orders[size];
    const event = events[size];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const right = child + 1;
      if (
        right < size &&
        (times[right] < times[child] || (times[right] === times[child] && orders[right] < orders[child]))
      )
        child = right;
      if (times[child] > timeNs || (times[child] === timeNs && orders[child] > order)) break;
      times[at] = times[child];
      orders[at] = orders[child];
      events[at] = events[child];
      at = child;
    }
    times[at] = timeNs;
    orders[at] = order;
    events[at] = event;
    return first;
  }

  #grow(): void {
    const length = this.#times.length * 2;
    const [times, orders, events] = [this.#times, this.#orders, this.#events];
    this.#times = new Float64Array(length);
    this.#orders = new Float64Array(length);
    this.#events = new Int32Array(length);
    this.#times.set(times);
    this.#orders.set(orders);
    this.#events.set(events);
  }
}
