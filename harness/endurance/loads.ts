/** The loads of the long-running checks, each with what it knows about how its requests must end. */
import { type Context, Outcome, RequestKind } from '../../fusee/ops/index.js';
import { UniformKeys, zipfKeys } from '../../workloads/distributions.js';
import { type KeyChooser, RandomStream } from '../../workloads/index.js';
import type { Load, WorkerPlan } from './messages.js';
import { type KeyList, Requests, type RequestsOptions } from './requests.js';

/** Sizes of values that UPDATEs draw from: five size classes apart, 1 KiB at most. */
export const UPDATE_SIZES: readonly number[] = [64, 200, 400, 700, 1000];
/**
 * Sizes of churned values: pairs of one mean, so that live bytes stay the same while classes change. Each
 * pair has two classes that no other has.
 */
export const CHURN_SIZES: readonly (readonly [number, number])[] = [
  [600, 680],
  [470, 810],
  [340, 940],
  [210, 1070],
];
/** Pair by tenth of the run; the tenths that throughput is compared in have the same. */
const CHURN_COURSE = [0, 1, 2, 3, 2, 1, 0, 3, 2, 1];
/** Share of the run by which every pair has had its turn. */
export const CHURN_CYCLE = 0.4;
/** Bytes of the values of a growing pool. */
export const GROWTH_VALUE_BYTES = 64;
/** Share of SEARCHes. */
const SEARCHES = 0.1;
/** Clients' key numbers are this far apart, where each has its own. */
const CLIENT_KEYS = 2 ** 32;

/** A load, with the keys that are to be there before it, and what a read-back must find behind it. */
export interface RunningLoad {
  readonly before: KeyList;
  readonly after: KeyList;
  /** Its requests; `bytes`: what they will write in all, about. */
  requests(options: RequestsOptions, bytes: number): Requests;
}

/** The load of one client. */
export function makeLoad(plan: WorkerPlan): RunningLoad {
  const { load } = plan;
  if (load.kind === 'update') return new UpdateLoad(plan, load);
  if (load.kind === 'churn') return new ChurnLoad(plan, load);
  if (load.kind === 'grow') return new GrowLoad(plan, load.keys);
  return new SearchLoad(plan);
}

const NO_KEYS: KeyList = { count: 0, keyOf: () => 0 };

/** Every coroutine's own random numbers. */
const randomsOf = ({ seed, clientIndex, coroutines }: WorkerPlan): RandomStream[] =>
  Array.from(
    { length: coroutines },
    (_, coroutine) => new RandomStream({ seed, host: 0, process: clientIndex, coroutine }),
  );

/**
 * UPDATEs of keys that all clients share. Of a key it knows at the end that it is there, that its value is
 * whole, and that no update of this client lies behind the value that had ended before another of them began.
 */
class UpdateLoad implements RunningLoad {
  readonly before: KeyList;
  readonly after: KeyList;
  /** By key: values of this client with smaller numbers have been replaced. */
  readonly #least: Float64Array;
  readonly #plan: WorkerPlan;
  readonly #load: Extract<Load, { kind: 'update' }>;

  constructor(plan: WorkerPlan, load: Extract<Load, { kind: 'update' }>) {
    const { clientIndex, clients } = plan;
    this.#plan = plan;
    this.#load = load;
    this.#least = new Float64Array(load.keys);
    this.before = {
      count: Math.ceil((load.keys - clientIndex) / clients),
      keyOf: (n) => n * clients + clientIndex,
      valueBytesOf: (n) => UPDATE_SIZES[n % UPDATE_SIZES.length],
    };
    this.after = {
      count: load.keys,
      keyOf: (n) => n,
      staleFault: (key, writer, number) =>
        writer === clientIndex + 1 && number < this.#least[key]
          ? `has value ${number} of this client, which number ${this.#least[key]} or a later one replaced`
          : null,
    };
  }

  requests(options: RequestsOptions): Requests {
    const { keys, skew } = this.#load;
    const zipfian = zipfKeys('exact', { recordCount: keys });
    const uniform = new UniformKeys({ recordCount: keys });
    const choosers = { zipfian: [zipfian], uniform: [uniform], both: [zipfian, uniform] };
    return new UpdateRequests(options, this.#least, {
      randoms: randomsOf(this.#plan),
      choosers: choosers[skew],
    });
  }
}

class UpdateRequests extends Requests {
  readonly #least: Float64Array;
  readonly #randoms: readonly RandomStream[];
  readonly #choosers: readonly KeyChooser[];
  /** Oldest value in flight when a coroutine's request began: all older ones had ended. */
  readonly #oldest: Float64Array;
  readonly #inFlight: Float64Array;

