import { describe, expect, it } from 'vitest';
import { Janitor } from '../background/index.js';
import { objectLines } from '../layout/index.js';
import { type Coroutine, Outcome, RequestKind } from '../ops/index.js';
import { CorruptionError, Ledger, Opcode, type OpLoop, type VerbBatch } from '../verbs/index.js';
import { type MemoryClient, memoryPool } from './memory-client.js';
import { Reactor } from './reactor.js';
import type { RequestSource } from './request-source.js';
import { stage } from './sequential.js';

interface Request {
  readonly kind: RequestKind;
  readonly key: string;
  readonly value?: string;
}

interface End {
  readonly coroutine: number;
  readonly key: string;
  readonly outcome: Outcome;
  readonly found: string;
  readonly postedNs: number;
  readonly completedNs: number;
}

/** Deals requests out in their order, to whichever coroutine asks; remembers how each ended. */
class Script implements RequestSource {
  readonly ends: End[] = [];
  readonly ledgers: Ledger[] = [];
  readonly #requests: Request[];
  readonly #serving: (Request | null)[];

  constructor(requests: readonly Request[], coroutines: number) {
    this.#requests = [...requests];
    this.#serving = new Array(coroutines).fill(null);
    this.ledgers = Array.from({ length: coroutines }, () => new Ledger());
  }

  add(...requests: Request[]): void {
    this.#requests.push(...requests);
  }

  next(coroutine: Coroutine): OpLoop | null {
    const request = this.#requests.shift();
    if (request === undefined) return null;
    this.#serving[coroutine.cx.coroutine] = request;
    stage(coroutine, Buffer.from(request.key), Buffer.from(request.value ?? ''));
    return coroutine.loops[request.kind];
  }

  ended({ cx }: Coroutine, postedNs: number, completedNs: number): void {
    const { key, kind } = this.#serving[cx.coroutine] as Request;
    const isFound = kind === RequestKind.SEARCH && cx.outcome === Outcome.OK;
    const { bytes } = cx.client.local;
    const found = isFound ? Buffer.from(bytes.slice(cx.foundAt, cx.foundAt + cx.foundBytes)).toString() : '';
    this.ends.push({ coroutine: cx.coroutine, key, outcome: cx.outcome, found, postedNs, completedNs });
  }

  ledger(coroutine: Coroutine): Ledger {
    return this.ledgers[coroutine.cx.coroutine];
  }
}

const insert = (key: string, value = 'value'): Request => ({ kind: RequestKind.INSERT, key, value });
const update = (key: string, value: string): Request => ({ kind: RequestKind.UPDATE, key, value });
const search = (key: string): Request => ({ kind: RequestKind.SEARCH, key });
const many = (count: number, make: (key: string, i: number) => Request): Request[] =>
  Array.from({ length: count }, (_, i) => make(`key${i}`, i));

/** Runs a script to its end; fails when that takes more turns than told. */
function run(
  client: MemoryClient,
  script: Script,
  options?: { deadlineNs: number },
  turnsMax = 10_000,
): number {
  const reactor = new Reactor(client.fabric, client.coroutines, script, options);
  reactor.wake();
  let turns = 0;
  for (; reactor.active > 0; turns++) {
    if (turns === turnsMax)
      throw new Error(`still ${reactor.active} requests in flight after ${turns} turns`);
    reactor.turn();
  }
  return turns;
}

const outcomes = (script: Script): Outcome[] => script.ends.map((e) => e.outcome);

/** Another client that has won its round and died: backups changed, primary not, for ever. */
function leaveRoundOpen(client: MemoryClient, key: string): void {
  const [coroutine] = client.coroutines;
  stage(coroutine, Buffer.from(key), Buffer.from('never'));
  const loop = coroutine.loops[RequestKind.UPDATE];
  const done: VerbBatch[] = [];
  for (let hasCas = false; !hasCas; ) {
    const batch = loop.next().value as VerbBatch;
    for (let i = 0; i < batch.count; i++) hasCas ||= batch.opcode(i) === Opcode.CAS;
    client.fabric.post(batch);
    client.fabric.poll(done);
  }
}

