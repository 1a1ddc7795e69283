/** Makes a result row, and what is stored beside it, from what a cell's clients reported. */

import type { PoolReport } from '../../fusee/fsck/index.js';
import { LatencyHistogram, type PackedHistogram } from '../../results/histogram.js';
import { faultCost } from '../../results/recovery.js';
import {
  type BackgroundCounts,
  type CacheCounts,
  type FaultRecord,
  OPERATIONS,
  type Operation,
  type PerOperation,
  type ResultRow,
  SCHEMA_VERSION,
  type SeriesPoint,
  type UpkeepCounts,
} from '../../results/schema.js';
import type { Injected } from '../fault/conduct.js';
import { isOnMembers, targetOf } from '../fault/plan.js';
import type { CellOutcome } from './cell.js';
import { conditionsOf } from './conditions.js';
import { type IntervalReport, mergeIntervals } from './interval-log.js';
import type { ClientReport, OperationReport } from './messages.js';
import { mergeOpenLoop } from './open-loop.js';
import type { OpenLoopPlan } from './plan-open-loop.js';
import { SERIES_MS } from './recorder.js';
import { judge } from './trust.js';
import type { Verification } from './verifier.js';

/** The settings that name a cell. */
export type CellSettings = Pick<
  ResultRow,
  | 'system'
  | 'workload'
  | 'flavour'
  | 'fabric'
  | 'clients'
  | 'coroutines'
  | 'nodes'
  | 'indexReplicas'
  | 'dataReplicas'
  | 'kvBytes'
  | 'seed'
  | 'repetition'
  | 'rttNs'
> & {
  readonly cellKey?: string;
  /** Left out, or null: a closed loop. */
  readonly openLoop?: OpenLoopPlan | null;
};

/** A cell's row, and what belongs to it. */
export interface CellResult {
  readonly row: ResultRow;
  /** Service times. */
  readonly histograms: ReadonlyMap<Operation, LatencyHistogram>;
  /** Response times; empty in a closed loop. */
  readonly responses: ReadonlyMap<Operation, LatencyHistogram>;
  readonly series: readonly SeriesPoint[];
  /** Latencies by interval from the window's start, and that on the monotonic clock; null when incomplete. */
  readonly intervals: (IntervalReport & { readonly startNs: number }) | null;
  readonly wrongExamples: readonly string[];
  /** Requests, of the warm-up too, that ended in anything but OK. */
  readonly notOk: number;
  /** The verdict on the cell's history; null when none was recorded. */
  readonly verification: Verification | null;
  /** What a walk over the pool's memory found at the end; null when nobody looked. */
  readonly memory: PoolReport | null;
  /** Faults that were planned and did not happen. */
  readonly unmetFaults: readonly string[];
}

/** Puts a cell's result together. Histograms are merged, percentiles never averaged. */
export function cellResult(
  { openLoop = null, ...settings }: CellSettings,
  outcome: CellOutcome,
  verification: Verification | null = null,
): CellResult {
  const { reports } = outcome;
  const histograms = mergeHistograms(reports, (o) => o.latency);
  const responses = mergeHistograms(reports, (o) => o.response);
  const operations = [...histograms.values()].reduce((sum, h) => sum + h.count, 0);
  const measureNs = Math.min(...reports.map((r) => r.measureNs));
  const endNs = Math.max(...reports.map((r) => r.endNs));
  const seconds = Math.max(0, (endNs - measureNs) / 1e9);
  const collections = mergeCollections(reports, seconds);
  const series = mergeSeries(settings, reports);
  // Behind that there are fewer and fewer requests in flight. Who has died closed nothing.
  const closedNs = Math.min(...reports.filter((r) => r.endNs > r.closedNs).map((r) => r.closedNs), endNs);
  const conditions = conditionsOf(outcome, {
    series,
    closedMs: (closedNs - measureNs) / 1e6,
    seconds,
    hasFaults: outcome.faults !== null,
  });
  const row: ResultRow = {
    schemaVersion: SCHEMA_VERSION,
    ...settings,
    cellKey: settings.cellKey ?? null,
    reusedFrom: null,
    responseNs: openLoop === null ? null : summaries(responses),
    openLoop: openLoop === null ? null : mergeOpenLoop(openLoop, reports, responses),
    warmupMs: outcome.warmupMs,
    operations,
    seconds,
    throughputOps: seconds > 0 ? operations / seconds : 0,
    wrongValues: wrongValues(outcome),
    lostKeys: outcome.lostKeys,
    latencyNs: summaries(histograms),
    perOperation: byOperation(reports, perOperation),
    outcomes: byOperation(reports, mergeOutcomes),
    collections,
    cache: mergeCache(reports),
    background: mergeBackground(reports),
    upkeep: mergeUpkeep(reports),
    trust: judge({
      busyProcesses: settings.clients,
      collections,
      conditions,
      warmupMs: outcome.warmupMs,
      seconds,
      operations,
      hasFaults: outcome.faults !== null,
    }),
    conditions,
    streamHash: outcome.streamHash,
    interrupted: outcome.interrupted,
    linearizable: verification?.isLinearizable ?? null,
    faults: faultRecords(outcome.faults?.injected ?? [], series, {
      measureNs,
      closedNs,
    }),
  };
  return {
    row,
    histograms,
    responses,
    series,
    intervals: intervalsOf(reports, measureNs),
    wrongExamples: reports.flatMap((r) => r.wrongExamples),
    notOk: reports.reduce((sum, r) => sum + r.notOk, 0),
    verification,
    memory: outcome.memory,
    unmetFaults: outcome.faults?.unmet ?? [],
  };
}

