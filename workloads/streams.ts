/** Makes request streams. One implementation makes them for every system and every fabric under test. */
import {
  type Flavour,
  flavours,
  type KeyChooser,
  latestRanks,
  recordCountMax,
  UniformKeys,
  zipfKeys,
} from './distributions.js';
import { requireInteger, requireOneOf, WorkloadError } from './errors.js';
import { clientCountMax, coroutineCountMax, strideKeyCount, strideOf } from './key-space.js';
import { RandomStream } from './random.js';
import {
  hashedStream,
  RequestKind,
  type RequestStream,
  requestCountMax,
  valueBytesDefault,
  valueBytesMax,
} from './requests.js';
import type { RequestShares, WorkloadSpec } from './spec.js';

/** The sizes, the seed and the place of one stream. */
export interface StreamOptions {
  /** The count of loaded keys; the micro workloads, which use private keys only, allow 0. */
  readonly recordCount: number;
  /** The length of the stream. */
  readonly requestCount: number;
  readonly flavour: Flavour;
  /** The seed, host, process and coroutine identify the random numbers; see `RandomIdentity`. */
  readonly seed: number;
  readonly host: number;
  readonly process: number;
  readonly coroutine: number;
  /** The index of the client among all clients of the run, which decides the keys it inserts. */
  readonly clientIndex: number;
  readonly clientCount: number;
  /** The size of the values in bytes; `valueBytesDefault` unless told. */
  readonly valueBytes?: number;
  /** The skew of zipfian and latest; 0.99 unless told. */
  readonly theta?: number;
  /**
   * How many keys of its stride this coroutine inserted in earlier phases; 0 unless told. INSERT goes on
   * after them; UPDATE, SEARCH and DELETE of the micro workloads use them.
   */
  readonly insertedBefore?: number;
  /** How many of those, from the first on, earlier phases deleted; 0 unless told. */
  readonly deletedBefore?: number;
}

/**
 * The stream of one coroutine of one client. Its memory is 10 bytes a request. Throws `WorkloadError` for
 * options out of range, and for the workload `trace`, whose streams come from `traceStream`.
 */
export function generateStream(spec: WorkloadSpec, options: StreamOptions): RequestStream {
  if (spec.keySpace === 'trace') {
    throw new WorkloadError(
      `workload '${spec.name}' is not generated: read its file with readTrace, then ask traceStream`,
    );
  }
  checkOptions(spec, options);
  const count = options.requestCount;
  const kinds = new Uint8Array(count);
  const keys = new Float64Array(count);
  const fromLatest = new Uint8Array(count);
  if (spec.keySpace === 'private') fillPrivate(spec, options, { kinds, keys });
  else if (spec.distribution === 'latest') fillLatest(spec, options, { kinds, keys, fromLatest });
  else fillShared(spec, options, { kinds, keys });
  return hashedStream({ kinds, keys, fromLatest, valueBytes: options.valueBytes ?? valueBytesDefault });
}

function checkOptions(spec: WorkloadSpec, options: StreamOptions): void {
  const { clientCount, insertedBefore = 0, deletedBefore = 0 } = options;
  requireInteger('record count', options.recordCount, {
    min: spec.keySpace === 'private' ? 0 : 1,
    max: recordCountMax,
    wayOut: `workload '${spec.name}' chooses among the loaded keys`,
  });
  requireInteger('request count', options.requestCount, {
    min: 1,
    max: requestCountMax,
    wayOut: 'a stream without INSERT or DELETE can be played more than once',
  });
  requireOneOf('flavour', options.flavour, flavours);
  requireInteger('client count', clientCount, { min: 1, max: clientCountMax });
  requireInteger('client index', options.clientIndex, { min: 0, max: clientCount - 1 });
  requireInteger('coroutine', options.coroutine, { min: 0, max: coroutineCountMax - 1 });
  requireInteger('value size in bytes', options.valueBytes ?? valueBytesDefault, {
    min: 1,
    max: valueBytesMax,
  });
  requireInteger('count of keys inserted before', insertedBefore, { min: 0, max: strideKeyCount });
  requireInteger('count of keys deleted before', deletedBefore, {
    min: 0,
    max: insertedBefore,
    wayOut: 'only inserted keys can have been deleted',
  });
}

