import { describe, expect, it } from 'vitest';
import { type MemoryClient, memoryPool } from '../../fusee/client/memory-client.js';
import { Reactor } from '../../fusee/client/reactor.js';
import { runToDone, stage } from '../../fusee/client/sequential.js';
import { RequestKind as Kind, Outcome } from '../../fusee/ops/index.js';
import {
  checkWholeValue,
  fillValue,
  KeyTable,
  keyName,
  LatestFrontier,
  RequestKind,
  type RequestStream,
  stampValue,
  strideOf,
  TraceKeys,
  ValueVerdict,
} from '../../workloads/index.js';
import { StreamSource, type StreamSourceOptions } from './stream-source.js';

const RECORDS = 20;
const VALUE_BYTES = 64;

/** A stream of given requests. */
function stream(
  requests: readonly (readonly [kind: RequestKind, key: number, size?: number])[],
): RequestStream {
  const valueSizes = requests.some((r) => r[2] !== undefined)
    ? Uint32Array.from(requests, (r) => r[2] ?? VALUE_BYTES)
    : undefined;
  return {
    length: requests.length,
    kinds: Uint8Array.from(requests, (r) => r[0]),
    keys: Float64Array.from(requests, (r) => r[1]),
    fromLatest: new Uint8Array(requests.length),
    valueBytes: VALUE_BYTES,
    ...(valueSizes === undefined ? {} : { valueSizes }),
    hash: '',
  };
}

const keys = new KeyTable({
  recordCount: RECORDS,
  clientIndex: 0,
  coroutineCount: 2,
  insertsPerCoroutine: 10,
});
const own = strideOf({ recordCount: RECORDS, clientIndex: 0, coroutine: 0 }).first;

function source(
  client: MemoryClient,
  streams: readonly RequestStream[],
  options: Partial<StreamSourceOptions> = {},
): StreamSource {
  const { local } = client.fabric;
  return new StreamSource({
    local,
    streams,
    keys,
    frontier: null,
    writer: 1,
    measureNs: 0,
    endsWithFirst: false,
    ...options,
  });
}

function play(
  client: MemoryClient,
  played: StreamSource,
  each: (turn: number) => void = () => {},
): StreamSource {
  const reactor = new Reactor(client.fabric, client.coroutines, played);
  reactor.wake();
  for (let turn = 0; reactor.active > 0; turn++) {
    reactor.turn();
    each(turn);
  }
  return played;
}

/** A client of two coroutines; all records are loaded. */
function setUp() {
  const client = memoryPool().join(2);
  const load = [0, 1].map((c) =>
    stream(Array.from({ length: RECORDS / 2 }, (_, i) => [RequestKind.INSERT, 2 * i + c] as const)),
  );
  const loaded = play(client, source(client, load));
  expect(loaded.notOk).toBe(0);
  return client;
}

const nothing = stream([]);
const reports = (s: StreamSource) =>
  Object.fromEntries(s.recorder.report().map(({ operation, outcomes }) => [operation, outcomes]));

/** Sets a key to a value behind the source's back. */
function plant(client: MemoryClient, key: number, value: Uint8Array): void {
  const [coroutine] = client.coroutines;
  stage(coroutine, Buffer.from(keyName(key)), value);
  runToDone(client.fabric, coroutine.loops[Kind.UPDATE]);
  expect(coroutine.cx.outcome).toBe(Outcome.OK);
}

const stamped = (key: number, bytes = VALUE_BYTES): Uint8Array => {
  const value = new Uint8Array(bytes);
  const view = new DataView(value.buffer);
  fillValue(view, 0, bytes);
  stampValue(view, 0, bytes, key, 9, 1);
  return value;
};

