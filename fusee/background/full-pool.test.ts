/** A full pool, over plain memory: DELETE is the way out of it. */
import { expect, it } from 'vitest';
import { inspectFabric } from '../client/fsck.js';
import { type MemoryPool, memoryPool } from '../client/memory-client.js';
import { Reactor } from '../client/reactor.js';
import { DEFAULT_DEADLINE_NS } from '../client/request-source.js';
import { enter, leave } from '../client/session.js';
import { MemoryFabric } from '../fabric/memory.js';
import { WALK_BYTES } from '../fsck/index.js';
import { Geometry, HEADER_BYTES, type PoolConfig, View } from '../layout/index.js';
import { type Coroutine, Outcome, RequestKind } from '../ops/index.js';
import { Ledger, type OpLoop } from '../verbs/index.js';
import { Janitor } from './index.js';

interface Asked {
  readonly kind: RequestKind;
  readonly key: string;
  readonly valueBytes: number;
}

/** A client that serves one request at a time. */
class Client {
  readonly session;
  readonly reactor: Reactor;
  asked: Asked | undefined;
  outcome: Outcome | undefined;

  constructor(pool: MemoryPool) {
    const { fabric, state, coroutines } = pool.join(1);
    const janitor = new Janitor(state);
    this.session = { fabric, state, janitor, giveUpPlace: async () => undefined };
    const source = {
      next: (co: Coroutine) => this.#next(co),
      ended: ({ cx }: Coroutine) => {
        this.outcome = cx.outcome;
      },
      ledger: () => new Ledger(),
    };
    this.reactor = new Reactor(fabric, coroutines, source, { deadlineNs: DEFAULT_DEADLINE_NS, janitor });
  }

  #next({ cx, loops }: Coroutine): OpLoop | null {
    if (this.asked === undefined) return null;
    const { kind, key, valueBytes } = this.asked;
    this.asked = undefined;
    const { bytes } = cx.client.local;
    bytes.set(Buffer.from(key), cx.object + HEADER_BYTES);
    bytes.fill(7, cx.object + HEADER_BYTES + key.length, cx.object + HEADER_BYTES + key.length + valueBytes);
    cx.keyBytes = key.length;
    cx.valueBytes = valueBytes;
    return loops[kind];
  }
}

/** Clients of one pool; while one is asked, all of them do their background work. */
class Party {
  readonly pool: MemoryPool;
  readonly clients: Client[];

  constructor(config: Partial<PoolConfig>, count: number) {
    this.pool = memoryPool({
      indexReplicas: 1,
      dataReplicas: 1,
      blockBytes: 1 << 12,
      regionsPerNode: 1,
      groupsPerSubtable: 64,
      ...config,
    });
    this.clients = Array.from({ length: count }, () => new Client(this.pool));
  }

  async enter(): Promise<this> {
    for (const { session } of this.clients) await enter(session);
    return this;
  }

  ask(client: Client, kind: RequestKind, key: string, valueBytes = 0): Outcome {
    client.outcome = undefined;
    client.asked = { kind, key, valueBytes };
    client.reactor.wake();
    while (client.outcome === undefined) for (const { reactor } of this.clients) reactor.turn();
    return client.outcome;
  }

  /** Clients INSERT by turns until there is no memory for any of them: the keys of each. */
  fill(clients: readonly Client[], name: string, valueBytes: number): string[][] {
    const keys: string[][] = clients.map(() => []);
    for (const left = new Set(clients.keys()); left.size > 0; ) {
      for (const i of left) {
        const key = `${name}${i}.${keys[i].length}`;
        const outcome = this.ask(clients[i], RequestKind.INSERT, key, valueBytes);
        if (outcome === Outcome.OK) keys[i].push(key);
        else left.delete(i);
        if (!left.has(i)) expect(outcome).toBe(Outcome.NO_MEMORY);
      }
    }
    return keys;
  }

  /** Everybody leaves, and the pool's memory is whole. */
  async end(): Promise<void> {
    for (const { reactor } of this.clients) while (!reactor.isQuiet) reactor.turn();
    for (const { session } of this.clients) await leave(session);
    const fabric = new MemoryFabric(this.pool.nodes, { localBytes: WALK_BYTES });
    const view = new View(new Geometry(this.pool.config));
    const report = await inspectFabric(fabric, view, { depth: 'bytes' });
    expect(report.findings).toEqual([]);
    expect(report.nodes.map(({ bytes }) => bytes?.unfreed)).toEqual(report.nodes.map(() => 0));
  }
}

it.each([1, 2])('%i clients fill a pool, DELETE every key of it, and it takes new ones again', async (n) => {
  const party = await new Party({ regionBytes: 1 << 14 }, n).enter();
  const keys = party.fill(party.clients, 'k', 500);
  expect(keys.flat().length).toBeGreaterThan(30);
  party.clients.forEach((client, i) => {
    expect(party.ask(client, RequestKind.UPDATE, keys[i][0], 500)).toBe(Outcome.NO_MEMORY);
    for (const key of keys[i]) expect(party.ask(client, RequestKind.DELETE, key), key).toBe(Outcome.OK);
  });
  const again = party.fill(party.clients, 'again', 500);
  expect(again.flat().length).toBeGreaterThan(keys.flat().length / 2);
  await party.end();
});

it('cells that are set aside are not used up by INSERTs of the same class', async () => {
  const party = await new Party({ regionBytes: 1 << 14 }, 1).enter();
  const [client] = party.clients;
  const [keys] = party.fill([client], 'tiny', 4);
  // Each round deletes a few and fills the pool again: DELETE must find a cell in every one. Tombstones stay
  // until an INSERT comes upon their slot, so some gather: the cells of the block that is set aside last for
  // more than 30 rounds, and for one where INSERTs may use them.
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 3; i++)
      expect(party.ask(client, RequestKind.DELETE, keys.shift() as string), `round ${round}`).toBe(
        Outcome.OK,
      );
    keys.push(...party.fill([client], `tiny${round}.`, 4)[0]);
  }
  await party.end();
});

it('what one client has filled and left, another deletes', async () => {
  const party = await new Party({ regionBytes: 1 << 14 }, 2).enter();
  const [first, second] = party.clients;
  const [keys] = party.fill([first], 'k', 500);
  await leave(first.session);
  party.clients.shift();
  for (const key of keys) expect(party.ask(second, RequestKind.DELETE, key), key).toBe(Outcome.OK);
  expect(party.fill([second], 'again', 500)[0].length).toBeGreaterThan(keys.length / 2);
  await party.end();
});

it('a pool too small to set anything aside says NO_MEMORY, and goes on where it can', async () => {
  const party = await new Party({ regionBytes: 1 << 12 }, 1).enter();
  const [client] = party.clients;
  const [[key]] = party.fill([client], 'k', 500);
  expect(party.ask(client, RequestKind.DELETE, key)).toBe(Outcome.NO_MEMORY);
  expect(party.ask(client, RequestKind.SEARCH, key)).toBe(Outcome.OK);
  await party.end();
});
