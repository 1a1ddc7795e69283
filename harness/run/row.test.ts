import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../../results/histogram.js';
import { sampleSettings as settings } from '../../results/sample.js';
import { type Operation, resultRowSchema } from '../../results/schema.js';
import type { CellOutcome } from './cell.js';
import { faultsOf } from './faults.js';
import type { ClientReport, OperationReport } from './messages.js';
import { cellResult } from './row.js';

const ledger = {
  rtts: 0,
  verbs: 0,
  bytes: 0,
  casFailures: 0,
  polls: 0,
  backgroundVerbs: 0,
  backgroundBytes: 0,
};

function operation(
  name: Operation,
  latenciesNs: readonly number[],
  rest: Partial<OperationReport> = {},
): OperationReport {
  const histogram = new LatencyHistogram();
  for (const ns of latenciesNs) histogram.record(ns);
  const count = latenciesNs.length;
  return { operation: name, latency: histogram.pack(), ledger, count, outcomes: { OK: count }, ...rest };
}

const client = (changes: Partial<ClientReport> = {}): ClientReport => ({
  operations: [operation('search', [1000, 2000])],
  warmupOperations: 0,
  notOk: 0,
  measureNs: 1e9,
  endNs: 3e9,
  closedNs: 3e9,
  wrongValues: 0,
  wrongExamples: [],
  series: [],
  intervals: null,
  collections: { count: 0, milliseconds: 0, longestMs: 0 },
  cache: { hits: 3, misses: 2, bypassed: 1 },
  background: { rtts: 5, verbs: 40, bytes: 900 },
  upkeep: { cellsReclaimed: 7, blocksGivenBack: 2, splits: 1 },
  voluntarySwitches: 3,
  involuntarySwitches: 0,
  coreWaitNs: 40e6,
  selfCost: { nullOperationNs: 120, clockReadNs: 50, clockStepNs: 20, clockBackwards: 0 },
  ...changes,
});

const cpu = { steal: 0, total: 100, busy: 50, own: 50, cores: 2 };
const outcome = (reports: ClientReport[], changes: Partial<CellOutcome> = {}): CellOutcome => ({
  reports,
  streamHash: 'c0ffee',
  lostKeys: 0,
  checkedAtCheck: 10,
  memory: null,
  wrongAtCheck: 0,
  interrupted: false,
  cpuBefore: cpu,
  cpuAfter: cpu,
  hiccups: { count: 2000, p50Ns: 60_000, p99Ns: 90_000, maxNs: 2e6 },
  warmupMs: 1000,
  faults: null,
  ...changes,
});
const rowOf = (reports: ClientReport[], changes: Partial<CellOutcome> = {}) =>
  cellResult(settings, outcome(reports, changes)).row;

describe('a row with faults', () => {
  const kill = {
    kind: 'kill',
    repeats: false,
    target: { role: 'client', index: 1 },
    atNs: 1e9,
    forNs: 0,
  } as const;
  const seriesOf = (...counts: number[]) => counts.map((operations) => ({ operations, p99Ns: 1 }));
  const faults = {
    injected: [{ fault: kill, atNs: 2e9, endNs: null, detail: { pid: 1 } }],
    unmet: [],
  };
  const before = new Array<number>(10).fill(100);

  it('tells what each cost by the series of all clients, up to the end of the window', () => {
    const survivor = client({
      series: seriesOf(...before, 50, 50, 100, 100, 100),
      closedNs: 2.5e9,
      endNs: 3e9,
    });
    const row = rowOf([survivor], { faults });
    expect(row.faults).toEqual([
      {
        atMs: 1000,
        endMs: null,
        kind: 'kill',
        target: 'client 1',
        detail: { pid: 1 },
        meanBeforeOps: 1000,
        recoveryMs: 200,
        lostOperations: 100,
      },
    ]);
    // Behind its window a client only waits for what is in flight: that is no fault's doing.
    const waits = client({ series: seriesOf(...before, 50, 100, 100, 0, 0), closedNs: 2.3e9, endNs: 2.5e9 });
    expect(rowOf([waits], { faults }).faults?.[0]).toMatchObject({ recoveryMs: 100, lostOperations: 50 });
    expect(rowOf([waits]).faults).toBeNull();
  });

  it('may have requests without an answer, which are no throughput; any other failure is one', () => {
    const search = operation('search', [1000], { outcomes: { OK: 1, UNAVAILABLE: 3 } });
    const update = operation('update', [], { outcomes: { UNAVAILABLE: 2 } });
    const report = client({ operations: [search, update], notOk: 5 });
    const result = cellResult(settings, outcome([report], { faults }));
    expect([result.row.operations, result.row.perOperation.update?.rtts]).toEqual([1, null]);
    expect(resultRowSchema.safeParse(result.row).success).toBe(true);
    expect(faultsOf('ycsb-a', result)).toBeNull();
    expect(faultsOf('ycsb-a', cellResult(settings, outcome([report])))).toMatch(
      /3 search requests ended UNAV/,
    );
    const full = client({ operations: [operation('insert', [1], { outcomes: { NO_MEMORY: 1 } })], notOk: 1 });
    const failed = cellResult(settings, outcome([full], { faults }));
    expect(faultsOf('ycsb-a', failed)).toMatch(/1 insert requests ended NO_MEMORY/);
  });

  it('fails when something was planned that did not happen', () => {
    const unmet = ['crash of client 0'];
    const result = cellResult(settings, outcome([client()], { faults: { injected: [], unmet } }));
    expect(faultsOf('ycsb-a', result)).toMatch(
      /the window ended after 2.00 s, before crash of client 0; raise/,
    );
  });
});