  constructor(
    options: RequestsOptions,
    least: Float64Array,
    { randoms, choosers }: { randoms: readonly RandomStream[]; choosers: readonly KeyChooser[] },
  ) {
    super(options);
    this.#least = least;
    this.#randoms = randoms;
    this.#choosers = choosers;
    this.#oldest = new Float64Array(options.coroutines);
    this.#inFlight = new Float64Array(options.coroutines).fill(Number.POSITIVE_INFINITY);
  }

  protected choose(i: number): RequestKind {
    const random = this.#randoms[i];
    this.keys[i] = this.#choosers[random.nextUint32() % this.#choosers.length].next(random);
    if (random.nextDouble() < SEARCHES) return RequestKind.SEARCH;
    this.valueBytes[i] = UPDATE_SIZES[random.nextUint32() % UPDATE_SIZES.length];
    const number = this.sequence + 1;
    let oldest = number;
    for (const other of this.#inFlight) if (other < oldest) oldest = other;
    this.#oldest[i] = oldest;
    this.#inFlight[i] = number;
    return RequestKind.UPDATE;
  }

  protected judge(i: number, cx: Context, kind: RequestKind): string | null {
    if (kind === RequestKind.SEARCH) return this.expect(cx, Outcome.OK) ?? this.valueFault(i, cx);
    this.#inFlight[i] = Number.POSITIVE_INFINITY;
    const key = this.keys[i];
    if (cx.outcome === Outcome.OK) this.#least[key] = Math.max(this.#least[key], this.#oldest[i]);
    return this.expect(cx, Outcome.OK);
  }
}

/** INSERT and DELETE of keys that belong to one coroutine each, so that each one's state is known. */
class ChurnLoad implements RunningLoad {
  readonly before: KeyList;
  readonly after: KeyList;
  /** By key, from the client's first on: its value's number; 0: it is not there. */
  readonly #state: Float64Array;
  readonly #first: number;
  readonly #plan: WorkerPlan;
  readonly #shifts: boolean;

  constructor(plan: WorkerPlan, { keysPerCoroutine, shifts }: Extract<Load, { kind: 'churn' }>) {
    this.#plan = plan;
    this.#shifts = shifts;
    const count = plan.coroutines * keysPerCoroutine;
    this.#first = plan.clientIndex * CLIENT_KEYS;
    this.#state = new Float64Array(count);
    const keyOf = (n: number): number => this.#first + n;
    const stateOf = (key: number): number => this.#state[key - this.#first];
    this.before = {
      // Half of them are there at any time.
      count: count >> 1,
      keyOf: (n) => keyOf(2 * n),
      valueBytesOf: (n) => CHURN_SIZES[shifts ? CHURN_COURSE[0] : (n >> 1) & 3][n & 1],
      inserted: (key, number) => {
        this.#state[key - this.#first] = number;
      },
    };
    this.after = {
      count,
      keyOf,
      isPresent: (key) => stateOf(key) !== 0,
      staleFault: (key, writer, number) =>
        writer === plan.clientIndex + 1 && number === stateOf(key)
          ? null
          : `has value ${number} of client ${writer - 1}, not ${stateOf(key)} of ${plan.clientIndex}`,
    };
  }

