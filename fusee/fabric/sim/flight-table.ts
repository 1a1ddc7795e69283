/**
 * What is under way in a simulation, as objects that are used again and again: nothing is allocated per
 * batch. Events name them by number.
 */
import type { VerbBatch } from '../../verbs/index.js';
import type { SimFabric } from './fabric.js';

/** A batch posted and not yet complete. */
export class Flight {
  readonly index: number;
  fabric: SimFabric;
  batch: VerbBatch;
  /** Times, nanoseconds; doubles from the start, or the first time beyond 2^31 would change the shape. */
  postedNs = -0;
  /** When the last answer so far reaches the client. */
  readyNs = -0;
  /** Chains and calls still to be answered. */
  remaining = 0;

  constructor(index: number, fabric: SimFabric, batch: VerbBatch) {
    this.index = index;
    this.fabric = fabric;
    this.batch = batch;
  }
}

/**
 * A piece of a chain that executes at one instant: the verbs `from` to `to - 1` of a batch that go to one MN;
 * or, when `toBytes` is not 0, the bytes `fromBytes` to `toBytes - 1` of verb `from` alone.
 */
export class Segment {
  readonly index: number;
  flight: Flight;
  mn = 0;
  from = 0;
  to = 0;
  fromBytes = 0;
  toBytes = 0;
  /** The last segment of its chain. */
  isLast = false;

  constructor(index: number, flight: Flight) {
    this.index = index;
    this.flight = flight;
  }
}

/** Batches posted and not yet complete. */
export class FlightTable {
  readonly #all: Flight[] = [];
  readonly #free: Flight[] = [];

  get(index: number): Flight {
    return this.#all[index];
  }

  take(fabric: SimFabric, batch: VerbBatch, postedNs: number): Flight {
    const flight = this.#free.pop() ?? this.#add(fabric, batch);
    flight.fabric = fabric;
    flight.batch = batch;
    flight.postedNs = postedNs;
    flight.readyNs = postedNs + 1;
    flight.remaining = 0;
    return flight;
  }

  release(flight: Flight): void {
    this.#free.push(flight);
  }

  #add(fabric: SimFabric, batch: VerbBatch): Flight {
    const flight = new Flight(this.#all.length, fabric, batch);
    this.#all.push(flight);
    return flight;
  }
}

/** Segments that have not executed. */
export class SegmentTable {
  readonly #all: Segment[] = [];
  readonly #free: Segment[] = [];

  get(index: number): Segment {
    return this.#all[index];
  }

  /** A segment of whole verbs, not the last of its chain. */
  take(flight: Flight, mn: number, from: number, to: number): Segment {
    const segment = this.#free.pop() ?? this.#add(flight);
    segment.flight = flight;
    segment.mn = mn;
    segment.from = from;
    segment.to = to;
    segment.toBytes = 0;
    segment.isLast = false;
    return segment;
  }

  release(segment: Segment): void {
    this.#free.push(segment);
  }

  #add(flight: Flight): Segment {
    const segment = new Segment(this.#all.length, flight);
    this.#all.push(segment);
    return segment;
  }
}