describe('a row', () => {
  it('is what the schema asks for', () => {
    expect(resultRowSchema.safeParse(rowOf([client(), client()])).success).toBe(true);
  });

  it('merges histograms of all clients: percentiles are never averaged', () => {
    const slow = client({ operations: [operation('search', new Array(10).fill(1_000_000))] });
    const fast = client({ operations: [operation('search', new Array(990).fill(1000))] });
    const { latencyNs, operations } = rowOf([slow, fast]);
    expect(operations).toBe(1000);
    expect(latencyNs.search?.p50).toBeLessThan(1010);
    expect(latencyNs.search?.p99).toBeLessThan(1010);
    expect(latencyNs.search?.p999).toBeGreaterThan(990_000);
    expect(latencyNs.search?.max).toBe(1_000_000);
  });

  it('divides operations by the time from the window to the last end', () => {
    const row = rowOf([client(), client({ endNs: 5e9 })]);
    expect([row.operations, row.seconds, row.throughputOps]).toEqual([4, 4, 1]);
  });

  it('gives costs per operation, weighted by the requests of each client', () => {
    const few = operation('update', [1], { ledger: { ...ledger, rtts: 10, casFailures: 1 } });
    const more = operation('update', [1, 1, 1], { ledger: { ...ledger, rtts: 12, bytes: 300 } });
    const { perOperation } = rowOf([client({ operations: [few] }), client({ operations: [more] })]);
    expect(perOperation.update).toMatchObject({ count: 4, rtts: 5.5, bytes: 75, casFailures: 0.25 });
    expect(perOperation.search).toBeUndefined();
  });

  it('adds outcomes, look-ups in caches and collections up; their share is of the time of all clients', () => {
    const a = client({
      operations: [operation('search', [1, 1], { outcomes: { OK: 1, NOT_FOUND: 1 } })],
      collections: { count: 2, milliseconds: 10, longestMs: 6 },
    });
    const row = rowOf([a, client()]);
    expect(row.outcomes).toEqual({ search: { OK: 3, NOT_FOUND: 1 } });
    expect(row.collections).toEqual({ count: 2, milliseconds: 10, longestMs: 6, shareOfWindow: 0.0025 });
    expect(row.cache).toEqual({ hits: 6, misses: 4, bypassed: 2 });
    expect(row.background).toEqual({ rtts: 10, verbs: 80, bytes: 1800 });
    expect(row.upkeep).toEqual({ cellsReclaimed: 14, blocksGivenBack: 4, splits: 2 });
  });

  it('adds the series of clients up; the p99 of an interval is the worst of them', () => {
    const a = client({ series: [{ operations: 5, p99Ns: 100 }] });
    const b = client({
      series: [
        { operations: 7, p99Ns: 50 },
        { operations: 1, p99Ns: 9 },
      ],
    });
    const { series } = cellResult(settings, outcome([a, b]));
    expect(series.map((s) => [s.tMs, s.operations, s.p99Ns])).toEqual([
      [0, 12, 100],
      [100, 1, 9],
    ]);
  });

  it('of nothing measured has neither rate nor latency', () => {
    const row = rowOf([client({ operations: [], endNs: 0.5e9 })]);
    expect([row.operations, row.seconds, row.throughputOps, row.latencyNs]).toEqual([0, 0, 0, {}]);
    expect(row.trust?.verdict).toBe('unusable');
    expect(resultRowSchema.safeParse(row).success).toBe(true);
  });
});

