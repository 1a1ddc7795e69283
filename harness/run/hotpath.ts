/**
 * `npm run bench:hotpath`: what one client process achieves, beside a native loop that replays the very same verbs.
 *
 * The yardstick runs in the same process, over the same memory, with the same batches per doorbell, through the same
 * executor; it makes no keys, hashes nothing, and checks neither key nor CRC. Rounds alternate (A B A B ...), and
 * each figure is the median over rounds: the ratio is the result, the rates depend on the machine.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { openSession } from '../../fusee/client/connect.js';
import { Reactor } from '../../fusee/client/reactor.js';
import { makeCoroutine } from '../../fusee/ops/index.js';
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
const ROUNDS = 7;

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
    requestsPerRound: 300_000,
    target: { opsPerSecond: 1.5e6, ratio: 0.6 },
  },
  {
    name: 'SEARCH zipfian',
    searchRatio: 1,
    distribution: 'zipfian',
    replicas: 1,
    requestsPerRound: 300_000,
    target: { opsPerSecond: 1.5e6, ratio: 0.6 },
  },
  {
    name: 'UPDATE r_i = r_d = 1',
    searchRatio: 0,
    distribution: 'uniform',
    replicas: 1,
    requestsPerRound: 60_000,
    target: { opsPerSecond: 0.6e6 },
  },
  {
    name: 'UPDATE r_i = r_d = 2',
    searchRatio: 0,
    distribution: 'uniform',
    replicas: 2,
    requestsPerRound: 60_000,
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

async function measure(c: Case): Promise<HotPathRow> {
  const nodes = Math.max(c.replicas, 1);
  const requests = c.requestsPerRound * (ROUNDS + 3);
  const config = planPool({
    workload: 'mix',
    searchRatio: c.searchRatio,
    nodes,
    indexReplicas: c.replicas,
    dataReplicas: c.replicas,
    clients: 1,
    coroutines: COROUTINES,
    records: RECORDS,
    requests,
    kvBytes: KV_BYTES,
  });
  requireRoom(config);
  const pool = `hotpath-${process.pid}`;
  const children: Child<ToNode, FromNode>[] = [];
  try {
    for (let mn = 0; mn < nodes; mn++) {
      const child = new Child<ToNode, FromNode>(`memory node ${mn}`, './node-process');
      children.push(child);
      const ready = child.expect('ready');
      child.tell({ type: 'start', pool, mn, config });
      await ready;
    }
    return await rounds(c, pool);
  } finally {
    await Promise.all(children.map((child) => child.end()));
  }
}

async function rounds(c: Case, pool: string): Promise<HotPathRow> {
  const { fabric, state } = await openSession({ pool, coroutines: COROUTINES, prefault: true });
  const coroutines = Array.from({ length: COROUTINES }, (_, i) => makeCoroutine(state, i));
  const valueBytes = valueBytesOf(KV_BYTES);
  const keys = new KeyTable({
    recordCount: RECORDS,
    clientIndex: 0,
    coroutineCount: 0,
    insertsPerCoroutine: 0,
  });
  const play = (streams: readonly RequestStream[]): { operations: number; rtts: number } => {
    const source = new StreamSource({
      local: fabric.local,
      streams,
      keys,
      frontier: null,
      writer: 1,
      measureNs: 0,
      endsWithFirst: false,
    });
    const reactor = new Reactor(fabric, coroutines, source);
    reactor.wake();
    while (reactor.active > 0) reactor.turn();
    if (source.wrongValues + source.notOk > 0) {
      throw new Error(
        `${c.name}: ${source.wrongValues} wrong values, ${source.notOk} requests not OK: ${source.wrongExamples}`,
      );
    }
    const { ledgers, operations } = source.recorder;
    return { operations, rtts: ledgers.reduce((sum, l) => sum + l.rtts, 0) };
  };
  const streamsOf = (seed: number, count: number): RequestStream[] =>
    Array.from({ length: COROUTINES }, (_, coroutine) =>
      generateStream(workloadSpec('mix', { searchRatio: c.searchRatio, distribution: c.distribution }), {
        recordCount: RECORDS,
        requestCount: Math.ceil(count / COROUTINES),
        flavour: 'ycsb-java',
        seed,
        host: 0,
        process: 0,
        coroutine,
        clientIndex: 0,
        clientCount: 1,
        valueBytes,
      }),
    );
  try {
    play(loadStreams(valueBytes));
    play(streamsOf(1000, c.requestsPerRound));
    fabric.record(1 << 20);
    const recordStreams = streamsOf(1001, Math.min(c.requestsPerRound, 100_000));
    const recorded = play(recordStreams);
    const recording = fabric.stopRecording();
    const verbsPerOperation = recording.verbs / recorded.operations;

    const heapBefore = process.memoryUsage().heapUsed;
    const stretch = play(recordStreams.map((s) => head(s, 500)));
    const heapBytesPerOperation = (process.memoryUsage().heapUsed - heapBefore) / stretch.operations;

    const collections: number[] = [];
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) collections.push(entry.duration);
    });
    observer.observe({ entryTypes: ['gc'] });
    const ours: number[] = [];
    const native: number[] = [];
    let windowMs = 0;
    let rtts = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const streams = streamsOf(round, c.requestsPerRound);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const before = collections.length;
      const startNs = fabric.nowNs();
      const played = play(streams);
      const elapsedNs = fabric.nowNs() - startNs;
      windowMs += elapsedNs / 1e6;
      rtts = played.rtts / played.operations;
      ours.push((played.operations / elapsedNs) * 1e9);
      await new Promise((resolve) => setTimeout(resolve, 20));
      collections.splice(before, 0);
      const replayNs = fabric.replay(recording);
      native.push((recording.verbs / verbsPerOperation / replayNs) * 1e9);
    }
    observer.disconnect();
    return {
      name: c.name,
      opsPerSecond: median(ours),
      nativeOpsPerSecond: median(native),
      ratio: median(ours.map((rate, i) => rate / native[i])),
      rttsPerOperation: rtts,
      heapBytesPerOperation,
      collections: collections.length,
      collectionShare: collections.reduce((a, b) => a + b, 0) / windowMs,
      longestCollectionMs: Math.max(0, ...collections),
      target: c.target,
    };
  } finally {
    fabric.close();
  }
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

const head = (s: RequestStream, count: number): RequestStream => ({
  ...s,
  length: Math.min(count, s.length),
});

const millions = (n: number): string => (n / 1e6).toFixed(2);

/** Runs all cases, printing a row each. */
export async function runHotPath(options: { json: boolean }): Promise<void> {
  if (!options.json) {
    process.stdout.write(
      `one client, ${COROUTINES} coroutines, ${RECORDS} keys, 1-KiB values, median of ${ROUNDS} rounds\n`,
    );
  }
  for (const c of CASES) {
    const row = await measure(c);
    if (options.json) {
      process.stdout.write(`${JSON.stringify(row)}\n`);
      continue;
    }
    const target = `target ${millions(c.target.opsPerSecond)} M/s${c.target.ratio === undefined ? '' : ` and ratio ${c.target.ratio}`}`;
    process.stdout.write(
      `${row.name.padEnd(22)} ${millions(row.opsPerSecond)} M/s, native ${millions(row.nativeOpsPerSecond)} M/s, ` +
        `ratio ${row.ratio.toFixed(2)} (${target}); ${row.rttsPerOperation.toFixed(3)} RTTs, ` +
        `${row.heapBytesPerOperation.toFixed(0)} heap bytes per operation; ${row.collections} collections, ` +
        `${(row.collectionShare * 100).toFixed(2)} % of the window, longest ${row.longestCollectionMs.toFixed(2)} ms\n`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runHotPath({ json: process.argv.includes('--json') });
}
