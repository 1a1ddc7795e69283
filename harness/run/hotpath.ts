/**
 * `npm run bench:hotpath`: what one client process achieves, beside a native loop that replays the very same
 * verbs.
 *
 * The yardstick runs in the same process, over the same memory, with the same batches per doorbell, through
 * the same executor; it makes no keys, hashes nothing, and checks neither key nor CRC. Rounds alternate (A B
 * A B ...), and each figure is the median over rounds: the ratio is the result, the rates depend on the
 * machine.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openSession } from '../../fusee/client/connect.js';
import { Reactor } from '../../fusee/client/reactor.js';
import { DEFAULT_DEADLINE_NS } from '../../fusee/client/request-source.js';
import type { Session } from '../../fusee/client/session.js';
import type { Recording } from '../../fusee/fabric/recording.js';
import { ShmFabric } from '../../fusee/fabric/shm.js';
import { type Coroutine, makeCoroutine } from '../../fusee/ops/index.js';
import { CorruptionError, UsageError } from '../../fusee/verbs/index.js';
import {
  generateStream,
  KeyTable,
  RequestKind,
  type RequestStream,
  workloadSpec,
} from '../../workloads/index.js';
import { Child } from './child.js';
import type { FromNode, ToNode } from './messages.js';
import { planPool, requireRoom, valueBytesOf } from './plan.js';
import { StreamSource } from './stream-source.js';

const RECORDS = 100_000;
const KV_BYTES = 1024 + 24;
const COROUTINES = 8;
/**
 * Rounds of a few milliseconds, shorter than a time slice: what else runs on the machine spoils few of them.
 */
const ROUNDS = 301;

const WARMUP_ROUNDS = 150;
/** Recorded slices that replays take turns in. */
const SLICES = 50;

interface Case {
  readonly name: string;
  readonly searchRatio: number;
  readonly distribution: 'uniform' | 'zipfian';
  readonly replicas: number;
  readonly requestsPerRound: number;
  /** The figures to reach: rate in operations/s on a quiet core, and share of the native rate. */
  readonly target: { readonly opsPerSecond: number; readonly ratio?: number };
}

const CASES: readonly Case[] = [
  {
    name: 'SEARCH uniform',
    searchRatio: 1,
    distribution: 'uniform',
    replicas: 1,
    requestsPerRound: 3_000,
    target: { opsPerSecond: 1.5e6, ratio: 0.6 },
  },
  {
    name: 'SEARCH zipfian',
    searchRatio: 1,
    distribution: 'zipfian',
    replicas: 1,
    requestsPerRound: 3_000,
    target: { opsPerSecond: 1.5e6, ratio: 0.6 },
  },
  {
    name: 'UPDATE r_i = r_d = 1',
    searchRatio: 0,
    distribution: 'uniform',
    replicas: 1,
    requestsPerRound: 1_500,
    target: { opsPerSecond: 0.6e6 },
  },
  {
    name: 'UPDATE r_i = r_d = 2',
    searchRatio: 0,
    distribution: 'uniform',
    replicas: 2,
    requestsPerRound: 1_500,
    target: { opsPerSecond: 0.4e6 },
  },
];

export interface HotPathRow {
  readonly name: string;
  readonly opsPerSecond: number;
  readonly nativeOpsPerSecond: number;
  readonly ratio: number;
  readonly rttsPerOperation: number;
  /** Bytes allocated per operation, from heap growth over a stretch without a collection. */
  readonly heapBytesPerOperation: number;
  readonly collections: number;
  readonly collectionShare: number;
  readonly longestCollectionMs: number;
  readonly target: Case['target'];
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** One client of a pool of its own, which plays one long stream in slices. */
class Player {
  readonly fabric: ShmFabric;
  readonly #coroutines: readonly Coroutine[];
  readonly #case: Case;
  readonly #nodes: readonly Child<ToNode, FromNode>[];
  readonly #source: StreamSource;
  readonly #reactor: Reactor;

  static async start(c: Case, pool: string, rounds: number): Promise<Player> {
    const requests = c.requestsPerRound * (rounds + WARMUP_ROUNDS + SLICES + 30);
    const { replicas, searchRatio } = c;
    const config = planPool({
      workload: 'mix',
      searchRatio,
      nodes: replicas,
      indexReplicas: replicas,
      dataReplicas: replicas,
      clients: 1,
      coroutines: COROUTINES,
      records: RECORDS,
      requests,
      kvBytes: KV_BYTES,
    });
    requireRoom(config);
    const nodes: Child<ToNode, FromNode>[] = [];
    try {
      for (let mn = 0; mn < config.nodes; mn++) {
        const node = new Child<ToNode, FromNode>(`memory node ${mn}`, './node-process');
        nodes.push(node);
        const ready = node.expect('ready');
        node.tell({ type: 'start', pool, mn, config });
        await ready;
      }
      return new Player(
        c,
        nodes,
        await openSession({ pool, coroutines: COROUTINES, prefault: true }),
        requests,
      );
    } catch (error) {
      await Promise.all(nodes.map((node) => node.end()));
      throw error;
    }
  }