/** null unless every client told them, since without one's they would not add up to all latencies. */
function intervalsOf(reports: readonly ClientReport[], startNs: number): CellResult['intervals'] {
  // Who joined in the window counts from another moment.
  if (reports.some((report) => report.measureNs !== startNs)) return null;
  const told = reports.map(({ intervals }) => intervals).filter((one) => one !== null);
  const merged = told.length === reports.length ? mergeIntervals(told) : null;
  return merged === null ? null : { ...merged, startNs };
}

/** The faults that happened, with what they cost by the series; null when there were none. */
function faultRecords(
  injected: readonly Injected[],
  series: readonly SeriesPoint[],
  { measureNs, closedNs }: { measureNs: number; closedNs: number },
): FaultRecord[] | null {
  if (injected.length === 0) return null;
  const windowMs = (closedNs - measureNs) / 1e6;
  const sinceStart = (ns: number): number => Math.max(0, (ns - measureNs) / 1e6);
  // Who comes or goes in order is an event, and no fault.
  const records = injected.flatMap(({ fault, atNs, endNs, detail }): FaultRecord[] => {
    if (isOnMembers(fault)) return [];
    const atMs = sinceStart(atNs);
    const endMs = endNs === null ? null : sinceStart(endNs);
    const cost = faultCost(series, { atMs, windowMs });
    return [{ atMs, endMs, kind: fault.kind, target: targetOf(fault), detail, ...cost }];
  });
  return records.sort((a, b) => a.atMs - b.atMs);
}

/** Wrong values; null when not one value was read, so that none could be found wrong. */
function wrongValues({ reports, checkedAtCheck, wrongAtCheck }: CellOutcome): number | null {
  const wrong = reports.reduce((sum, r) => sum + r.wrongValues, wrongAtCheck);
  const read = reports.some((r) =>
    r.operations.some(
      (o) => (o.operation === 'search' || o.operation === 'rmw') && (o.outcomes['OK'] ?? 0) > 0,
    ),
  );
  return read || wrong > 0 || checkedAtCheck > 0 ? wrong : null;
}

const summaries = (histograms: ReadonlyMap<Operation, LatencyHistogram>): ResultRow['latencyNs'] =>
  Object.fromEntries(
    [...histograms].flatMap(([operation, h]) => {
      const summary = h.summary();
      return summary === null ? [] : [[operation, summary]];
    }),
  );

function mergeHistograms(
  reports: readonly ClientReport[],
  of: (operation: OperationReport) => PackedHistogram | undefined,
): Map<Operation, LatencyHistogram> {
  const merged = new Map<Operation, LatencyHistogram>();
  for (const operation of OPERATIONS) {
    for (const report of reports) {
      const found = report.operations.find((o) => o.operation === operation);
      const packed = found === undefined ? undefined : of(found);
      if (packed === undefined) continue;
      const decoded = LatencyHistogram.unpack(packed);
      const into = merged.get(operation);
      if (into === undefined) merged.set(operation, decoded);
      else into.merge(decoded);
    }
  }
  return merged;
}

