/**
 * The public client: promises at the edge, the reactor behind them.
 *
 * @example
 * const client = await connect({ pool: 'demo' });
 * await client.insert('user1', 'Ada');
 * const result = await client.search('user1');
 * if (result.outcome === 'OK') console.log(Buffer.from(result.value).toString());
 * await client.close();
 */
import type { Fabric } from '../fabric/contract.js';
import { type Geometry, HEADER_BYTES, type PoolConfig } from '../layout/index.js';
import { RpcOperation } from '../memory/index.js';
import {
  type ClientState,
  type Coroutine,
  leavesHalfDone,
  makeCoroutine,
  Outcome,
  RequestKind,
} from '../ops/index.js';
import { FabricError, Ledger, type OpLoop, UsageError } from '../verbs/index.js';
import { call } from './call.js';
import { checkLengths, checkQueueLimit, QUEUE_LIMIT_DEFAULT } from './limits.js';
import { Reactor } from './reactor.js';
import { DEFAULT_DEADLINE_NS, type RequestSource } from './request-source.js';
import { enter, leave, rest, type Session, tidy } from './session.js';

/** A key or a value: bytes, or a string taken as UTF-8, which must be well-formed. */
export type Bytes = Uint8Array | string;

/**
 * How a request ended. UNAVAILABLE: a replica was silent or the deadline passed, and the request may or may
 * not have taken effect. NO_MEMORY and INDEX_FULL: it had no effect.
 */
export type SearchResult =
  | { readonly outcome: 'OK'; readonly value: Uint8Array }
  | { readonly outcome: 'NOT_FOUND' | 'UNAVAILABLE' };
export type InsertResult = { readonly outcome: 'OK' | 'EXISTS' | 'NO_MEMORY' | 'INDEX_FULL' | 'UNAVAILABLE' };
export type UpdateResult = { readonly outcome: 'OK' | 'NOT_FOUND' | 'NO_MEMORY' | 'UNAVAILABLE' };
export type DeleteResult = UpdateResult;
export type PutResult = { readonly outcome: 'OK' | 'NO_MEMORY' | 'INDEX_FULL' | 'UNAVAILABLE' };

const OUTCOME_NAMES = Object.fromEntries(Object.entries(Outcome).map(([name, value]) => [value, name]));

/** The name of an outcome. */
export const outcomeName = (outcome: Outcome): string => OUTCOME_NAMES[outcome];

interface Pending {
  readonly kind: RequestKind;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  resolve(result: never): void;
  reject(error: unknown): void;
}

const NOTHING = new Uint8Array(0);
/**
 * A copy: the caller may change its bytes while the request waits. (A Buffer's own `slice` would share them.)
 */
