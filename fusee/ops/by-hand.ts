/** A client moved by hand, batch by batch or verb by verb: for tests of interleavings. */
import { stage } from '../client/sequential.js';
import { executeVerb } from '../fabric/execute-verb.js';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import {
  type CacheOptions,
  DEFAULT_CACHE,
  IndexCache,
  keyMemory,
  keyPlace,
  locateKey,
} from '../index/index.js';
import { classOfLines, Geometry, LogOperation, objectLines, type PoolConfig, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { Ledger, type OpLoop, type VerbBatch, type Word, word } from '../verbs/index.js';
import { ClientState, type Context, type Coroutine, makeCoroutine, Outcome, RequestKind } from './index.js';
import { openList } from './obtain-cell.js';

/** Small: tests make hundreds of clients. */
const CACHE: CacheOptions = { ...DEFAULT_CACHE, bytes: 1 << 16 };

/** One coroutine of a client of its own. `batch` is what it waits for, or undefined between requests. */
export class ByHand {
  readonly coroutine: Coroutine;
  readonly cx: Context;
  readonly nodes: MemoryNodes;
  batch: VerbBatch | undefined;
  /** Costs of the latest request. */
  ledger = new Ledger();
  #loop: OpLoop | undefined;

  /** @param options.sibling of the same client: the next coroutine of it, if it was made with so many. */
  constructor(
    nodes: MemoryNodes,
    options: {
      view: View;
      cid: number;
      cache?: CacheOptions;
      coroutines?: number;
      sibling?: { of: ByHand; index: number };
    },
  ) {
    const { cid, view, coroutines = 1, sibling } = options;
    const make = (): ClientState => {
      const { local } = new MemoryFabric(nodes);
      const cache = new IndexCache(options.cache ?? CACHE);
      return new ClientState({ view, local, cache, cid, coroutines });
    };
    this.nodes = nodes;
    this.coroutine = makeCoroutine(sibling?.of.cx.client ?? make(), sibling?.index ?? 0);
    this.cx = this.coroutine.cx;
  }

  /**
   * Fetches a block for objects of this size and opens their log list, so that requests cost what the
   * protocol says.
   */
  warm(keyBytes: number, valueBytes: number): this {
    const { cx } = this;
    cx.sizeClass = classOfLines(objectLines(keyBytes, valueBytes));
    for (const steps of [cx.allocator.refill(cx.sizeClass), openList(cx, LogOperation.INSERT)]) {
      for (let step = steps.next(); !step.done; step = steps.next()) {
        for (let i = 0; i < step.value.count; i++) executeVerb(this.nodes, step.value, i);
      }
    }
    return this;
  }

  /** Begins a request: its first batch waits in {@link batch}. */
  begin(kind: RequestKind, key: string, value = ''): this {
    stage(this.coroutine, Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'));
    this.ledger = new Ledger();
    this.#loop = this.coroutine.loops[kind];
    return this.#next();
  }

  insert = (key: string, value = ''): this => this.begin(RequestKind.INSERT, key, value);
  update = (key: string, value = ''): this => this.begin(RequestKind.UPDATE, key, value);
  delete = (key: string): this => this.begin(RequestKind.DELETE, key);
  search = (key: string): this => this.begin(RequestKind.SEARCH, key);
  put = (key: string, value = ''): this => this.begin(RequestKind.PUT, key, value);

  /** Executes the given verbs of the batch, or all, without telling the coroutine. */
  execute(verbs?: readonly number[]): this {
    const b = this.batch as VerbBatch;
    for (const i of verbs ?? Array.from({ length: b.count }, (_, n) => n)) executeVerb(this.nodes, b, i);
    return this;
  }

  /** Hands the executed batch back. */
  answer(): this {
    this.ledger.add(this.batch as VerbBatch);
    return this.#next();
  }

  /** One round trip, or `count`. */
  step(count = 1): this {
    for (let i = 0; i < count; i++) this.execute().answer();
    return this;
  }

  /** Runs the request to its end. */
  finish(): Outcome {
    for (let i = 0; this.batch !== undefined; i++) {
      if (i === 1000)
        throw new Error(`no end after ${i} round trips; the batch has ${this.batch.count} verbs`);
      this.step();
    }
    return this.cx.outcome;
  }

  /** The value that SEARCH found. */
  get value(): string {
    const { bytes } = this.cx.client.local;
    return Buffer.from(bytes.slice(this.cx.foundAt, this.cx.foundAt + this.cx.foundBytes)).toString('latin1');
  }

  #next(): this {
    this.batch = (this.#loop as OpLoop).next().value ?? undefined;
    return this;
  }
}

/** What a client finds under a key: the value, or the outcome when there is none. */
export function readBy(client: ByHand, key: string): string | Outcome {
  const outcome = client.search(key).finish();
  return outcome === Outcome.OK ? client.value : outcome;
}

/**
 * Both clients read empty buckets for one key, then `aims[i]` (a candidate) is what client i finds vacant:
 * the others look taken to it. So their INSERTs of one key go to different slots.
 */
export function bringToSlots(clients: ByHand[], key: string, aims: number[]): void {
  clients.forEach((client, i) => {
    client.insert(key, `from-${i}`).execute();
    const { words } = client.cx.client.local;
    for (let q = 0; q < 28; q++) {
      if (q === aims[i]) continue;
      const at = (client.cx.buckets + Math.floor(q / 7) * 64 + 8 + (q % 7) * 8) >>> 2;
      // A tentative word of another fingerprint: taken, and no match.
      words[at] = (1 << 16) | (1 << 8) | (client.cx.place.fingerprint ^ 1);
      words[at + 1] = 1;
    }
    client.answer();
  });
}

/** A formatted pool, and clients whose ids are 1, 2, ... */
export function poolByHand(options: Partial<PoolConfig> & { clients?: number; cache?: CacheOptions } = {}) {
  const { clients, cache, ...pool } = options;
  const config = smallPool({ nodes: 4, ...pool });
  const nodes = makeNodes(config);
  const geometry = new Geometry(config);
  const view = new View(geometry);
  const client = (cid: number): ByHand => new ByHand(nodes, { view, cid, cache });
  const slotWord = (slot: number, replica: number): Word =>
    nodes.load(view.slotMn(slot, replica), view.slotOffset(slot), word());
  return {
    config,
    nodes,
    geometry,
    view,
    client,
    slotWord,
    clients: Array.from({ length: clients ?? 2 }, (_, i) => client(i + 1)),
  };
}

/**
 * Keys of 8 bytes that share both combined buckets, and the fingerprint too unless told. Deterministic; quick
 * for an index of one subtable with few groups.
 */
export function keysAlike(config: PoolConfig, count: number, isSameFingerprint = true): string[] {
  const place = keyPlace({ subtables: config.subtables, groups: config.groupsPerSubtable });
  const found = new Map<string, string[]>();
  const fingerprints = new Map<string, Set<number>>();
  for (let i = 0; ; i++) {
    const key = `k${i}`.padEnd(8, '.');
    locateKey(place, keyMemory(Buffer.from(key, 'latin1')), 0, 8);
    const buckets = `${place.combined[0]} ${place.combined[1]}`;
    const home = isSameFingerprint ? `${buckets} ${place.fingerprint}` : buckets;
    const keys = found.get(home) ?? [];
    const seen = fingerprints.get(home) ?? new Set();
    if (!isSameFingerprint && seen.has(place.fingerprint)) continue;
    keys.push(key);
    seen.add(place.fingerprint);
    if (keys.length === count) return keys;
    found.set(home, keys);
    fingerprints.set(home, seen);
  }
}