  private constructor(
    c: Case,
    nodes: readonly Child<ToNode, FromNode>[],
    session: Session,
    requests: number,
  ) {
    this.#case = c;
    this.#nodes = nodes;
    if (!(session.fabric instanceof ShmFabric))
      throw new UsageError('the hot path is measured over shared memory');
    this.fabric = session.fabric;
    this.#coroutines = Array.from({ length: COROUTINES }, (_, i) => makeCoroutine(session.state, i));
    const load = this.#sourceOf(loadStreams(valueBytesOf(KV_BYTES)));
    const options = { deadlineNs: DEFAULT_DEADLINE_NS, janitor: session.janitor };
    const loader = new Reactor(this.fabric, this.#coroutines, load, options);
    loader.wake();
    while (loader.active > 0 || !loader.isQuiet) loader.turn();
    this.#check(load);
    this.#source = this.#sourceOf(measuredStreams(c, requests));
    this.#reactor = new Reactor(this.fabric, this.#coroutines, this.#source, options);
    this.#reactor.wake();
    for (let i = 0; i < WARMUP_ROUNDS; i++) this.play(c.requestsPerRound);
  }

  /** Plays on until `requests` more have ended; what is in flight then goes on with the next slice. */
  play(requests: number): { operations: number; rtts: number } {
    const { recorder } = this.#source;
    const before = recorder.operations;
    const rttsBefore = this.#rtts();
    while (recorder.operations < before + requests) this.#reactor.turn();
    this.#check(this.#source);
    return { operations: recorder.operations - before, rtts: this.#rtts() - rttsBefore };
  }

  /**
   * Records slices, as many as touch more memory than caches hold: replaying one again and again would find
   * it in the cache. The pool may be replayed afterwards, and is of no use for anything else.
   */
  record(requests: number): { recording: Recording; operations: number }[] {
    const slices = Array.from({ length: SLICES }, () => {
      this.fabric.record(1 << 15);
      const { operations } = this.play(requests);
      return { recording: this.fabric.stopRecording(), operations };
    });
    // What is in flight must end before a replay.
    this.#source.stopping = true;
    while (this.#reactor.active > 0) this.#reactor.turn();
    return slices;
  }

  async end(): Promise<void> {
    this.fabric.close();
    await Promise.all(this.#nodes.map((node) => node.end()));
  }

  #rtts(): number {
    return this.#source.recorder.ledgers.reduce((sum, l) => sum + l.rtts, 0);
  }

  #sourceOf(streams: readonly RequestStream[]): StreamSource {
    const keys = new KeyTable({
      recordCount: RECORDS,
      clientIndex: 0,
      coroutineCount: 0,
      insertsPerCoroutine: 0,
    });
    const { local } = this.fabric;
    return new StreamSource({
      local,
      streams,
      keys,
      frontier: null,
      writer: 1,
      measureNs: 0,
      endsWithFirst: false,
    });
  }

  #check({ wrongValues, notOk, wrongExamples }: StreamSource): void {
    if (wrongValues + notOk === 0) return;
    throw new CorruptionError(
      `${this.#case.name}: ${wrongValues} wrong values, ${notOk} requests not OK ${wrongExamples.join('; ')}`,
    );
  }
}

function measuredStreams(c: Case, requests: number): RequestStream[] {
  const { searchRatio, distribution } = c;
  return Array.from({ length: COROUTINES }, (_, coroutine) =>
    generateStream(workloadSpec('mix', { searchRatio, distribution }), {
      recordCount: RECORDS,
      requestCount: Math.ceil(requests / COROUTINES),
      flavour: 'ycsb-java',
      seed: 1,
      host: 0,
      process: 0,
      coroutine,
      clientIndex: 0,
      clientCount: 1,
      valueBytes: valueBytesOf(KV_BYTES),
    }),
  );
}

async function measure(c: Case, rounds: number): Promise<HotPathRow> {
  const ours = await Player.start(c, `hotpath-${process.pid}-a`, rounds);
  try {
    const native = await Player.start(c, `hotpath-${process.pid}-b`, rounds);
    try {
      return await compare(c, ours, native, rounds);
    } finally {
      await native.end();
    }
  } finally {
    await ours.end();
  }
}

async function compare(c: Case, ours: Player, native: Player, rounds: number): Promise<HotPathRow> {
  const slices = native.record(c.requestsPerRound);
  const heapBytesPerOperation = heapPerOperation(c, ours);
  const collections: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) collections.push(entry.duration);
  });
  observer.observe({ entryTypes: ['gc'] });
  const oursRates: number[] = [];
  const nativeRates: number[] = [];
  let windowMs = 0;
  let rttsPerOperation = 0;
  for (let round = 0; round < rounds; round++) {
    const startNs = ours.fabric.nowNs();
    const played = ours.play(c.requestsPerRound);
    const elapsedNs = ours.fabric.nowNs() - startNs;
    windowMs += elapsedNs / 1e6;
    rttsPerOperation = played.rtts / played.operations;
    oursRates.push((played.operations / elapsedNs) * 1e9);
    const { recording, operations } = slices[round % SLICES];
    nativeRates.push((operations / native.fabric.replay(recording)) * 1e9);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  observer.disconnect();
  return {
    name: c.name,
    opsPerSecond: median(oursRates),
    nativeOpsPerSecond: median(nativeRates),
    ratio: median(oursRates.map((rate, i) => rate / nativeRates[i])),
    rttsPerOperation,
    heapBytesPerOperation,
    collections: collections.length,
    collectionShare: collections.reduce((a, b) => a + b, 0) / windowMs,
    longestCollectionMs: Math.max(0, ...collections),
    target: c.target,
  };
}