function byOperation<T>(
  reports: readonly ClientReport[],
  make: (parts: readonly OperationReport[]) => T,
): Partial<Record<Operation, T>> {
  const result: Partial<Record<Operation, T>> = {};
  for (const operation of OPERATIONS) {
    const parts = reports.flatMap((r) => r.operations.filter((o) => o.operation === operation));
    if (parts.length > 0) result[operation] = make(parts);
  }
  return result;
}

function perOperation(parts: readonly OperationReport[]): PerOperation {
  const count = parts.reduce((sum, p) => sum + p.count, 0);
  // Requests without an answer cost something too; but when not one was answered, nothing has a mean.
  const mean = (of: (p: OperationReport) => number): number | null =>
    count === 0 ? null : parts.reduce((sum, p) => sum + of(p), 0) / count;
  return {
    count,
    rtts: mean((p) => p.ledger.rtts),
    verbs: mean((p) => p.ledger.verbs),
    bytes: mean((p) => p.ledger.bytes),
    casFailures: mean((p) => p.ledger.casFailures),
    backgroundVerbs: mean((p) => p.ledger.backgroundVerbs),
    backgroundBytes: mean((p) => p.ledger.backgroundBytes),
    polls: mean((p) => p.ledger.polls),
  };
}

function mergeOutcomes(parts: readonly OperationReport[]): Record<string, number> {
  const merged: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part.outcomes)) merged[name] = (merged[name] ?? 0) + count;
  }
  return merged;
}

function mergeCollections(reports: readonly ClientReport[], seconds: number) {
  const milliseconds = reports.reduce((sum, r) => sum + r.collections.milliseconds, 0);
  return {
    count: reports.reduce((sum, r) => sum + r.collections.count, 0),
    milliseconds,
    longestMs: reports.reduce((most, r) => Math.max(most, r.collections.longestMs), 0),
    // The share of the clients' time, since collections of one do not stop the others.
    shareOfWindow: seconds === 0 ? 0 : Math.min(1, milliseconds / (seconds * 1000 * reports.length)),
  };
}

function mergeCache(reports: readonly ClientReport[]): CacheCounts {
  const sum = (of: keyof CacheCounts): number => reports.reduce((n, { cache }) => n + cache[of], 0);
  return { hits: sum('hits'), misses: sum('misses'), bypassed: sum('bypassed') };
}

function mergeBackground(reports: readonly ClientReport[]): BackgroundCounts {
  const sum = (of: keyof BackgroundCounts): number => reports.reduce((n, r) => n + r.background[of], 0);
  return { rtts: sum('rtts'), verbs: sum('verbs'), bytes: sum('bytes') };
}

function mergeUpkeep(reports: readonly ClientReport[]): UpkeepCounts {
  const sum = (of: keyof UpkeepCounts): number => reports.reduce((n, { upkeep }) => n + upkeep[of], 0);
  return {
    cellsReclaimed: sum('cellsReclaimed'),
    blocksGivenBack: sum('blocksGivenBack'),
    splits: sum('splits'),
  };
}

/** A client that joined has a series that begins at its own start, by whole intervals later. */
function mergeSeries(settings: CellSettings, reports: readonly ClientReport[]): SeriesPoint[] {
  const { cellKey = null, system, workload, fabric, clients, repetition } = settings;
  const startNs = Math.min(...reports.map((r) => r.measureNs));
  const operations: number[] = [];
  const p99Ns: number[] = [];
  for (const { series, measureNs } of reports) {
    const first = Math.round((measureNs - startNs) / (SERIES_MS * 1e6));
    series.forEach((interval, i) => {
      operations[first + i] = (operations[first + i] ?? 0) + interval.operations;
      // p99 over clients is not known from their p99s: the worst one bounds it.
      p99Ns[first + i] = Math.max(p99Ns[first + i] ?? 0, interval.p99Ns);
    });
  }
  return Array.from(operations, (count, i) => ({
    cellKey,
    system,
    workload,
    fabric,
    clients,
    repetition,
    tMs: i * SERIES_MS,
    intervalMs: SERIES_MS,
    operations: count ?? 0,
    p99Ns: p99Ns[i] ?? 0,
  }));
}
