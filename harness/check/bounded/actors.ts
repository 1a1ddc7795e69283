/** Actors that run the product's generators: clients with programs of requests, and single operations. */
import { type CacheOptions, IndexCache } from '../../../fusee/index/index.js';
import type { View } from '../../../fusee/layout/index.js';
import {
  ClientState,
  type Context,
  type Coroutine,
  continueRequest,
  type Decisions,
  makeCoroutine,
  Outcome,
  RequestKind,
} from '../../../fusee/ops/index.js';
import { Recovered, recoverRequest } from '../../../fusee/recovery/index.js';
import { DONE, type LocalMemory, type Op, type OpLoop, type VerbBatch } from '../../../fusee/verbs/index.js';
import type { Operation } from '../linearizability/index.js';
import { type BoundedPool, CLIENT_BYTES } from './pool.js';
import type { HistoryRecorder } from './recorder.js';
import type { Actor } from './world.js';

/** No cache, so that nothing but memory tells a request where its key is. */
const NO_CACHE: CacheOptions = { bytes: 0, keyBytes: 32, threshold: 1 };

/** A cell that a request has taken. */
export interface TakenCell {
  /** Pointer of its last line, which holds the log entry. */
  readonly cell: number;
  readonly sizeClass: number;
}

/** One client of a pool: what its coroutines and its background work share. */
export class Host {
  readonly pool: BoundedPool;
  readonly cid: number;
  /** Name of its actors' group. */
  readonly group: string;
  readonly local: LocalMemory;
  readonly state: ClientState;
  readonly coroutines: readonly Coroutine[];
  /** Cells taken by each coroutine, in order. */
  readonly taken: TakenCell[][];

  /** A client with the blocks that the set-up has granted to its id. */
  constructor(
    pool: BoundedPool,
    options: {
      cid: number;
      coroutines?: number;
      cache?: CacheOptions;
      local?: LocalMemory;
      /** A view of its own, where views change. @default the pool's */
      view?: View;
    },
  ) {
    const { cid, coroutines = 1, cache = NO_CACHE, view = pool.view } = options;
    this.pool = pool;
    this.cid = cid;
    this.group = `client ${cid}`;
    this.local = options.local ?? pool.memory(coroutines * CLIENT_BYTES);
    this.state = new ClientState({ view, local: this.local, cache: new IndexCache(cache), cid, coroutines });
    for (const { sizeClass, pointer, lists } of pool.blocksOf(cid)) {
      this.state.slab.addBlock(sizeClass, pointer);
      for (let c = 0; c < Math.min(lists, coroutines); c++) {
        this.state.slab.open(c, sizeClass);
        this.state.slab.opened(c, sizeClass);
      }
    }
    this.coroutines = Array.from({ length: coroutines }, (_, i) => makeCoroutine(this.state, i));
    this.taken = this.coroutines.map(({ cx }) => noteCells(cx));
  }
}

/** Listens to the cells that a coroutine takes, without changing anything. */
function noteCells(cx: Context): TakenCell[] {
  const taken: TakenCell[] = [];
  const { takeCell } = cx;
  cx.takeCell = (operation) => {
    const took = takeCell.call(cx, operation);
    if (took) taken.push({ cell: cx.cell, sizeClass: cx.sizeClass });
    return took;
  };
  return taken;
}

/** One request of a program. */
export interface Request {
  readonly kind: RequestKind;
  /** Index of the key in the pool's keys. */
  readonly key: number;
  /** First byte of the value that it writes: 1 to 255. */
  readonly value: number;
  /** Bytes of the value beyond that, zeroes. @default 0 */
  readonly moreBytes?: number;
}

/** How a client's coroutine serves its program. */
export interface ClientOptions {
  readonly program: readonly Request[];
  readonly recorder: HistoryRecorder;
  /** Number of the coroutine. @default 0 */
  readonly coroutine?: number;
  /** Loops in place of the product's, by kind of request: naive ones, for tests that must see them fail. */
  readonly loops?: (cx: Context) => readonly (OpLoop | undefined)[];
  /** Which of several free slots an INSERT takes; any may be taken. @default as the key's hash says */
  readonly vacancy?: number;
  readonly mayCrash?: boolean;
}

/** One coroutine of a client, with its program. */
export class ClientActor implements Actor {
  readonly name: string;
  readonly group: string;
  readonly mayCrash: boolean;
  readonly host: Host;
  readonly #coroutine: Coroutine;
  readonly #naive: readonly (OpLoop | undefined)[];
  /** The rest of a request that a change of the view has interrupted. */
  #rest: OpLoop | undefined;
  readonly #program: readonly Request[];
  readonly #recorder: HistoryRecorder;
  readonly #asker: number;
  #request = -1;
  /** Row of the request in hand; -1: none of its verbs has executed. */
  #row = -1;
  #told = '';

  constructor(host: Host, options: ClientOptions) {
    const { coroutine = 0, vacancy } = options;
    this.host = host;
    this.group = host.group;
    this.name = host.coroutines.length === 1 ? host.group : `${host.group}.${coroutine}`;
    this.mayCrash = options.mayCrash ?? true;
    this.#coroutine = host.coroutines[coroutine];
    this.#program = options.program;
    this.#recorder = options.recorder;
    this.#asker = host.cid * 256 + coroutine;
    const { cx } = this.#coroutine;
    this.#naive = options.loops?.(cx) ?? [];
    if (vacancy !== undefined) takeVacancy(cx, vacancy);
  }

