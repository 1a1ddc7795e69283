/**
 * `npm run bench:rdma`: what a client achieves over real verbs in the soft-RoCE guest, beside native round
 * trips of the same verbs in the same run.
 *
 * The yardstick posts the two READs of a SEARCH that hits (a slot, an object) by the addon alone, over the
 * same queue pair. Rounds alternate, each figure is a median over rounds: the ratio is the result, the times
 * depend on the machine, and on whoever else runs there. Then rates of one client with 8 coroutines, beside
 * those that the paper's authors' C++ implementation came to in such a guest (two processors by emulation,
 * r_i = 1, r_d = 2, 8 coroutines of one thread, values of 1 KiB), which were taken elsewhere and another day.
 */
import { openSession } from '../../fusee/client/connect.js';
import { Reactor } from '../../fusee/client/reactor.js';
import { DEFAULT_DEADLINE_NS } from '../../fusee/client/request-source.js';
import { enter, type Session } from '../../fusee/client/session.js';
import { VerbsFabric } from '../../fusee/fabric/verbs.js';
import { type Coroutine, makeCoroutine } from '../../fusee/ops/index.js';
import { CorruptionError, VerbBatch } from '../../fusee/verbs/index.js';
import { LatencyHistogram } from '../../results/histogram.js';
import { KeyTable, RequestKind, type RequestStream } from '../../workloads/index.js';
import { Crew } from '../run/crew.js';
import type { FromClient, ToClient } from '../run/messages.js';
import { planPool, valueBytesOf } from '../run/plan.js';
import { StreamSource } from '../run/stream-source.js';

const RECORDS = 400;
const KV_BYTES = 1024 + 24;
const ROUNDS = 15;
const PER_ROUND = 200;
/** Rounds ahead of them, until V8 has compiled what a SEARCH takes. */
const WARM_ROUNDS = 60;
/** A whole object of that size: header, key, value and log entry in lines of 64 bytes. */
const OBJECT_BYTES = 1088;
const COROUTINES = 8;
const REQUESTS = 2000;
/** Of all four kinds, of which the first ones let V8 compile. */
const CYCLES = 6;
const WARM_CYCLES = 3;
/** Requests per second that were measured of that implementation. */
const PUBLIC_OPS = { insert: 4618, update: 2740, search: 9379, delete: 2200 };

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

const streamOf = (kind: number, keys: Float64Array): RequestStream => ({
  length: keys.length,
  kinds: new Uint8Array(keys.length).fill(kind),
  keys,
  fromLatest: new Uint8Array(keys.length),
  valueBytes: valueBytesOf(KV_BYTES),
  hash: '',
});

/** Keys from `first` on, dealt to as many streams. */
const dealt = (kind: number, keys: { first: number; count: number }, streams: number): RequestStream[] =>
  Array.from({ length: streams }, (_, s) =>
    streamOf(
      kind,
      Float64Array.from({ length: keys.count / streams }, (_, i) => keys.first + i * streams + s),
    ),
  );

class Player {
  readonly #session: Session;
  readonly #coroutines: readonly Coroutine[];
  readonly #keyCount: number;

  constructor(session: Session, coroutines: number, keyCount: number) {
    this.#session = session;
    this.#coroutines = Array.from({ length: coroutines }, (_, i) => makeCoroutine(session.state, i));
    this.#keyCount = keyCount;
  }

  /** Plays streams to their end; the median latency, and requests a second. */
  play(streams: readonly RequestStream[]): { p50Ns: number; opsPerSecond: number } {
    const { fabric, janitor } = this.#session;
    const keys = new KeyTable({
      recordCount: this.#keyCount,
      clientIndex: 0,
      coroutineCount: 0,
      insertsPerCoroutine: 0,
    });
    const source = new StreamSource({
      ...{ local: fabric.local, streams, keys, frontier: null, writer: 1 },
      measureNs: 0,
      endsWithFirst: false,
    });
    const reactor = new Reactor(fabric, this.#coroutines.slice(0, streams.length), source, {
      deadlineNs: DEFAULT_DEADLINE_NS,
      janitor,
    });
    const startNs = fabric.nowNs();
    reactor.wake();
    while (reactor.active > 0) reactor.turn();
    const seconds = (fabric.nowNs() - startNs) / 1e9;
    while (!reactor.isQuiet) reactor.turn();
    if (source.notOk + source.wrongValues > 0)
      throw new CorruptionError(`${source.notOk} requests not OK, ${source.wrongValues} wrong values`);
    const latency = LatencyHistogram.unpack(source.recorder.report()[0].latency);
    return { p50Ns: latency.percentile(50), opsPerSecond: latency.count / seconds };
  }
}