  requests(options: RequestsOptions, bytes: number): Requests {
    const common = { state: this.#state, first: this.#first, after: this.after, bytes, shifts: this.#shifts };
    return new ChurnRequests(options, { ...common, randoms: randomsOf(this.#plan) });
  }
}

class ChurnRequests extends Requests {
  readonly #state: Float64Array;
  readonly #first: number;
  readonly #after: KeyList;
  readonly #randoms: readonly RandomStream[];
  readonly #perCoroutine: number;
  readonly #bytesMax: number;
  readonly #shifts: boolean;

  constructor(
    options: RequestsOptions,
    of: {
      state: Float64Array;
      first: number;
      after: KeyList;
      bytes: number;
      shifts: boolean;
      randoms: readonly RandomStream[];
    },
  ) {
    super(options);
    this.#state = of.state;
    this.#first = of.first;
    this.#after = of.after;
    this.#randoms = of.randoms;
    this.#perCoroutine = of.state.length / options.coroutines;
    this.#bytesMax = of.bytes;
    this.#shifts = of.shifts;
  }

  protected choose(i: number): RequestKind {
    const random = this.#randoms[i];
    const n = i * this.#perCoroutine + random.nextBelow(this.#perCoroutine);
    this.keys[i] = this.#first + n;
    if (random.nextDouble() < SEARCHES) return RequestKind.SEARCH;
    if (this.#state[n] !== 0) return RequestKind.DELETE;
    const pair = this.#shifts ? this.#pairNow() : random.nextUint32() % CHURN_SIZES.length;
    this.valueBytes[i] = CHURN_SIZES[pair][random.nextUint32() & 1];
    return RequestKind.INSERT;
  }

  #pairNow(): number {
    const tenth = Math.floor((CHURN_COURSE.length * this.bytes) / this.#bytesMax);
    return CHURN_COURSE[Math.min(CHURN_COURSE.length - 1, tenth)];
  }

  protected judge(i: number, cx: Context, kind: RequestKind): string | null {
    const key = this.keys[i];
    const n = key - this.#first;
    if (kind !== RequestKind.SEARCH) {
      if (cx.outcome === Outcome.OK) this.#state[n] = kind === RequestKind.INSERT ? this.numbers[i] : 0;
      return this.expect(cx, Outcome.OK);
    }
    if (this.#state[n] === 0) return this.expect(cx, Outcome.NOT_FOUND);
    return (
      this.expect(cx, Outcome.OK) ??
      this.valueFault(i, cx) ??
      this.#after.staleFault?.(key, this.writerOf(cx), this.numberOf(cx)) ??
      null
    );
  }
}

/** INSERT of one key after the other. */
class GrowLoad implements RunningLoad {
  readonly before: KeyList = NO_KEYS;
  readonly after: KeyList;
  readonly #plan: WorkerPlan;
  readonly #keys: number;

  constructor(plan: WorkerPlan, keys: number) {
    this.#plan = plan;
    this.#keys = keys;
    this.after = { count: keys, keyOf: (n) => plan.clientIndex * CLIENT_KEYS + n };
  }

  requests(options: RequestsOptions): GrowRequests {
    return new GrowRequests(options, this.#plan.clientIndex * CLIENT_KEYS, this.#keys);
  }
}

/** Knows which of its keys are there for sure. */
export class GrowRequests extends Requests {
  readonly #first: number;
  readonly #count: number;
  readonly #inFlight: Float64Array;
  #next = 0;

  constructor(options: RequestsOptions, first: number, count: number) {
    super(options);
    this.#first = first;
    this.#count = count;
    this.#inFlight = new Float64Array(options.coroutines).fill(Number.POSITIVE_INFINITY);
  }

  /** Keys 0 to below this are there. */
  get inserted(): number {
    let oldest = this.#next;
    for (const n of this.#inFlight) if (n < oldest) oldest = n;
    return oldest;
  }

  protected choose(i: number): RequestKind | -1 {
    if (this.#next >= this.#count) return -1;
    this.#inFlight[i] = this.#next;
    this.keys[i] = this.#first + this.#next++;
    this.valueBytes[i] = GROWTH_VALUE_BYTES;
    return RequestKind.INSERT;
  }

  protected judge(i: number, cx: Context): string | null {
    this.#inFlight[i] = Number.POSITIVE_INFINITY;
    return this.expect(cx, Outcome.OK);
  }
}

/** SEARCH of what others have inserted. */
class SearchLoad implements RunningLoad {
  readonly before: KeyList = NO_KEYS;
  readonly after: KeyList = NO_KEYS;
  readonly #plan: WorkerPlan;

  constructor(plan: WorkerPlan) {
    this.#plan = plan;
  }

  requests(options: RequestsOptions): SearchRequests {
    return new SearchRequests(options, randomsOf(this.#plan));
  }
}

/** Keeps when each request was posted and completed, or each second, fourth ... once there are too many. */
export class SearchRequests extends Requests {
  /** Keys that are there for sure, of each client. */
  frontier: readonly number[] = [];
  readonly times: { posted: Float64Array; completed: Float64Array };
  count = 0;
  readonly #randoms: readonly RandomStream[];
  #stride = 1;
  #skipped = 0;

  constructor(options: RequestsOptions, randoms: readonly RandomStream[], capacity = 1 << 22) {
    super(options);
    this.#randoms = randoms;
    this.times = { posted: new Float64Array(capacity), completed: new Float64Array(capacity) };
  }

  protected choose(i: number): RequestKind | -1 {
    const random = this.#randoms[i];
    const client = random.nextUint32() % Math.max(1, this.frontier.length);
    const inserted = this.frontier[client] ?? 0;
    if (inserted === 0) return -1;
    this.keys[i] = client * CLIENT_KEYS + random.nextBelow(inserted);
    return RequestKind.SEARCH;
  }

  protected judge(i: number, cx: Context): string | null {
    return this.expect(cx, Outcome.OK) ?? this.valueFault(i, cx);
  }

  protected override time(postedNs: number, completedNs: number): void {
    if (++this.#skipped < this.#stride) return;
    this.#skipped = 0;
    const { posted, completed } = this.times;
    if (this.count === posted.length) {
      this.count >>= 1;
      this.#stride *= 2;
      for (let i = 0; i < this.count; i++) {
        posted[i] = posted[2 * i];
        completed[i] = completed[2 * i];
      }
    }
    posted[this.count] = postedNs;
    completed[this.count++] = completedNs;
  }
}
