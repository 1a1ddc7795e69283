/**
 * The events of a simulation, earliest first; of two at one time the one that was added first.
 *
 * Nearly all events are about one way of the network ahead. Those stand in a wheel with a slot for each of
 * the next nanoseconds: adding one and finding the next takes the same few steps however many there are. What
 * lies beyond the wheel waits in a heap. Nothing is allocated per event.
 *
 * Why the order holds without moving anything from heap to wheel: an event goes to the heap while its time is
 * out of the wheel's reach, and time only grows, so it is older than every event of that time in the wheel.
 */
import { EventHeap } from './event-heap.js';

/** Nanoseconds ahead that the wheel reaches: a power of 2. */
const SLOTS = 2048;
const MASK = SLOTS - 1;
const WORD_MASK = (SLOTS >>> 5) - 1;

/** Events by time. Times are whole nanoseconds, and none is earlier than the last event taken out. */
export class EventQueue {
  /** Per slot the last node of its list, which is a ring: the last knows the first. 0 is none. */
  readonly #last = new Int32Array(SLOTS);
  /** A bit per slot that has events. */
  readonly #bits = new Int32Array(SLOTS >>> 5);
  /** Nodes of the lists, from 1: an event and the node that follows. */
  #events = new Int32Array(256);
  #next = new Int32Array(256);
  #nodes = 1;
  #free = 0;
  #near = 0;
  readonly #far = new EventHeap();
  /** Time of the event that the last {@link pop} returned, nanoseconds. A double from the start. */
  timeNs = -0;

  get size(): number {
    return this.#near + this.#far.size;
  }

  /** Adds `event`, any 32-bit integer, at `timeNs`. */
  push(timeNs: number, event: number): void {
    if (timeNs - this.timeNs >= SLOTS) {
      this.#far.push(timeNs, event);
      return;
    }
    const node = this.#free !== 0 ? this.#free : this.#addNode();
    const next = this.#next;
    this.#free = next[node];
    this.#events[node] = event;
    this.#near++;
    const slot = timeNs & MASK;
    const last = this.#last[slot];
    this.#last[slot] = node;
    if (last === 0) {
      next[node] = node;
      this.#bits[slot >>> 5] |= 1 << (slot & 31);
    } else {
      next[node] = next[last];
      next[last] = node;
    }
  }

  /** Takes the earliest event out; the queue must not be empty. Its time stands in {@link timeNs}. */
  pop(): number {
    if (this.#near === 0) return this.#popFar();
    const from = this.timeNs & MASK;
    const slot = this.#firstFrom(from);
    const timeNs = this.timeNs + ((slot - from) & MASK);
    if (this.#far.size > 0 && this.#far.firstNs <= timeNs) return this.#popFar();
    this.timeNs = timeNs;
    this.#near--;
    const next = this.#next;
    const last = this.#last[slot];
    const first = next[last];
    if (first === last) {
      this.#last[slot] = 0;
      this.#bits[slot >>> 5] &= ~(1 << (slot & 31));
    } else next[last] = next[first];
    next[first] = this.#free;
    this.#free = first;
    return this.#events[first];
  }

  /** The first slot with events, from slot `from` on and round to it again; there is one. */
  #firstFrom(from: number): number {
    const bits = this.#bits;
    let at = from >>> 5;
    let word = bits[at] & (-1 << (from & 31));
    while (word === 0) {
      at = (at + 1) & WORD_MASK;
      word = bits[at];
    }
    return (at << 5) + 31 - Math.clz32(word & -word);
  }

  #popFar(): number {
    this.timeNs = this.#far.firstNs;
    return this.#far.pop();
  }

  #addNode(): number {
    const node = this.#nodes++;
    if (node === this.#next.length) {
      const [events, next] = [this.#events, this.#next];
      this.#events = new Int32Array(node * 2);
      this.#next = new Int32Array(node * 2);
      this.#events.set(events);
      this.#next.set(next);
    }
    return node;
  }
}
