/**
 * A deterministic world: virtual time, memory nodes, and the verbs of all clients on their way.
 *
 * Rules of this file:
 * - One seed gives one run: all chance comes from one generator, events at one time happen in the order they
 *   were made, and {@link SimWorld.digest} covers every verb that executed.
 * - Verbs of one client to one MN execute in posting order, also across batches; nothing else is promised.
 * - Nothing is allocated per event; calls to weak CPUs and {@link SimWorld.at} are rare and may.
 */
import { Field, Opcode, Status, type VerbBatch } from '../../verbs/index.js';
import { executePart } from '../execute-verb.js';
import { EventQueue } from './event-queue.js';
import type { SimFabric } from './fabric.js';
import { NO_FAULTS, type SimFaults } from './faults.js';
import { type Flight, FlightTable, type Segment, SegmentTable } from './flight-table.js';
import type { LatencyModel } from './latency.js';
import type { SimMemory } from './memory.js';
import { SimRandom } from './random.js';
import { WeakCpus } from './weak-cpu.js';

/** Kinds of events, in the low two bits. */
const SEGMENT = 0;
const COMPLETE = 1;
const WAKE = 2;
const ACTION = 3;

/** What a world is made of. */
export interface SimWorldOptions {
  readonly seed: number;
  readonly latency: LatencyModel;
  readonly faults?: SimFaults;
}

/** One simulated cluster; the head of this file says what is deterministic about it. */
export class SimWorld {
  readonly nodes: SimMemory;
  readonly latency: LatencyModel;
  readonly faults: SimFaults;
  readonly random: SimRandom;
  readonly flights = new FlightTable();
  readonly weakCpus: WeakCpus;
  /** Virtual time, nanoseconds. */
  nowNs = 0;
  /** Events so far. */
  events = 0;
  /** Verbs that executed, and those of them that executed in two parts. */
  verbs = 0;
  torn = 0;
  readonly #queue = new EventQueue();
  readonly #segments = new SegmentTable();
  readonly #sleepers: (() => void)[] = [];
  readonly #actions: ((() => void) | null)[] = [];
  readonly #freeActions: number[] = [];
  readonly #isCalm: boolean;
  readonly #part = { fromBytes: 0, toBytes: 0 };
  #digestA = 0x811c9dc5 | 0;
  #digestB = 0x9e3779b9 | 0;
  #clients = 0;

  constructor(nodes: SimMemory, options: SimWorldOptions) {
    this.nodes = nodes;
    this.latency = options.latency;
    this.faults = options.faults ?? NO_FAULTS;
    this.random = new SimRandom(options.seed);
    this.weakCpus = new WeakCpus(this);
    this.#isCalm = this.faults.tear === 0 && this.faults.delay === 0;
  }

  /** Number of the next client. */
  join(): number {
    return this.#clients++;
  }