describe('streams', () => {
  it('write whole values, whatever the keys before them were like', () => {
    // The fill of a value is left in place for the next one; a longer key overwrites it in part.
    const client = memoryPool().join(1);
    const traced = new TraceKeys();
    const names = ['a', 'bc', 'a key of fifty characters, longer than a head is...', 'd'];
    const [a, bc, long, d] = names.map((n) => traced.intern(Buffer.from(n), 0, n.length));
    const write = (kind: RequestKind, ...of: number[]) => of.map((key) => [kind, key] as const);
    const requests = [
      ...write(RequestKind.PUT, a, d, long, a, bc, d),
      ...write(RequestKind.SEARCH, long),
      ...write(RequestKind.PUT, a, a),
      ...write(RequestKind.DELETE, long),
      ...write(RequestKind.PUT, d, bc, a),
    ];
    const s = play(client, source(client, [stream(requests)], { keys: traced }));
    expect([s.notOk, s.wrongValues]).toEqual([0, 0]);
    const [coroutine] = client.coroutines;
    const view = new DataView(client.fabric.local.buffer);
    for (const key of [a, bc, d]) {
      stage(coroutine, Buffer.from(names[key]), new Uint8Array());
      runToDone(client.fabric, coroutine.loops[Kind.SEARCH]);
      const { foundAt, foundBytes } = coroutine.cx;
      expect(checkWholeValue(view, foundAt, foundBytes, key)).toBe(ValueVerdict.FINE);
    }
  });

  it('are played in order, each by its coroutine, and every request is counted', () => {
    const client = setUp();
    const s = play(
      client,
      source(client, [
        stream([
          [RequestKind.SEARCH, 1],
          [RequestKind.UPDATE, 1],
          [RequestKind.SEARCH, 1],
          [RequestKind.DELETE, 2],
          [RequestKind.SEARCH, 2],
        ]),
        stream([
          [RequestKind.INSERT, own],
          [RequestKind.PUT, own],
          [RequestKind.SEARCH, own],
        ]),
      ]),
    );
    expect(reports(s)).toEqual({
      search: { OK: 3, NOT_FOUND: 1 },
      insert: { OK: 1 },
      update: { OK: 1 },
      put: { OK: 1 },
      delete: { OK: 1 },
    });
    expect([s.wrongValues, s.notOk, s.recorder.operations]).toEqual([0, 1, 8]);
    expect([...s.insertedKeys()]).toEqual([own, own]);
  });

  it('with sizes of their own write and verify values of those sizes', () => {
    const client = setUp();
    const s = play(
      client,
      source(client, [
        stream([
          [RequestKind.PUT, 3, 1],
          [RequestKind.SEARCH, 3],
          [RequestKind.PUT, 3, 3000],
          [RequestKind.SEARCH, 3],
        ]),
        nothing,
      ]),
    );
    expect([s.wrongValues, s.notOk]).toEqual([0, 0]);
    expect(client.coroutines[0].cx.foundBytes).toBe(3000);
  });

  it('end with the first when they are to, and requests in flight finish', () => {
    const client = setUp();
    const long = Array.from({ length: 100 }, () => [RequestKind.UPDATE, 5] as const);
    const s = source(client, [stream(long.slice(0, 3)), stream(long.map(() => [RequestKind.UPDATE, 6]))], {
      endsWithFirst: true,
    });
    expect(s.exhausted).toBe(false);
    play(client, s, () => {
      if (s.endsWithFirst && s.exhausted) s.stopping = true;
    });
    expect(s.recorder.operations).toBeGreaterThanOrEqual(4);
    expect(s.recorder.operations).toBeLessThan(20);
    expect(s.notOk).toBe(0);
  });

  it('start nothing more once stopped', () => {
    const client = setUp();
    const s = source(client, [stream([[RequestKind.SEARCH, 1]]), nothing]);
    s.stopping = true;
    play(client, s);
    expect(s.recorder.operations).toBe(0);
  });
});

