/** A made-up but plausible run for tests and for looking at figures; nothing in it was measured. */
import { LatencyHistogram } from '../results/histogram.js';
import { sampleProvenance, sampleRow } from '../results/sample.js';
import type { Operation, ResultRow } from '../results/schema.js';
import { openRun } from '../results/store.js';

/** Median latency in ns of each operation, roughly one RTT per step of its protocol. */
const MEDIAN_NS: Readonly<Record<string, number>> = {
  search: 2300,
  update: 9400,
  insert: 10_800,
  rmw: 12_100,
};
const MIXES: readonly {
  workload: string;
  throughputOps: number;
  shares: Partial<Record<Operation, number>>;
}[] = [
  { workload: 'ycsb-a', throughputOps: 241_000, shares: { search: 0.5, update: 0.5 } },
  { workload: 'ycsb-b', throughputOps: 512_000, shares: { search: 0.95, update: 0.05 } },
  { workload: 'ycsb-c', throughputOps: 688_000, shares: { search: 1 } },
  { workload: 'ycsb-d', throughputOps: 544_000, shares: { search: 0.95, insert: 0.05 } },
  { workload: 'ycsb-f', throughputOps: 198_000, shares: { search: 0.5, rmw: 0.5 } },
];

/** What a test may set about the made-up run. */
export interface SampleRunOptions {
  readonly root: string;
  readonly repetitions?: number;
  readonly changes?: Partial<ResultRow>;
  /** Only the first this many workloads. */
  readonly workloads?: number;
  readonly withoutLatency?: boolean;
  readonly withoutSeries?: boolean;
  /** Store latencies by intervals of 100 ms. */
  readonly byInterval?: boolean;
  /** Clients of the rows of one workload each: a sweep, in place of repetitions. */
  readonly sweep?: readonly number[];
}

/** Writes a finished run of all workloads; returns its folder. The same options give the same numbers. */
export const writeSampleRun = (options: SampleRunOptions): string => {
  const random = seeded(42);
  const run = openRun({
    root: options.root,
    experiment: 'sample',
    resolved: { note: 'made up for tests' },
    provenance: sampleProvenance,
    now: new Date('2026-01-02T03:04:05.000Z'),
  });
  let startMs = 0;
  for (const { workload, throughputOps, shares } of MIXES.slice(0, options.workloads)) {
    for (let repetition = 0; repetition < (options.sweep?.length ?? options.repetitions ?? 3); repetition++) {
      const clients = options.sweep?.[repetition];
      const row = sampleRow({
        workload,
        repetition: clients === undefined ? repetition : 0,
        throughputOps: throughputOps * (0.95 + 0.1 * random()),
        ...(clients === undefined ? {} : underLoad(clients, throughputOps)),
        ...options.changes,
      });
      run.appendRow(row);
      for (const [operation, share] of Object.entries(shares)) {
        if (options.withoutLatency) break;
        const parts = options.byInterval ? 50 : 1;
        for (let part = 0; part < parts; part++) {
          // In one of the intervals everything waits for a while.
          const medianNs = MEDIAN_NS[operation] * (parts > 1 && part === 25 ? 6 : 1);
          const histogram = sampleHistogram(medianNs, (12_000 * share) / parts, random);
          const from = startMs + (5000 / parts) * part;
          const tag = `${workload}/${operation}`;
          run.appendLatency({ tag, startMs: from, endMs: from + 5000 / parts, histogram });
        }
      }
      if (!options.withoutSeries) run.appendSeries(sampleSeries(row, random));
      startMs += 5000;
    }
  }
  run.appendEvent({
    at: '2026-01-02T03:04:07.000Z',
    kind: 'kill',
    label: 'MN 1 killed',
    workload: 'ycsb-a',
    tMs: 2500,
  });
  return run.finish();
};

/** Throughput that saturates, and latencies that then rise. */
const underLoad = (clients: number, mostOps: number): Partial<ResultRow> => {
  const factor = 1 + (clients / 4) ** 2;
  const latency = (ns: number) => ({
    p50: ns,
    p90: ns * 2,
    p99: ns * 4 * factor,
    p999: ns * 9,
    max: ns * 90,
  });
  return {
    clients,
    throughputOps: mostOps * (1 - Math.exp(-clients / 3)) * (clients > 8 ? 0.94 : 1),
    latencyNs: { search: latency(2100), update: latency(9800) },
  };
};

/** Log-normal latencies with a share of slow ones, as retries and a busy machine make them. */
const sampleHistogram = (medianNs: number, count: number, random: () => number): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < count; i++) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const slow = random() < 0.02 ? 1 + 12 * random() : 1;
    histogram.record(Math.round(medianNs * Math.exp(0.28 * normal) * slow));
  }
  return histogram;
};

const sampleSeries = (
  row: ResultRow,
  random: () => number,
): Parameters<ReturnType<typeof openRun>['appendSeries']>[0] => {
  const { system, workload, fabric, clients, repetition } = row;
  return Array.from({ length: 50 }, (_, at) => ({
    system,
    workload,
    fabric,
    clients,
    repetition,
    tMs: at * 100,
    operations: Math.round(row.throughputOps * 0.1 * (0.94 + 0.12 * random()) * (at === 25 ? 0.6 : 1)),
    p99Ns: 20_000 + 5000 * random(),
  }));
};

/** Mulberry32, uniform in [0, 1). */
const seeded = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
};
