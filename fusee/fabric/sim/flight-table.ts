/** What is under way in a simulation, in typed arrays with free lists: nothing is allocated per batch. */
import type { VerbBatch } from '../../verbs/index.js';
import type { SimFabric } from './fabric.js';

/** Grows a typed array to `length`. */
function grown<T extends Int32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Batches posted and not yet complete. */
export class FlightTable {
  readonly batch: (VerbBatch | null)[] = [];
  readonly fabric: (SimFabric | null)[] = [];
  postedNs = new Float64Array(64);
  /** When the last answer so far reaches the client. */
  readyNs = new Float64Array(64);
  /** Chains and calls still to be answered. */
  remaining = new Int32Array(64);
  readonly #free: number[] = [];
  #count = 0;

  take(fabric: SimFabric, batch: VerbBatch, postedNs: number): number {
    const f = this.#free.length > 0 ? (this.#free.pop() as number) : this.#add();
    this.batch[f] = batch;
    this.fabric[f] = fabric;
    this.postedNs[f] = postedNs;
    this.readyNs[f] = postedNs + 1;
    this.remaining[f] = 0;
    return f;
  }

  release(f: number): void {
    this.batch[f] = null;
    this.fabric[f] = null;
    this.#free.push(f);
  }

  #add(): number {
    const f = this.#count++;
    if (f === this.remaining.length) {
      this.postedNs = grown(this.postedNs, new Float64Array(f * 2));
      this.readyNs = grown(this.readyNs, new Float64Array(f * 2));
      this.remaining = grown(this.remaining, new Int32Array(f * 2));
    }
    return f;
  }
}

/**
 * Pieces of chains that execute at one instant: the verbs `from` to `to - 1` of a batch that go to one MN;
 * or, when
 * `toBytes` is not 0, the bytes `fromBytes` to `toBytes - 1` of verb `from` alone.
 */
export class SegmentTable {
  flight = new Int32Array(128);
  mn = new Uint8Array(128);
  from = new Uint8Array(128);
  to = new Uint8Array(128);
  fromBytes = new Int32Array(128);
  toBytes = new Int32Array(128);
  /** 1 for the last segment of its chain. */
  isLast = new Uint8Array(128);
  readonly #free: number[] = [];
  #count = 0;

  take(flight: number, mn: number, from: number, to: number): number {
    const s = this.#free.length > 0 ? (this.#free.pop() as number) : this.#add();
    this.flight[s] = flight;
    this.mn[s] = mn;
    this.from[s] = from;
    this.to[s] = to;
    this.toBytes[s] = 0;
    this.isLast[s] = 0;
    return s;
  }

  release(s: number): void {
    this.#free.push(s);
  }

  #add(): number {
    const s = this.#count++;
    if (s === this.flight.length) {
      const length = s * 2;
      this.flight = grown(this.flight, new Int32Array(length));
      this.mn = grown(this.mn, new Uint8Array(length));
      this.from = grown(this.from, new Uint8Array(length));
      this.to = grown(this.to, new Uint8Array(length));
      this.fromBytes = grown(this.fromBytes, new Int32Array(length));
      this.toBytes = grown(this.toBytes, new Int32Array(length));
      this.isLast = grown(this.isLast, new Uint8Array(length));
    }
    return s;
  }
}
