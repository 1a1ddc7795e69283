/** Reclaim under churn, over plain memory: what was freed is handed out again, and nothing is lost. */
import { expect, it } from 'vitest';
import { inspectFabric } from '../client/fsck.js';
import { type MemoryPool, memoryPool } from '../client/memory-client.js';
import { Reactor } from '../client/reactor.js';
import { DEFAULT_DEADLINE_NS } from '../client/request-source.js';
import { drive, enter, leave } from '../client/session.js';
import { executeVerb } from '../fabric/execute-verb.js';
import { MemoryFabric } from '../fabric/memory.js';
import { WALK_BYTES } from '../fsck/index.js';
import { Geometry, HEADER_BYTES, LogOperation, View } from '../layout/index.js';
import { type ByHand, poolByHand } from '../ops/by-hand.js';
import { type Coroutine, Outcome, RequestKind } from '../ops/index.js';
import { getReady } from '../ops/obtain-cell.js';
import { Ledger, type Op, type OpLoop } from '../verbs/index.js';
import { Janitor } from './index.js';
import { Reclaim } from './reclaim.js';

const COROUTINES = 3;
const KEYS = 40;
/** Of values, in bytes: three size classes. */
const SIZES = [20, 70, 120];

/** A client that updates, deletes, inserts and reads keys of its own, and knows what they must hold. */
class Churn {
  readonly session;
  readonly reactor: Reactor;
  readonly #values = new Map<string, number>();
  readonly #current: { key: string; kind: RequestKind; serial: number }[] = [];
  readonly #name: string;
  #serial = 0;
  #random: number;
  left = 0;

  constructor(pool: MemoryPool, name: string, seed: number) {
    const { fabric, state, coroutines } = pool.join(COROUTINES);
    const janitor = new Janitor(state);
    this.#name = name;
    this.#random = seed;
    this.session = { fabric, state, janitor, giveUpPlace: async () => undefined };
    const ledger = new Ledger();
    const source = {
      next: (co: Coroutine) => this.#next(co),
      ended: (co: Coroutine) => this.#ended(co),
      ledger: () => ledger,
    };
    this.reactor = new Reactor(fabric, coroutines, source, { deadlineNs: DEFAULT_DEADLINE_NS, janitor });
  }