describe('what was not checked is null', () => {
  const removes = client({ operations: [operation('delete', [1, 1])] });

  it('wrong values, when no value was read', () => {
    expect(rowOf([removes], { checkedAtCheck: 0, lostKeys: null }).wrongValues).toBe(null);
    expect(rowOf([removes], { checkedAtCheck: 5 }).wrongValues).toBe(0);
    expect(rowOf([client()], { checkedAtCheck: 0 }).wrongValues).toBe(0);
    const unfound = client({ operations: [operation('search', [1], { outcomes: { NOT_FOUND: 1 } })] });
    expect(rowOf([unfound], { checkedAtCheck: 0 }).wrongValues).toBe(null);
  });

  it('lost keys, when they were not read back', () => {
    expect(rowOf([client()], { lostKeys: null }).lostKeys).toBe(null);
    expect(rowOf([client()], { lostKeys: 0 }).lostKeys).toBe(0);
  });

  it('but a wrong value found in the warm-up is not unfound', () => {
    expect(rowOf([client({ operations: [], wrongValues: 1 })], { checkedAtCheck: 0 }).wrongValues).toBe(1);
    expect(rowOf([client({ wrongValues: 1 })], { wrongAtCheck: 2 }).wrongValues).toBe(3);
  });
});

describe('faults', () => {
  const faults = (report: Partial<ClientReport>, changes: Partial<CellOutcome> = {}, name = 'ycsb-a') =>
    faultsOf(name, cellResult({ ...settings, workload: name }, outcome([client(report)], changes)));
  const ended = (outcomes: Record<string, number>): Partial<ClientReport> => ({
    operations: [operation('search', [1, 1], { outcomes })],
    notOk: Object.entries(outcomes).reduce((sum, [name, n]) => sum + (name === 'OK' ? 0 : n), 0),
  });

  it('are none when all is well', () => {
    expect(faults({})).toBe(null);
  });

  it('are wrong values, with examples, and lost keys, with numbers', () => {
    expect(faults({ wrongValues: 2, wrongExamples: ['key 7: verdict 3'] }, { lostKeys: 4 })).toBe(
      'ycsb-a: 2 wrong values (key 7: verdict 3); 4 acknowledged keys are gone',
    );
  });

  it('are things in the memory that do not add up, the first of them one by one', () => {
    const findings = Array.from({ length: 7 }, (_, slot) => ({
      kind: 'slot-kind' as const,
      node: 1,
      where: `slot ${slot}`,
      message: 'it is of no kind',
    }));
    const clean = {
      config: {} as never,
      isComplete: true,
      clients: [],
      index: {} as never,
      nodes: [],
      findingsByKind: {},
    };
    expect(faults({}, { memory: { ...clean, findings: [], findingCount: 0 } })).toBe(null);
    expect(faults({}, { memory: { ...clean, findings, findingCount: 7 } })?.split('\n')).toEqual([
      "ycsb-a: 7 things in the pool's memory do not add up, first:",
      ...[0, 1, 2, 3, 4].map((slot) => `  node 1, slot ${slot}: slot-kind: it is of no kind`),
    ]);
  });

  it('are outcomes that the workload rules out; a trace may ask for what is not there', () => {
    expect(faults(ended({ OK: 1, NOT_FOUND: 1 }))).toBe('ycsb-a: 1 search requests ended NOT_FOUND');
    expect(faults(ended({ OK: 1, NOT_FOUND: 1 }), {}, 'trace')).toBe(null);
    expect(faults(ended({ UNAVAILABLE: 2 }), {}, 'trace')).toBe('trace: 2 search requests ended UNAVAILABLE');
  });

  it('are requests of the warm-up that failed', () => {
    expect(faults({ notOk: 3 })).toBe('ycsb-a: 3 requests of the warm-up ended in anything but OK');
  });

  it('are an empty window, unless the user ended it', () => {
    expect(faults({ operations: [] })).toMatch(
      /all requests ended within the warm-up; raise --requests or set a shorter/,
    );
    expect(faults({ operations: [] }, { interrupted: true })).toBe(null);
  });
});

describe('a row of clients that come and go', () => {
  const point = (operations: number) => ({ operations, p99Ns: 1000 * operations });

  it('has a series in which those that joined count from when they did', () => {
    const first = client({ series: [10, 10, 10, 10].map(point) });
    const joined = client({ measureNs: 1e9 + 2e8, series: [5, 7].map(point) });
    const { series } = cellResult(settings, outcome([first, joined]));
    expect(series.map(({ tMs, operations, p99Ns }) => [tMs, operations, p99Ns])).toEqual([
      [0, 10, 10_000],
      [100, 10, 10_000],
      [200, 15, 10_000],
      [300, 17, 10_000],
    ]);
  });

  it('calls nobody a fault who comes or goes in order', () => {
    const change = { client: 2, atNs: 1e9, repeats: false };
    const injected = (['join', 'leave'] as const).map((kind) => ({
      fault: { kind, ...change },
      atNs: 2e9,
      endNs: null,
      detail: { tookMs: 3 },
    }));
    const { row } = cellResult(settings, outcome([client()], { faults: { injected, unmet: [] } }));
    expect(row.faults ?? []).toEqual([]);
  });
});