  next(): VerbBatch | null {
    this.#told = '';
    if (this.#request < 0 && !this.#stage()) return null;
    for (;;) {
      const { kind } = this.#program[this.#request];
      const loop = this.#rest ?? this.#naive[kind] ?? this.#coroutine.loops[kind];
      const batch = loop.next().value;
      if (batch !== DONE) return batch;
      this.#rest = undefined;
      this.#complete();
      if (!this.#stage()) return null;
    }
  }

  executed(): void {
    if (this.#row < 0) this.#begin();
  }

  /** The request in hand goes on in another view. */
  interrupt(decided: Decisions): void {
    this.#rest = continueRequest(this.#coroutine, this.#program[this.#request].kind, decided);
  }

  told(): string {
    return this.#told;
  }

  #begin(): void {
    const { kind, key, value } = this.#program[this.#request];
    this.#row = this.#recorder.begin({ asker: this.#asker, key, operation: kind as Operation, value });
  }

  #stage(): boolean {
    if (++this.#request >= this.#program.length) return false;
    const { key, value, moreBytes = 0 } = this.#program[this.#request];
    const { cx } = this.#coroutine;
    const { bytes } = this.host.local;
    const keyBytes = this.host.pool.keyBytes(key);
    bytes.set(keyBytes, cx.keyAt);
    bytes[cx.keyAt + keyBytes.length] = value;
    bytes.fill(0, cx.keyAt + keyBytes.length + 1, cx.keyAt + keyBytes.length + 1 + moreBytes);
    cx.keyBytes = keyBytes.length;
    cx.valueBytes = 1 + moreBytes;
    this.#row = -1;
    return true;
  }

  #complete(): void {
    if (this.#row < 0) this.#begin();
    const { cx } = this.#coroutine;
    const { kind, key, value } = this.#program[this.#request];
    const isFound = kind === RequestKind.SEARCH && cx.outcome === Outcome.OK;
    const found = isFound ? this.host.local.bytes[cx.foundAt] : undefined;
    this.#recorder.end(this.#row, cx.outcome, found);
    const writes = kind !== RequestKind.SEARCH && kind !== RequestKind.DELETE;
    const asked = `${nameOf(RequestKind, kind)} ${this.host.pool.keys[key]}${writes ? ` = ${value}` : ''}`;
    this.#told += `${this.#told === '' ? '' : ', '}answers ${asked}: ${nameOf(Outcome, cx.outcome)}`;
    if (found !== undefined) this.#told += `, ${found}`;
  }
}

/** Lets the INSERTs of a coroutine take another free slot than their key's hash says. */
function takeVacancy(cx: Context, vacancy: number): void {
  const { begin } = cx;
  cx.begin = () => {
    begin.call(cx);
    cx.place.placeHash = ((cx.place.placeHash & ~(127 << 17)) | (vacancy << 17)) >>> 0;
  };
}

const nameOf = (names: Readonly<Record<string, number>>, value: number): string =>
  Object.keys(names).find((name) => names[name] === value) ?? String(value);

/** What runs besides requests. */
export interface OpOptions {
  readonly name: string;
  /** The group of the client whose work it is. @default a group of its own */
  readonly group?: string;
  readonly mayCrash?: boolean;
  /** It need not end. */
  readonly isDaemon?: boolean;
  /** The generator: an operation, or a loop of which one call is run. */
  readonly op: Op<unknown> | OpLoop;
}

/** A single operation, or a client's background loop. */
export class OpActor implements Actor {
  readonly name: string;
  readonly group: string;
  readonly mayCrash: boolean;
  readonly isDaemon: boolean;
  readonly #op: Iterator<VerbBatch | null, unknown, undefined>;

  constructor(options: OpOptions) {
    this.name = options.name;
    this.group = options.group ?? options.name;
    this.mayCrash = options.mayCrash ?? false;
    this.isDaemon = options.isDaemon ?? false;
    this.#op = options.op;
  }

  next(): VerbBatch | null {
    const { done, value } = this.#op.next();
    return done === true ? null : (value as VerbBatch | null);
  }
}

/**
 * The recovery of a dead client's requests in flight, by another client: of each coroutine the newest object
 * first, and the one before as long as there was nothing.
 */
export function recoveryOf(dead: Host, options: { mayCrash?: boolean } = {}): OpActor {
  const recoverer = new Host(dead.pool, { cid: 100 + dead.cid });
  const { cx } = recoverer.coroutines[0];
  return new OpActor({ name: `recovery of ${dead.group}`, op: recoverAll(cx, dead.taken), ...options });
}

function* recoverAll(cx: Context, taken: readonly (readonly TakenCell[])[]): Op<void> {
  for (const cells of taken) {
    for (const cell of [...cells].reverse())
      if ((yield* recoverRequest(cx, cell)) !== Recovered.DROPPED) break;
  }
}