  /** Bytes of a linear congruential generator: the same on every run. */
  #below(n: number): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return (this.#random >>> 8) % n;
  }

  #next(co: Coroutine): OpLoop | null {
    if (this.left === 0) return null;
    this.left--;
    const { cx } = co;
    const key = `${this.#name}${cx.coroutine}.${this.#below(KEYS)}`;
    const kinds = [RequestKind.UPDATE, RequestKind.SEARCH, RequestKind.DELETE, RequestKind.UPDATE];
    const kind = this.#values.has(key) ? kinds[this.#below(4)] : RequestKind.INSERT;
    const value = Buffer.alloc(SIZES[this.#below(SIZES.length)]);
    const serial = ++this.#serial;
    value.writeUInt32LE(serial);
    const at = cx.object + HEADER_BYTES;
    cx.client.local.bytes.set(Buffer.from(key), at);
    cx.client.local.bytes.set(value, at + key.length);
    cx.keyBytes = key.length;
    cx.valueBytes = value.length;
    this.#current[cx.coroutine] = { key, kind, serial };
    return co.loops[kind];
  }

  #ended({ cx }: Coroutine): void {
    const { key, kind, serial } = this.#current[cx.coroutine];
    expect([key, kind, cx.outcome]).toEqual([key, kind, Outcome.OK]);
    if (kind === RequestKind.SEARCH) {
      const found = Buffer.from(cx.client.local.bytes.buffer).readUInt32LE(cx.foundAt);
      expect([key, found]).toEqual([key, this.#values.get(key)]);
    } else if (kind === RequestKind.DELETE) this.#values.delete(key);
    else this.#values.set(key, serial);
  }
}

function run(clients: readonly Churn[], requests: number): void {
  for (const client of clients) client.left = requests;
  for (const { reactor } of clients) reactor.wake();
  const isBusy = (c: Churn): boolean => c.left > 0 || c.reactor.active > 0 || !c.reactor.isQuiet;
  while (clients.some(isBusy)) for (const { reactor } of clients) reactor.turn();
}

/** Runs background work of a client by hand. */
function work<T>(client: ByHand, op: Op<T>): T {
  for (let step = op.next(); ; step = op.next()) {
    if (step.done) return step.value;
    for (let i = 0; i < step.value.count; i++) executeVerb(client.nodes, step.value, i);
  }
}

it('what a request holds keeps its log entry, though another client has freed it', () => {
  const pool = poolByHand({ indexReplicas: 1, dataReplicas: 1 });
  const [a, b] = pool.clients;
  const janitors = pool.clients.map(({ cx }) => new Reclaim(cx.client));
  expect(a.insert('k', 'first').finish()).toBe(Outcome.OK);
  // The slot names its object, but it has not heard so.
  a.update('k', 'second').step().execute();
  const { cell } = a.cx;
  expect(b.update('k', 'third').finish()).toBe(Outcome.OK);
  work(b, janitors[1].free());
  const freed = (): boolean => work(a, janitors[0].collect());
  const entry = (): number => {
    const byte = new Uint8Array(1);
    a.nodes.read(pool.view.dataMn(cell, 0), pool.view.dataOffset(cell, 0) + 63, byte, 0, 1);
    return byte[0];
  };
  expect([freed(), entry() & 1]).toEqual([false, 1]);
  // A walk from the log head must find what comes behind it.
  expect(a.answer().finish()).toBe(Outcome.OK);
  expect([freed(), entry()]).toEqual([true, 0]);
});

it.each([1, 2])(
  'memory stays flat under churn, with %i replicas, and every byte of it adds up',
  async (r) => {
    const pool = memoryPool({
      indexReplicas: r,
      dataReplicas: r,
      regionBytes: 1 << 17,
      blockBytes: 1 << 12,
      regionsPerNode: 1,
      groupsPerSubtable: 32,
    });
    const clients = [new Churn(pool, 'a', 1), new Churn(pool, 'b', 2)];
    for (const { session } of clients) await enter(session);
    const blocks = (): number => clients.reduce((sum, c) => sum + c.session.state.slab.blocks, 0);
    const used: number[] = [];
    // All the pool's blocks hold some 2,600 objects; these rounds write ten times as many.
    for (let round = 0; round < 5; round++) {
      run(clients, 4000);
      used.push(blocks());
    }
    expect(Math.max(...used.slice(1))).toBeLessThanOrEqual(Math.ceil(used[0] * 1.25));
    for (const { session } of clients) {
      expect(session.janitor.reclaim.isStopped).toBe(false);
      expect(session.janitor.reclaim.reclaimed).toBeGreaterThan(8000);
    }
    await Promise.all(clients.map(({ session }) => leave(session)));
    expect(blocks()).toBe(0);
    const fabric = new MemoryFabric(pool.nodes, { localBytes: WALK_BYTES });
    const view = new View(new Geometry(pool.config));
    const report = await inspectFabric(fabric, view, { depth: 'bytes' });
    expect(report.findings).toEqual([]);
    const left = report.nodes.map(({ bytes }) => [bytes?.garbage, bytes?.unfreed]);
    expect(left).toEqual(left.map(() => [0, 0]));
  },
  60_000,
);

it('leaves a cell alone that others have freed while its request has not ended', async () => {
  const pool = memoryPool({
    indexReplicas: 2,
    dataReplicas: 2,
    regionBytes: 1 << 14,
    blockBytes: 1 << 12,
    regionsPerNode: 1,
    groupsPerSubtable: 32,
  });
  const { fabric, state, coroutines } = pool.join(1);
  const { cx } = coroutines[0];
  const { reclaim } = new Janitor(state);
  const session = { fabric, state, janitor: new Janitor(state), giveUpPlace: async () => undefined };
  await enter(session);
  [cx.keyBytes, cx.valueBytes] = [1, 20];
  expect(await drive(session, getReady(cx, LogOperation.INSERT))).toBe(true);
  state.frees.objects.push(cx.cell);
  expect(await drive(session, reclaim.free())).toBe(true);
  for (let i = 0; i < 3; i++) expect(await drive(session, reclaim.collect())).toBe(false);
  cx.end();
  expect(await drive(session, reclaim.collect())).toBe(true);
  expect(reclaim.awaiting).toBe(1);
});