async function main(): Promise<void> {
  const keyCount = RECORDS + REQUESTS;
  const config = planPool({
    ...{
      workload: 'ycsb-a',
      nodes: 2,
      indexReplicas: 1,
      dataReplicas: 2,
      clients: 2,
      coroutines: COROUTINES,
    },
    ...{ records: 2 * keyCount, requests: 2 * CYCLES * REQUESTS, kvBytes: KV_BYTES },
  });
  const crew = new Crew<ToClient, FromClient>(`rdma-${process.pid}`, './client-process');
  try {
    const rdma = { device: 'rxe1' };
    await crew.startNodes(config, { fabric: 'verbs', rdma });
    const session = await openSession({ ...crew.access, coroutines: COROUTINES });
    const { fabric } = session;
    if (!(fabric instanceof VerbsFabric)) throw new CorruptionError('this is no session over verbs');
    await enter(session);
    const player = new Player(session, COROUTINES, keyCount);
    player.play(dealt(RequestKind.INSERT, { first: 0, count: RECORDS }, COROUTINES));
    const batch = new VerbBatch(fabric.local, 2);
    batch.read8(0, 64);
    batch.read(0, 4096, fabric.local.reserve(OBJECT_BYTES), OBJECT_BYTES);
    fabric.post(batch);
    while (fabric.poll([]) === 0);
    const search = (): number =>
      player.play(dealt(RequestKind.SEARCH, { first: 0, count: PER_ROUND }, 1)).p50Ns;
    for (let i = 0; i < WARM_ROUNDS; i++) search();
    const rounds = Array.from({ length: ROUNDS }, () => {
      const ours = search();
      return { ours, native: median([...fabric.replay(batch, PER_ROUND)]) };
    });
    const opsPerSecond = ratesOf(player);
    const figures = {
      searchHitP50Us: median(rounds.map(({ ours }) => ours)) / 1e3,
      nativeP50Us: median(rounds.map(({ native }) => native)) / 1e3,
      ratio: median(rounds.map(({ ours, native }) => ours / native)),
      read64P50Us: read64(fabric),
      opsPerSecond,
      ofPublic: each((kind) => Number((opsPerSecond[kind] / PUBLIC_OPS[kind]).toFixed(2))),
    };
    process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
    fabric.close();
  } finally {
    await crew.end();
  }
}

/** One READ of 64 bytes natively: how fast this guest is. */
function read64(fabric: VerbsFabric): number {
  const batch = new VerbBatch(fabric.local, 1);
  batch.read(0, 4096, fabric.local.reserve(64), 64);
  fabric.post(batch);
  while (fabric.poll([]) === 0);
  return median([...fabric.replay(batch, 500)]) / 1e3;
}

type Rates = Record<keyof typeof PUBLIC_OPS, number>;

/** One client, 8 coroutines, r_i = 1, r_d = 2: medians over the cycles behind the first ones. */
function ratesOf(player: Player): Rates {
  const own = { first: RECORDS, count: REQUESTS };
  const rate = (kind: number): number => player.play(dealt(kind, own, COROUTINES)).opsPerSecond;
  const cycle = (): Rates => {
    const insert = rate(RequestKind.INSERT);
    const update = rate(RequestKind.UPDATE);
    const search = rate(RequestKind.SEARCH);
    return { insert, update, search, delete: rate(RequestKind.DELETE) };
  };
  const cycles = Array.from({ length: CYCLES }, cycle).slice(WARM_CYCLES);
  return each((kind) => Math.round(median(cycles.map((one) => one[kind]))));
}

const each = (of: (kind: keyof Rates) => number): Rates => ({
  insert: of('insert'),
  update: of('update'),
  search: of('search'),
  delete: of('delete'),
});

await main();