describe('the reactor', () => {
  it('serves more requests than coroutines, each once, and overlaps them', () => {
    const client = memoryPool().join(8);
    const script = new Script(
      many(200, (key, i) => insert(key, `value${i}`)),
      8,
    );
    const insertTurns = run(client, script);
    expect(outcomes(script)).toEqual(new Array(200).fill(Outcome.OK));
    expect(new Set(script.ends.map((e) => e.coroutine)).size).toBe(8);
    // One coroutine alone would take at least one turn per round trip.
    expect(insertTurns).toBeLessThan((200 * 4) / 4);
    const reads = new Script(
      many(200, (key) => search(key)),
      8,
    );
    run(client, reads);
    const found = Object.fromEntries(reads.ends.map((e) => [e.key, e.found]));
    expect(found).toEqual(
      Object.fromEntries(many(200, (k) => search(k)).map((r, i) => [r.key, `value${i}`])),
    );
  });

  it('rests without requests and goes on when it is woken', () => {
    const client = memoryPool().join(2);
    const script = new Script([], 2);
    const reactor = new Reactor(client.fabric, client.coroutines, script);
    reactor.wake();
    expect([reactor.active, reactor.turn()]).toEqual([0, 0]);
    script.add(insert('late'));
    expect(reactor.active).toBe(0);
    reactor.wake();
    expect(reactor.active).toBe(1);
    while (reactor.active > 0) reactor.turn();
    expect(outcomes(script)).toEqual([Outcome.OK]);
  });

  it('times a request from its first post to its last completion', () => {
    const client = memoryPool().join(1);
    run(client, new Script([insert('a'), insert('b')], 1));
    const script = new Script([search('a'), update('a', 'x'), search('b')], 1);
    const before = client.fabric.nowNs();
    run(client, script);
    const [first, second, third] = script.ends;
    expect(first.postedNs).toBe(before);
    // In memory a batch takes 1 ns: a cached SEARCH takes one, an UPDATE with a backup four.
    expect(script.ends.map((e) => e.completedNs - e.postedNs)).toEqual([1, 4, 1]);
    expect(second.postedNs).toBe(first.completedNs);
    expect(third.postedNs).toBe(second.completedNs);
  });

  it('goes on when the fabric takes fewer batches than there are coroutines', () => {
    const client = memoryPool().join(8, { queueCapacity: 2 });
    const script = new Script(
      many(40, (key) => insert(key)),
      8,
    );
    run(client, script);
    expect(outcomes(script)).toEqual(new Array(40).fill(Outcome.OK));
  });

  it('lets siblings wait while one coroutine fetches a block, instead of fetching one each', () => {
    const pool = memoryPool();
    const client = pool.join(8);
    let calls = 0;
    const { nodes } = pool;
    const call = nodes.call.bind(nodes);
    nodes.call = (mn, request) => {
      calls++;
      return call(mn, request);
    };
    const script = new Script(
      many(8, (key) => insert(key)),
      8,
    );
    run(client, script);
    expect(outcomes(script)).toEqual(new Array(8).fill(Outcome.OK));
    // Both nodes are asked, once, for blocks that others have left behind.
    expect([calls, client.state.slab.blocks]).toEqual([2 + 1, 1]);
    // Who only waited was charged neither round trips nor verbs for it.
    const costs = script.ledgers.map((l) => l.rtts);
    expect(costs.filter((rtts) => rtts === Math.min(...costs)).length).toBe(7);
  });

  it('ends NO_MEMORY when every block is taken, and serves other requests on', () => {
    const client = memoryPool({ regionsPerNode: 1, regionBytes: 1 << 16 }).join(4);
    const value = 'x'.repeat(4000);
    const cells = 2 * Math.floor((1 << 16) / (objectLines(5, value.length) * 64));
    const script = new Script(
      many(2 * cells, (key) => insert(key, value)),
      4,
    );
    run(client, script);
    expect(outcomes(script).filter((o) => o === Outcome.NO_MEMORY).length).toBeGreaterThanOrEqual(cells);
    const reads = new Script([search('key0'), search('none')], 4);
    run(client, reads);
    expect(outcomes(reads).sort()).toEqual([Outcome.OK, Outcome.NOT_FOUND]);
  });
});