  /** Everything that executed so far, and what {@link note} was told, as 16 hexadecimal digits. */
  get digest(): string {
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return hex(this.#digestA) + hex(this.#digestB);
  }

  /** Lets a number, its low 32 bits, enter the digest. */
  note(value: number): void {
    const a = Math.imul(this.#digestA ^ value, 0x01000193);
    this.#digestA = a ^ (a >>> 15);
    this.#digestB = ((Math.imul(this.#digestB, 0x85ebca6b) ^ value) + (this.#digestB >>> 13)) | 0;
  }

  /** Lets `action` happen at `timeNs`, not before now. For what is rare: it allocates. */
  at(timeNs: number, action: () => void): void {
    const a = this.#freeActions.pop() ?? this.#actions.length;
    this.#actions[a] = action;
    this.#queue.push(timeNs, (a << 2) | ACTION);
  }

  /** Registers a callback that {@link wake} can call again and again. */
  sleeper(callback: () => void): number {
    return this.#sleepers.push(callback) - 1;
  }

  /** Calls a registered callback after `delayNs`. */
  wake(sleeper: number, delayNs: number): void {
    this.#queue.push(this.nowNs + delayNs, (sleeper << 2) | WAKE);
  }

  /** One event; false when there is none. */
  step(): boolean {
    if (this.#queue.size === 0) return false;
    const event = this.#queue.pop();
    this.nowNs = this.#queue.timeNs;
    this.events++;
    const index = event >> 2;
    switch (event & 3) {
      case SEGMENT:
        this.#execute(this.#segments.get(index));
        break;
      case COMPLETE:
        this.#complete(this.flights.get(index));
        break;
      case WAKE:
        this.#sleepers[index]();
        break;
      default: {
        const action = this.#actions[index]!;
        this.#actions[index] = null;
        this.#freeActions.push(index);
        action();
      }
    }
    return true;
  }

  /** Puts a batch on its way: one chain per MN. For fabrics. */
  launch(fabric: SimFabric, batch: VerbBatch): void {
    const flight = this.flights.take(fabric, batch, this.nowNs);
    const count = batch.count;
    let low = 0;
    let high = 0;
    for (let i = 0; i < count; i++) {
      const mn = batch.mn(i);
      const bit = 1 << mn;
      batch.setField(i, Field.STATUS, Status.PENDING);
      if (batch.opcode(i) === Opcode.RPC) this.weakCpus.post(flight, i);
      if (((mn < 32 ? low : high) & bit) !== 0) continue;
      if (mn < 32) low |= bit;
      else high |= bit;
      flight.remaining++;
      this.#launchChain(flight, mn, i);
    }
    if (count === 0) this.#queue.push(this.nowNs + 1, (flight.index << 2) | COMPLETE);
  }

  /**
   * The verbs of a flight to `mn`, the first of them `first`: one segment, or more where one is late or torn.
   */
  #launchChain(flight: Flight, mn: number, first: number): void {
    const { fabric, batch } = flight;
    const arrivalNs = this.nowNs + this.latency.requestNs(this.random, mn, batch);
    const startNs = arrivalNs < fabric.lastNs[mn] ? fabric.lastNs[mn] : arrivalNs;
    if (this.#isCalm) {
      fabric.lastNs[mn] = startNs;
      this.#addSegment(startNs, flight, mn, first, batch.count).isLast = true;
    } else fabric.lastNs[mn] = this.#launchPieces(flight, mn, first, startNs);
  }

  /** The segments of one chain; returns when the last of them executes. */
  #launchPieces(flight: Flight, mn: number, first: number, startNs: number): number {
    const { batch } = flight;
    const { random, faults } = this;
    const count = batch.count;
    let timeNs = startNs;
    let from = first;
    for (let i = first; i < count; i++) {
      if (batch.mn(i) !== mn) continue;
      if (random.happens(faults.delay)) {
        if (from < i) this.#addSegment(timeNs, flight, mn, from, i);
        from = i;
        timeNs += this.#delayNs();
      }
      const split = random.happens(faults.tear) ? this.#splitOf(batch, i) : 0;
      if (split === 0) continue;
      if (from < i) this.#addSegment(timeNs, flight, mn, from, i);
      const head = this.#addSegment(timeNs, flight, mn, i, i + 1);
      head.fromBytes = 0;
      head.toBytes = split;
      timeNs += 1 + random.below(faults.tearNs);
      const tail = this.#addSegment(timeNs, flight, mn, i, i + 1);
      tail.fromBytes = split;
      tail.toBytes = batch.field(i, Field.LENGTH);
      from = i + 1;
      this.torn++;
    }
    // The last segment may have no verb left; its end is the end of the chain all the same.
    this.#addSegment(timeNs, flight, mn, from, count).isLast = true;
    return timeNs;
  }

  #addSegment(timeNs: number, flight: Flight, mn: number, from: number, to: number): Segment {
    const segment = this.#segments.take(flight, mn, from, to);
    this.#queue.push(timeNs, (segment.index << 2) | SEGMENT);
    return segment;
  }