describe('a value that is read', () => {
  it.each<[string, () => Uint8Array]>([
    ['of another key', () => stamped(8)],
    ['cut short', () => stamped(7).slice(0, VALUE_BYTES - 8)],
    ['with one bit turned', () => stamped(7).map((b, i) => (i === 13 ? b ^ 1 : b))],
    ['that nobody wrote', () => new Uint8Array(VALUE_BYTES)],
    ['of no bytes', () => new Uint8Array(0)],
  ])('%s is counted as wrong and described', (_, wrong) => {
    const client = setUp();
    plant(client, 7, wrong());
    const s = play(client, source(client, [stream([[RequestKind.SEARCH, 7]]), nothing]));
    expect(s.wrongValues).toBe(1);
    expect(s.wrongExamples).toEqual([expect.stringMatching(/^key 7: verdict [1-4], \d+ bytes, \{"check":/)]);
    expect(reports(s)).toEqual({ search: { OK: 1 } });
  });

  it('is found wrong within a read-modify-write too', () => {
    const client = setUp();
    plant(client, 7, stamped(8));
    const s = play(client, source(client, [stream([[RequestKind.READ_MODIFY_WRITE, 7]]), nothing]));
    expect(s.wrongValues).toBe(1);
    const after = play(client, source(client, [stream([[RequestKind.SEARCH, 7]]), nothing]));
    expect(after.wrongValues).toBe(0);
  });

  it('is right when anybody wrote it for the key', () => {
    const client = setUp();
    plant(client, 7, stamped(7));
    const s = play(client, source(client, [stream([[RequestKind.SEARCH, 7]]), nothing]));
    expect([s.wrongValues, s.wrongExamples]).toEqual([0, []]);
  });

  it('beyond the third wrong one is counted, not described', () => {
    const client = setUp();
    for (const key of [1, 2, 3, 4, 5]) plant(client, key, stamped(99));
    const reads = [1, 2, 3, 4, 5].map((key) => [RequestKind.SEARCH, key] as const);
    const s = play(client, source(client, [stream(reads), nothing]));
    expect([s.wrongValues, s.wrongExamples.length]).toEqual([5, 3]);
  });
});

describe('a read-modify-write', () => {
  it('is one request: a SEARCH, then an UPDATE, timed and charged together', () => {
    const client = setUp();
    play(client, source(client, [stream([[RequestKind.SEARCH, 4]]), nothing]));
    const s = play(client, source(client, [stream([[RequestKind.READ_MODIFY_WRITE, 4]]), nothing]));
    const [report] = s.recorder.report();
    expect(report).toMatchObject({ operation: 'rmw', count: 1, outcomes: { OK: 1 } });
    // A cached SEARCH takes one round trip, an UPDATE with one backup four; in memory each takes 1 ns.
    expect(report.ledger.rtts).toBe(5);
    expect(report.latency.maxNs).toBe(5);
  });

  it('of a key that is not there is a SEARCH only', () => {
    const client = setUp();
    const s = play(client, source(client, [stream([[RequestKind.READ_MODIFY_WRITE, own]]), nothing]));
    expect(reports(s)).toEqual({ rmw: { NOT_FOUND: 1 } });
    expect(s.notOk).toBe(1);
  });

  it('begun before the stop carries its UPDATE through', () => {
    const client = setUp();
    const s = source(client, [stream([[RequestKind.READ_MODIFY_WRITE, 4]]), nothing]);
    play(client, s, () => {
      s.stopping = true;
    });
    expect(reports(s)).toEqual({ rmw: { OK: 1 } });
  });
});

describe('workload D', () => {
  it('reads the newest acknowledged key, which moves as INSERTs end', () => {
    const client = setUp();
    const latest = (rank: number): RequestStream => ({
      ...stream([[RequestKind.SEARCH, rank]]),
      fromLatest: new Uint8Array([1]),
    });
    const frontier = new LatestFrontier({ recordCount: RECORDS, insertCapacity: 4 });
    const read = (rank: number): number => {
      const s = play(client, source(client, [latest(rank), nothing], { frontier }));
      expect([s.notOk, s.wrongValues]).toEqual([0, 0]);
      return frontier.keyOf(rank);
    };
    expect([read(0), read(1)]).toEqual([RECORDS - 1, RECORDS - 2]);
    const inserts = stream([
      [RequestKind.INSERT, own],
      [RequestKind.INSERT, own + 1],
    ]);
    play(client, source(client, [inserts, nothing], { frontier }));
    expect([read(0), read(1), read(2)]).toEqual([own + 1, own, RECORDS - 1]);
    // One that is refused is not the newest key.
    const again = play(client, source(client, [stream([[RequestKind.INSERT, own]]), nothing], { frontier }));
    expect([again.notOk, read(0)]).toEqual([1, own + 1]);
    expect([...again.insertedKeys()]).toEqual([]);
  });
});

describe('the warm-up', () => {
  it('ends at its time: what starts later is measured, cost and all, what started before is not', () => {
    const client = setUp();
    const updates = Array.from({ length: 40 }, () => [RequestKind.UPDATE, 5] as const);
    const measureNs = client.fabric.nowNs() + 60;
    const s = play(client, source(client, [stream(updates), nothing], { measureNs }));
    const [report] = s.recorder.report();
    expect(s.recorder.warmupOperations).toBeGreaterThan(5);
    expect(s.recorder.warmupOperations + report.count).toBe(40);
    expect(report.ledger.rtts).toBe(4 * report.count);
    // The first that is measured began after the window did.
    expect(Math.min(...s.recorder.series().map((i) => i.operations))).toBeGreaterThan(0);
  });

  it('begins a stream again when it loops, with values of their own, until it is stopped', () => {
    const client = setUp();
    const updates = stream([
      [RequestKind.UPDATE, 3],
      [RequestKind.SEARCH, 3],
    ]);
    const looped = source(client, [updates, nothing], { loops: true, endsWithFirst: true });
    expect(looped.exhausted).toBe(false);
    play(client, looped, () => {
      looped.stopping = looped.recorder.operations >= 100;
    });
    expect([looped.exhausted, looped.notOk, looped.wrongValues]).toEqual([false, 0, 0]);
    expect(looped.sequence).toBeGreaterThanOrEqual(50);
    expect(looped.recorder.operations).toBeGreaterThanOrEqual(100);
  });
});