describe('a request that waits for another writer', () => {
  const contested = (): { waiting: MemoryClient; pool: ReturnType<typeof memoryPool> } => {
    const pool = memoryPool();
    const owner = pool.join(1);
    run(owner, new Script([insert('hot'), insert('cold')], 1));
    leaveRoundOpen(owner, 'hot');
    const waiting = pool.join(2);
    run(waiting, new Script([search('hot'), search('cold'), insert('block')], 2));
    return { waiting, pool };
  };

  it('ends UNAVAILABLE when its deadline passes, and not before', () => {
    const { waiting } = contested();
    const script = new Script([update('hot', 'mine')], 2);
    run(waiting, script, { deadlineNs: 40 });
    const [end] = script.ends;
    expect(end.outcome).toBe(Outcome.UNAVAILABLE);
    expect(end.completedNs - end.postedNs).toBeGreaterThanOrEqual(40);
    expect(end.completedNs - end.postedNs).toBeLessThan(60);
  });

  it('polls ever more rarely while siblings work, and does not hold them up', () => {
    const { waiting } = contested();
    const others = many(400, (_, i) => (i % 2 === 0 ? search('cold') : update('cold', `v${i}`)));
    const script = new Script([update('hot', 'mine'), ...others], 2);
    const turns = run(waiting, script, { deadlineNs: 2000 }, 200_000);
    expect(script.ends.at(-1)).toMatchObject({ key: 'hot', outcome: Outcome.UNAVAILABLE });
    expect(script.ends.filter((e) => e.key === 'cold').length).toBe(400);
    const polls = script.ledgers.reduce((sum, l) => sum + l.polls, 0);
    // One poll in 64 turns at the end; without back-off it would be one in each.
    expect(polls).toBeLessThan(turns / 20);
  });

  it('ends at its deadline also when it waits for a sibling that asks for a block, from the first turn on', () => {
    const client = memoryPool().join(2);
    client.state.slab.orphans.fill(0);
    const script = new Script([insert('a'), insert('b')], 2);
    const reactor = new Reactor(client.fabric, client.coroutines, script, { deadlineNs: 40 });
    const poll = client.fabric.poll.bind(client.fabric);
    // The sibling's answer does not come, and time goes by.
    client.fabric.poll = () => 0 * ++client.fabric.nodes.nowNs;
    reactor.wake();
    for (let turns = 0; script.ends.length === 0 && turns < 10_000; turns++) reactor.turn();
    expect(script.ends).toMatchObject([{ key: 'b', outcome: Outcome.UNAVAILABLE }]);
    expect(script.ends[0].completedNs - script.ends[0].postedNs).toBeGreaterThan(40);
    client.fabric.poll = poll;
    while (reactor.active > 0) reactor.turn();
    expect(script.ends[1]).toMatchObject({ key: 'a', outcome: Outcome.OK });
  });

  it('begins its next request without the old deadline', () => {
    const { waiting } = contested();
    const script = new Script([update('hot', 'mine'), update('cold', 'mine')], 1);
    const one = { ...waiting, coroutines: waiting.coroutines.slice(0, 1) };
    run(one, script, { deadlineNs: 40 });
    expect(outcomes(script)).toEqual([Outcome.UNAVAILABLE, Outcome.OK]);
  });
});

describe('background work', () => {
  it('waits for a grace for longer than any deadline, while requests go on', () => {
    const pool = memoryPool();
    const [slow, client] = [pool.join(1), pool.join(2)];
    const janitors = [slow, client].map(({ state }) => new Janitor(state));
    // The first has a request in flight for ever, as far as others can see.
    for (const [i, { fabric }] of [slow, client].entries()) {
      const entering = janitors[i].enter();
      for (let step = entering.next(); step.done !== true; step = entering.next()) {
        fabric.post(step.value);
        fabric.poll([]);
      }
    }
    const updates = many(2000, (_, i) => update('key', `value${i}`));
    const script = new Script([insert('key'), ...updates], 2);
    const reactor = new Reactor(client.fabric, client.coroutines, script, {
      deadlineNs: 40,
      janitor: janitors[1],
    });
    reactor.wake();
    for (let turns = 0; reactor.active > 0 && turns < 100_000; turns++) reactor.turn();
    expect(script.ends.length).toBe(2001);
    expect(janitors[1].reclaim.awaiting).toBeGreaterThan(0);
    // It comes to rest with the requests, also when it is due for as long as no grace passes.
    client.state.waiting = 1;
    for (let turns = 0; !reactor.isQuiet && turns < 1000; turns++) reactor.turn();
    expect([janitors[1].isDue, reactor.isQuiet]).toEqual([true, true]);
  });
});

describe('failures', () => {
  it('of a node end requests UNAVAILABLE; those of other nodes go on', () => {
    const pool = memoryPool({ nodes: 2, indexReplicas: 1, dataReplicas: 1 });
    const client = pool.join(4);
    run(
      client,
      new Script(
        many(40, (key) => insert(key)),
        4,
      ),
    );
    // The first block of client 1 lies on node 1, half of the index on node 0.
    pool.nodes.kill(0);
    const script = new Script(
      many(40, (key) => search(key)),
      4,
    );
    run(client, script);
    expect(new Set(outcomes(script))).toEqual(new Set([Outcome.OK, Outcome.UNAVAILABLE]));
    expect(script.ends.length).toBe(40);
  });

  it('of memory itself are thrown out of the turn, and a second drive of the coroutine is refused', () => {
    const client = memoryPool().join(1);
    const [coroutine] = client.coroutines;
    function* broken(): OpLoop {
      throw new CorruptionError('a slot that nobody may change has changed');
      // biome-ignore lint/correctness/noUnreachable: a loop yields batches
      yield null;
    }
    const loop = broken();
    const source: RequestSource = { next: () => loop, ended: () => {}, ledger: () => new Ledger() };
    const reactor = new Reactor(client.fabric, [coroutine], source);
    reactor.wake();
    expect(() => reactor.turn()).toThrow(CorruptionError);
    expect(() => reactor.turn()).toThrow(/driven on after an error/);
  });
});