  /**
   * Short delays are as likely as those ten times as long; by whole numbers, which are the same on every
   * machine.
   */
  #delayNs(): number {
    const { delayNs } = this.faults;
    const bits = 1 + this.random.below(32 - Math.clz32(delayNs));
    return 1 + this.random.below(Math.min(delayNs, 1 << bits));
  }

  /**
   * Where verb `i` is torn: after so many bytes, at an 8-byte step of the MN's memory; 0 when it cannot be.
   */
  #splitOf(batch: VerbBatch, i: number): number {
    const lengthBytes = batch.field(i, Field.LENGTH);
    if (batch.opcode(i) > Opcode.WRITE || lengthBytes <= 8) return 0;
    const firstBytes = 8 - (batch.remote(i) % 8);
    const steps = Math.ceil((lengthBytes - firstBytes) / 8);
    return firstBytes + 8 * this.random.below(steps);
  }

  #execute(segment: Segment): void {
    const { flight, mn } = segment;
    const { fabric, batch } = flight;
    this.note(this.nowNs);
    this.note((fabric.index << 8) ^ mn);
    if (fabric.isDisturbed) this.#executeDisturbed(segment);
    else if (segment.toBytes !== 0)
      this.#executePart(batch, segment.from, segment.fromBytes, segment.toBytes);
    else {
      const { to } = segment;
      for (let i = segment.from; i < to; i++) if (batch.mn(i) === mn) this.#executeVerb(flight, i);
    }
    const { isLast } = segment;
    this.#segments.release(segment);
    if (isLast)
      this.answered(flight, this.nowNs + this.latency.responseNs(this.random, mn, batch, this.nowNs));
  }

  #executeVerb(flight: Flight, i: number): void {
    const { batch } = flight;
    const opcode = batch.opcode(i);
    this.verbs++;
    this.note(batch.remote(i) * 8 + opcode);
    if (opcode === Opcode.RPC) this.weakCpus.arrive(flight, i);
    else {
      this.nodes.execute(batch, i);
      if (opcode >= Opcode.CAS) this.note(batch.foundLo(i));
    }
  }

  #executePart(batch: VerbBatch, i: number, fromBytes: number, toBytes: number): void {
    this.#part.fromBytes = fromBytes;
    this.#part.toBytes = toBytes;
    executePart(this.nodes, batch, i, this.#part);
    this.note(batch.remote(i) + fromBytes);
    if (fromBytes > 0) this.verbs++;
  }

  /** A segment of a crashed client, or over a cut link. */
  #executeDisturbed(segment: Segment): void {
    const { flight, mn } = segment;
    const { fabric, batch } = flight;
    for (let i = segment.from; i < segment.to; i++) {
      if (batch.mn(i) !== mn) continue;
      if (fabric.isLost(mn, flight.postedNs)) {
        batch.setField(i, Field.STATUS, Status.FAIL);
        if (batch.opcode(i) === Opcode.RPC) this.weakCpus.arrive(flight, i);
        continue;
      }
      if (fabric.isFenced || fabric.isSevered[mn] !== 0) return;
      const part = segment.toBytes;
      if (!fabric.isCrashed || this.random.happens(this.faults.survival)) {
        if (part !== 0) this.#executePart(batch, i, segment.fromBytes, part);
        else this.#executeVerb(flight, i);
        continue;
      }
      fabric.isSevered[mn] = 1;
      // The last WRITE may have landed in part, from its start.
      const split = part === 0 && batch.opcode(i) === Opcode.WRITE ? this.#splitOf(batch, i) : 0;
      if (split > 0 && this.random.happens(0.5)) this.#executePart(batch, i, 0, split);
      return;
    }
  }

  /** A chain's or call's answer reaches the client at `readyNs`. */
  answered(flight: Flight, readyNs: number): void {
    if (readyNs > flight.readyNs) flight.readyNs = readyNs;
    if (--flight.remaining === 0) this.#queue.push(flight.readyNs, (flight.index << 2) | COMPLETE);
  }

  #complete(flight: Flight): void {
    const { fabric, batch, postedNs } = flight;
    this.flights.release(flight);
    if (fabric.isCrashed) return;
    batch.stamp(postedNs, this.nowNs);
    fabric.complete(batch);
  }
}