/** A, B, C, F and mix: the keys are loaded ones. */
function fillShared(
  spec: WorkloadSpec,
  options: StreamOptions,
  to: { kinds: Uint8Array; keys: Float64Array },
): void {
  const chooser: KeyChooser =
    spec.distribution === 'uniform' ? new UniformKeys(options) : zipfKeys(options.flavour, options);
  const random = new RandomStream(options);
  const kindChooser = new KindChooser(spec.shares);
  for (let i = 0; i < to.kinds.length; i++) {
    to.kinds[i] = kindChooser.kindOf(random.nextDouble());
    to.keys[i] = chooser.next(random);
  }
}

/**
 * D: inserts go up the coroutine's stride, and searches carry a rank from the newest key. The ranks at one
 * place are drawn over the keys that exist by then as far as this stream knows: the loaded ones and its own
 * inserts.
 */
function fillLatest(
  spec: WorkloadSpec,
  options: StreamOptions,
  to: { kinds: Uint8Array; keys: Float64Array; fromLatest: Uint8Array },
): void {
  const ranks = latestRanks(options.flavour, options);
  const random = new RandomStream(options);
  const kindChooser = new KindChooser(spec.shares);
  const fresh = new FreshKeys(options);
  for (let i = 0; i < to.kinds.length; i++) {
    const kind = kindChooser.kindOf(random.nextDouble());
    to.kinds[i] = kind;
    if (kind === RequestKind.INSERT) {
      to.keys[i] = fresh.next();
      ranks.grow(ranks.count + 1);
    } else {
      to.keys[i] = ranks.next(random);
      to.fromLatest[i] = 1;
    }
  }
}

/** The micro workloads: one kind, on keys of the coroutine's own stride. */
function fillPrivate(
  spec: WorkloadSpec,
  options: StreamOptions,
  to: { kinds: Uint8Array; keys: Float64Array },
): void {
  const { requestCount, insertedBefore = 0, deletedBefore = 0 } = options;
  const kind = new KindChooser(spec.shares).kindOf(0);
  to.kinds.fill(kind);
  if (kind === RequestKind.INSERT) {
    const fresh = new FreshKeys(options);
    for (let i = 0; i < requestCount; i++) to.keys[i] = fresh.next();
    return;
  }
  const present = insertedBefore - deletedBefore;
  const needed = kind === RequestKind.DELETE ? requestCount : 1;
  if (present < needed) {
    throw new WorkloadError(
      `workload '${spec.name}' needs ${needed} keys inserted by this coroutine, and there are ${present}: ` +
        'run micro-insert first and pass its request count as insertedBefore' +
        (kind === RequestKind.DELETE ? ', or lower the request count: each key is deleted once' : ''),
    );
  }
  const first = strideOf(options).first + deletedBefore;
  const random = new RandomStream(options);
  const uniform = spec.distribution === 'uniform';
  for (let i = 0; i < requestCount; i++) {
    to.keys[i] = first + (uniform ? random.nextBelow(present) : i % present);
  }
}

/** Hands out the keys of a coroutine's stride that no phase has inserted yet, in order. */
class FreshKeys {
  #next: number;
  readonly #end: number;

  constructor(options: StreamOptions) {
    const stride = strideOf(options);
    this.#next = stride.first + (options.insertedBefore ?? 0);
    this.#end = stride.first + stride.count;
  }

  next(): number {
    if (this.#next === this.#end) {
      throw new WorkloadError(
        `a coroutine inserts at most ${strideKeyCount} keys in one run: lower the request count, ` +
          'or spread it over more coroutines',
      );
    }
    return this.#next++;
  }
}

/**
 * Chooses kinds by their shares: one uniform number against the cumulative shares in the order of YCSB's
 * `DiscreteGenerator` (read, update, insert, read-modify-write), and DELETE last, which YCSB does not have.
 */
class KindChooser {
  readonly #kinds: RequestKind[] = [];
  readonly #limits: number[] = [];

  constructor(shares: RequestShares) {
    this.#add(RequestKind.SEARCH, shares.search);
    this.#add(RequestKind.UPDATE, shares.update);
    this.#add(RequestKind.INSERT, shares.insert);
    this.#add(RequestKind.READ_MODIFY_WRITE, shares.readModifyWrite);
    this.#add(RequestKind.DELETE, shares.remove);
    // Whatever rounding left of the shares belongs to the last kind, so that every number finds one.
    this.#limits[this.#limits.length - 1] = 1;
  }

  kindOf(uniform: number): RequestKind {
    let i = 0;
    while (uniform >= this.#limits[i]) i++;
    return this.#kinds[i];
  }

  #add(kind: RequestKind, share: number): void {
    if (share <= 0) return;
    const before = this.#limits.length === 0 ? 0 : this.#limits[this.#limits.length - 1];
    this.#kinds.push(kind);
    this.#limits.push(before + share);
  }
}
