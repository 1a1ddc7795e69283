/**
 * Makes histories that are linearizable by construction: random clients call an atomic map, and each
 * operation takes effect at a random instant between its invocation and its response, or much later when its
 * client never learned of it.
 */
import { UsageError } from '../../../fusee/verbs/errors.js';
import { History, NO_VALUE, Operation, Outcome, writesValue } from './history.js';
import { Random } from './random.js';

/** The shape of a simulated history. */
export interface SimulationOptions {
  operations: number;
  clients: number;
  keys: number;
  seed: number;
  /** Skew of the choice of keys; 0 is uniform, 0.99 is YCSB's. */
  zipfTheta?: number;
  /** Weights of SEARCH, INSERT, UPDATE, DELETE, PUT. */
  mix?: readonly [number, number, number, number, number];
  /** Probability that an operation ends UNAVAILABLE. */
  unavailable?: number;
  /** Probability that a client dies in an operation, which stays PENDING; a new client takes its place. */
  pending?: number;
  /** Probability that an operation has no room, and no effect. */
  noMemory?: number;
  /** Distinct values written; 0 gives every write a value of its own. */
  values?: number;
  /** Whether every key holds a value at the start. */
  loaded?: boolean;
  /** Mean pause between two operations of a client, in mean latencies. */
  pause?: number;
  /** Times are rounded to multiples of this, so that equal ones occur; 0 leaves them. */
  tickNs?: number;
}

/** A correct history and the contents of the map around it; absent keys stand as `NO_VALUE`. */
export interface Simulation {
  history: History;
  initial: Map<number, number>;
  final: Map<number, number>;
}

const LATENCY_NS = 1000;
const MIX_DEFAULT = [5, 1, 3, 1, 0] as const;

/** Runs the clients. UsageError when there are none, or no keys. */
export function simulate(options: SimulationOptions): Simulation {
  if (!(options.clients > 0 && options.keys > 0)) {
    throw new UsageError(`${options.clients} clients, ${options.keys} keys: give at least one of each`);
  }
  return new Simulator(options).run();
}

class Simulator {
  readonly #options: SimulationOptions;
  readonly #random: Random;
  readonly #history: History;
  readonly #contents = new Map<number, number>();
  readonly #keyWeights: Float64Array;
  /** Of each client: its id, its open row, and when that is invoked, takes effect and responds. */
  readonly #client: number[] = [];
  readonly #row: number[] = [];
  readonly #effectNs: number[] = [];
  readonly #responseNs: number[] = [];
  /** Effects that come after their client stopped waiting. */
  readonly #late: { row: number; effectNs: number }[] = [];
  #clientsEver = 0;
  #valuesEver = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#history = new History({ capacity: Math.max(1, options.operations) });
    this.#keyWeights = cumulative(
      Array.from({ length: options.keys }, (_, k) => (k + 1) ** -(options.zipfTheta ?? 0)),
    );
  }

  run(): Simulation {
    const { operations, clients, keys, loaded = false, values = 0 } = this.#options;
    const initial = new Map<number, number>();
    for (let key = 0; key < keys; key++) {
      initial.set(key, loaded ? (values > 0 ? key % values : this.#valuesEver++) : NO_VALUE);
      if (loaded) this.#contents.set(key, initial.get(key)!);
    }
    for (let c = 0; c < clients; c++) {
      this.#client[c] = this.#clientsEver++;
      this.#row[c] = -1;
      this.#begin(c, 0);
    }
    for (let done = 0; done < operations; done++) {
      let next = 0;
      for (let c = 1; c < clients; c++) if (this.#effectNs[c] < this.#effectNs[next]) next = c;
      this.#settleLate(this.#effectNs[next]);
      this.#finish(next);
    }
    this.#settleLate(Number.POSITIVE_INFINITY);
    const final = new Map<number, number>();
    for (let key = 0; key < keys; key++) final.set(key, this.#contents.get(key) ?? NO_VALUE);
    return { history: this.#history, initial, final };
  }

  #exponential(meanNs: number): number {
    return -Math.log(1 - this.#random.unit()) * meanNs;
  }

  #ticked(timeNs: number): number {
    const tickNs = this.#options.tickNs ?? 0;
    return tickNs > 0 ? Math.floor(timeNs / tickNs) * tickNs : timeNs;
  }

  #begin(c: number, afterNs: number): void {
    const { operations, pause = 0.2, values = 0, mix = MIX_DEFAULT } = this.#options;
    if (this.#history.count === operations) {
      this.#effectNs[c] = Number.POSITIVE_INFINITY;
      return;
    }
    const invocationNs = afterNs + this.#exponential(pause * LATENCY_NS);
    const latencyNs = this.#exponential(LATENCY_NS);
    const operation = search(cumulative(mix), this.#random.unit()) as Operation;
    const value = values > 0 ? this.#random.below(values) : this.#valuesEver++;
    const key = search(this.#keyWeights, this.#random.unit());
    const written = writesValue(operation) ? value : NO_VALUE;
    this.#row[c] = this.#history.begin(this.#client[c], key, operation, written, this.#ticked(invocationNs));
    this.#effectNs[c] = invocationNs + latencyNs * this.#random.unit();
    this.#responseNs[c] = invocationNs + latencyNs;
  }

  #finish(c: number): void {
    const { unavailable = 0, pending = 0, noMemory = 0 } = this.#options;
    const row = this.#row[c];
    const responseNs = this.#ticked(this.#responseNs[c]);
    const isPending = this.#random.happens(pending);
    if (isPending || this.#random.happens(unavailable)) {
      const effect = this.#random.below(3);
      if (effect === 1) this.#effect(row);
      if (effect === 2) {
        this.#late.push({ row, effectNs: this.#responseNs[c] + this.#exponential(20 * LATENCY_NS) });
      }
      if (isPending) this.#client[c] = this.#clientsEver++;
      else this.#history.complete(row, Outcome.UNAVAILABLE, NO_VALUE, responseNs);
    } else if (this.#history.operation[row] !== Operation.SEARCH && this.#random.happens(noMemory)) {
      this.#history.complete(row, Outcome.NO_MEMORY, NO_VALUE, responseNs);
    } else {
      const before = this.#contents.get(this.#history.key[row]) ?? NO_VALUE;
      const outcome = this.#effect(row);
      const isRead = this.#history.operation[row] === Operation.SEARCH && outcome === Outcome.OK;
      this.#history.complete(row, outcome, isRead ? before : NO_VALUE, responseNs);
    }
    this.#begin(c, this.#responseNs[c]);
  }

  #settleLate(untilNs: number): void {
    this.#late.sort((a, b) => a.effectNs - b.effectNs);
    while (this.#late.length > 0 && this.#late[0].effectNs <= untilNs) this.#effect(this.#late.shift()!.row);
  }

  #effect(row: number): Outcome {
    const key = this.#history.key[row];
    const operation = this.#history.operation[row];
    const exists = this.#contents.has(key);
    if (operation === Operation.INSERT && exists) return Outcome.EXISTS;
    if (operation !== Operation.INSERT && operation !== Operation.PUT && !exists) return Outcome.NOT_FOUND;
    if (operation === Operation.DELETE) this.#contents.delete(key);
    else if (operation !== Operation.SEARCH) this.#contents.set(key, this.#history.valueWritten[row]);
    return Outcome.OK;
  }
}

function cumulative(weights: readonly number[]): Float64Array {
  const sums = new Float64Array(weights.length);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i];
    sums[i] = sum;
  }
  return sums.map((part) => part / sum);
}

function search(sums: Float64Array, unit: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle] > unit) high = middle;
    else low = middle + 1;
  }
  return low;
}