/** Heap growth per operation: the median of several stretches, few of which a collection can shorten. */
function heapPerOperation(c: Case, player: Player): number {
  const grown = Array.from({ length: 7 }, () => {
    const before = process.memoryUsage().heapUsed;
    const { operations } = player.play(3 * c.requestsPerRound);
    return (process.memoryUsage().heapUsed - before) / operations;
  });
  return median(grown);
}

function loadStreams(valueBytes: number): RequestStream[] {
  return Array.from({ length: COROUTINES }, (_, coroutine) => {
    const keys = Float64Array.from({ length: RECORDS / COROUTINES }, (_, i) => i * COROUTINES + coroutine);
    const kinds = new Uint8Array(keys.length).fill(RequestKind.INSERT);
    return {
      length: keys.length,
      kinds,
      keys,
      fromLatest: new Uint8Array(keys.length),
      valueBytes,
      hash: '',
    };
  });
}

const millions = (n: number): string => (n / 1e6).toFixed(2);

export interface HotPathOptions {
  /** One JSON object per case in place of text. */
  readonly json: boolean;
  /** Only the cases whose name contains this. */
  readonly only?: string;
  /** Rounds that each figure is the median of. @default 301 */
  readonly rounds?: number;
}

/**
 * Runs all cases, printing a row each.
 * @throws UsageError when `only` names no case, or `rounds` is no whole number from 1 to 10,000.
 */
export async function runHotPath(options: HotPathOptions): Promise<void> {
  const { only = '', rounds = ROUNDS } = options;
  const cases = CASES.filter(({ name }) => name.includes(only));
  if (cases.length === 0)
    throw new UsageError(`no case is called "${only}": choose from ${CASES.map((c) => c.name).join(', ')}`);
  if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 10_000))
    throw new UsageError(`rounds is ${rounds}: choose a whole number from 1 to 10,000`);
  if (!options.json) {
    process.stdout.write(
      `one client, ${COROUTINES} coroutines, ${RECORDS} keys, 1-KiB values, median of ${rounds} rounds\n`,
    );
  }
  for (const c of cases) {
    const row = await measure(c, rounds);
    if (options.json) {
      process.stdout.write(`${JSON.stringify(row)}\n`);
      continue;
    }
    const ratio = c.target.ratio === undefined ? '' : ` and ratio ${c.target.ratio}`;
    const target = `target ${millions(c.target.opsPerSecond)} M/s${ratio}`;
    process.stdout.write(
      `${row.name.padEnd(22)} ${millions(row.opsPerSecond)} M/s, native ${millions(row.nativeOpsPerSecond)} M/s, ` +
        `ratio ${row.ratio.toFixed(2)} (${target}); ${row.rttsPerOperation.toFixed(3)} RTTs, ` +
        `${row.heapBytesPerOperation.toFixed(0)} heap bytes per operation; ${row.collections} collections, ` +
        `${(row.collectionShare * 100).toFixed(2)} % of the window, longest ${row.longestCollectionMs.toFixed(2)} ms\n`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, only: { type: 'string' }, rounds: { type: 'string' } },
  });
  await runHotPath({
    json: values.json === true,
    only: values.only,
    rounds: values.rounds === undefined ? undefined : Number(values.rounds),
  });
}