function toBytes(what: string, b: Bytes): Uint8Array {
  if (typeof b === 'string') {
    if (b.isWellFormed()) return Buffer.from(b, 'utf8');
    // Each would become U+FFFD, and different keys one.
    throw new UsageError(
      `the ${what} has a lone surrogate, which UTF-8 cannot hold; give its bytes as a Uint8Array`,
    );
  }
  if (b instanceof Uint8Array) return Uint8Array.prototype.slice.call(b);
  throw new UsageError(`the ${what} is ${b === null ? 'null' : typeof b}; give a Uint8Array or a string`);
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Turns of the reactor between two looks at the clock. */
const TURNS = 32;
/** The event loop gets a turn at least this often while requests are in flight. */
const SLICE_NS = 1e6;

/** A client without requests for so long rests; it enters again, at the price of two round trips. */
const IDLE_MS = 10;
/** From one look of a resting client at what others have freed in its blocks to the next. */
const TIDY_MS = 1000;

/** Exact counts of what a client has done so far. */
export interface ClientStats {
  /** Per kind of request: how many, and what they cost. */
  readonly requests: Readonly<
    Record<'search' | 'insert' | 'update' | 'delete' | 'put', Ledger & { count: number }>
  >;
  /** What no request waited for: memory freed and taken back, splits, announcements. */
  readonly background: { rtts: number; verbs: number; bytes: number };
  readonly cache: { hits: number; misses: number; bypassed: number; bytes: number };
  readonly blocks: number;
}

/** What {@link Client.poolStats} tells. */
export interface PoolStats {
  readonly config: PoolConfig;
  /** This client's id. */
  readonly cid: number;
  /** Blocks that each node has handed out, of {@link blocksPerNode}. */
  readonly blocksUsed: readonly number[];
  readonly blocksPerNode: number;
}

/**
 * A client of a pool. Requests may be issued without waiting for each other: as many run at once as the
 * client has coroutines, the rest queue, up to a limit. Not for use from several threads.
 */
export class Client implements RequestSource {
  readonly #session: Session;
  readonly #fabric: Fabric;
  readonly #state: ClientState;
  readonly #reactor: Reactor;
  /** Requests that wait, from {@link #first} on: `shift` would move all of a long queue for each one. */
  #queue: Pending[] = [];
  #first = 0;
  readonly #queueLimit: number;
  readonly #serving: (Pending | null)[];
  readonly #ledgers = Array.from({ length: 5 }, () => Object.assign(new Ledger(), { count: 0 }));
  #failure: unknown = null;
  #running = false;
  /** A call outside the reactor polls the fabric: nothing else may. Further calls wait. */
  #calling = false;
  #calls = 0;
  #closed = false;
  /** Fires when the client has had nothing to do for a while. */
  #idle: NodeJS.Timeout | undefined;
  #closing: Promise<void> | null = null;

  /** Use {@link connect}; this one is for sessions made by hand. */
  constructor(session: Session, options: { deadlineMs?: number; queueLimit?: number } = {}) {
    const { fabric, state, janitor } = session;
    this.#session = session;
    this.#fabric = fabric;
    this.#queueLimit = options.queueLimit ?? QUEUE_LIMIT_DEFAULT;
    checkQueueLimit(this.#queueLimit);
    this.#state = state;
    const coroutines = Array.from({ length: state.coroutines }, (_, i) => makeCoroutine(state, i));
    this.#serving = new Array<Pending | null>(coroutines.length).fill(null);
    const deadlineNs = options.deadlineMs === undefined ? DEFAULT_DEADLINE_NS : options.deadlineMs * 1e6;
    const { failover = null } = session;
    this.#reactor = new Reactor(fabric, coroutines, this, { deadlineNs, janitor, failover });
  }

  /** The pool's geometry: limits and replication factors. */
  get geometry(): Geometry {
    return this.#state.view.geometry;
  }

  /** This client's id in the pool. */
  get cid(): number {
    return this.#state.cid;
  }

  /** Reads a key's value. @throws UsageError when the key is out of limits, or too many requests wait. */
  search(key: Bytes): Promise<SearchResult> {
    return this.#request(RequestKind.SEARCH, key, NOTHING);
  }

  /** Adds a key that is not there. @throws UsageError when key or value is out of limits. */
  insert(key: Bytes, value: Bytes): Promise<InsertResult> {
    return this.#request(RequestKind.INSERT, key, value);
  }

  /** Replaces the value of a key that is there. @throws UsageError when key or value is out of limits. */
  update(key: Bytes, value: Bytes): Promise<UpdateResult> {
    return this.#request(RequestKind.UPDATE, key, value);
  }

  /** Removes a key. @throws UsageError when the key is out of limits. */
  delete(key: Bytes): Promise<DeleteResult> {
    return this.#request(RequestKind.DELETE, key, NOTHING);
  }

  /** Sets a key's value whether it is there or not. @throws UsageError when key or value is out of limits. */
  put(key: Bytes, value: Bytes): Promise<PutResult> {
    return this.#request(RequestKind.PUT, key, value);
  }

  /** What this client has done so far. */
  stats(): ClientStats {
    const [search, insert, update, remove, put] = this.#ledgers;
    const { cache, slab } = this.#state;
    return {
      requests: { search, insert, update, delete: remove, put },
      background: { ...this.#session.janitor.work },
      cache: { hits: cache.hits, misses: cache.misses, bypassed: cache.bypassed, bytes: cache.bytes },
      blocks: slab.blocks,
    };
  }

  /** What the pool is made of, and how many blocks each of its nodes has handed out. @throws FabricError. */
  async poolStats(): Promise<PoolStats> {
    const { config } = this.geometry;
    const blocksUsed: number[] = [];
    this.#requireUsable();
    await this.#alone(async () => {
      for (let mn = 0; mn < config.nodes; mn++) {
        const answer = await call(this.#fabric, mn, { operation: RpcOperation.STATS, cid: this.cid });
        blocksUsed.push(answer.value);
      }
    });
    return {
      config,
      cid: this.cid,
      blocksUsed,
      blocksPerNode: config.regionsPerNode * this.geometry.blocksPerRegion,
    };
  }

  /** Waits for all requests issued so far, then leaves the pool. Nodes that have died do not keep it. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle);
    while (this.#running || this.#calls > 0) await nextTurn();
    // A client that failed may have left requests half done: it keeps its place, as one that has crashed
    // does, until recovery has seen to them.
    const hasLeft = this.#failure === null && (await leave(this.#session));
    this.#fabric.close();
    if (!hasLeft) this.#session.resign?.();
  }

  /** Runs a task that polls the fabric itself, while nothing else does. */
  async #alone(task: () => Promise<void>): Promise<void> {
    this.#calls++;
    while (this.#calling) await nextTurn();
    // From now on no request starts, so those in flight come to an end.
    this.#calling = true;
    try {
      while (this.#running) await nextTurn();
      if (this.#failure !== null) throw this.#failure;
      await task();
    } finally {
      this.#calling = false;
      this.#calls--;
      this.#schedule();
    }
  }

  /** @internal */
  next(coroutine: Coroutine): OpLoop | null {
    if (this.#calling || this.#first === this.#queue.length) return null;
    const pending = this.#queue[this.#first++];
    // Half of the queue is behind us: let it go.
    if (this.#first * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    const { cx } = coroutine;
    this.#serving[cx.coroutine] = pending;
    const at = cx.object + HEADER_BYTES;
    this.#state.local.bytes.set(pending.key, at);
    this.#state.local.bytes.set(pending.value, at + pending.key.length);
    cx.keyBytes = pending.key.length;
    cx.valueBytes = pending.value.length;
    return coroutine.loops[pending.kind];
  }

  /** @internal */
  ended(coroutine: Coroutine): void {
    const { cx } = coroutine;
    const pending = this.#serving[cx.coroutine] as Pending;
    this.#serving[cx.coroutine] = null;
    this.#ledgers[pending.kind].count++;
    const outcome = outcomeName(cx.outcome);
    const value =
      pending.kind === RequestKind.SEARCH && cx.outcome === Outcome.OK
        ? this.#state.local.bytes.slice(cx.foundAt, cx.foundAt + cx.foundBytes)
        : undefined;
    pending.resolve((value === undefined ? { outcome } : { outcome, value }) as never);
    if (cx.outcome === Outcome.UNAVAILABLE && this.#state.hasMaster && leavesHalfDone(cx)) this.#giveUp();
  }

  /** What a request has left half done holds others up: the master must have this client recovered. */
  #giveUp(): void {
    this.#fail(
      new FabricError(
        'a request has met a node that neither answers nor is dead, and may be half done: ' +
          'this client has given itself up to be recovered; connect again',
      ),
    );
  }

  /** @internal */
  ledger(coroutine: Coroutine): Ledger {
    return this.#ledgers[(this.#serving[coroutine.cx.coroutine] as Pending).kind];
  }

  #request<T>(kind: RequestKind, key: Bytes, value: Bytes): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#requireUsable();
      this.#requireRoom();
      const keyBytes = toBytes('key', key);
      const valueBytes = toBytes('value', value);
      checkLengths(this.geometry, keyBytes.length, valueBytes.length);
      this.#queue.push({
        kind,
        key: keyBytes,
        value: valueBytes,
        resolve: resolve as (r: never) => void,
        reject,
      });
      this.#schedule();
    });
  }

  #requireUsable(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#closed) throw new UsageError('the client is closed; connect again');
  }

  /** Whoever issues requests faster than they end hears of it, before memory runs out. */
  #requireRoom(): void {
    const waiting = this.#queue.length - this.#first;
    if (waiting < this.#queueLimit) return;
    throw new UsageError(
      `${waiting} requests wait, as many as queueLimit lets; ` +
        'await some before issuing more, or raise queueLimit',
    );
  }

  /** Lets the reactor run, unless it does, or a call has the fabric to itself. */
  #schedule(): void {
    if (this.#running || this.#calling || this.#queue.length === 0) return;
    this.#running = true;
    clearTimeout(this.#idle);
    if (this.#state.grace.isActive) setImmediate(() => this.#run());
    else
      enter(this.#session).then(
        () => this.#run(),
        (error: unknown) => {
          this.#fail(error);
          this.#running = false;
        },
      );
  }

  /** Nobody is to wait for a client that has nothing to do. */
  #restSoon(): void {
    const { grace } = this.#state;
    clearTimeout(this.#idle);
    if (this.#closed) return;
    this.#idle = setTimeout(
      () => {
        if (this.#running || this.#calling || this.#closed) return;
        this.#alone(() => (grace.isActive ? rest(this.#session) : tidy(this.#session))).then(
          () => this.#restSoon(),
          (error: unknown) => this.#fail(error),
        );
      },
      grace.isActive ? IDLE_MS : TIDY_MS,
    ).unref();
  }

  #run(): void {
    try {
      this.#session.failover?.drivenBy(this.#reactor);
      this.#reactor.wake();
      const isBusy = (): boolean => this.#reactor.active > 0 || !this.#reactor.isQuiet;
      for (const end = this.#fabric.nowNs() + SLICE_NS; isBusy(); ) {
        for (let i = 0; i < TURNS && isBusy(); i++) this.#reactor.turn();
        if (this.#fabric.nowNs() > end) break;
      }
    } catch (error) {
      this.#fail(error);
    }
    const isBusy = this.#reactor.active > 0 || !this.#reactor.isQuiet;
    this.#running = (isBusy || (this.#queue.length > 0 && !this.#calling)) && this.#failure === null;
    if (this.#running) setImmediate(() => this.#run());
    else if (this.#failure === null) this.#restSoon();
  }

  /** The master has declared this client dead. */
  expelled(
    why = "the pool's master has declared this client dead, since it did not renew its lease in time; connect again",
  ): void {
    this.#fail(new FabricError(why));
  }

  /** Bytes were wrong or the fabric broke: nothing of this client can be trusted any more. */
  #fail(error: unknown): void {
    this.#failure = error;
    for (const pending of this.#serving) pending?.reject(error);
    for (let i = this.#first; i < this.#queue.length; i++) this.#queue[i].reject(error);
    this.#queue = [];
    this.#first = 0;
  }
}
