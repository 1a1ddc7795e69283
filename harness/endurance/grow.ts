/** The growth check: keys are inserted into an index of one subtable, while others look for them. */
import { fsck } from '../../fusee/client/fsck.js';
import type { PoolReport } from '../../fusee/fsck/index.js';
import type { LatencySummary } from '../../results/histogram.js';
import { SERIES_MS } from '../run/recorder.js';
import { findingsOf } from './endure.js';
import type { Faults, SplitRecord, WorkerPlan } from './messages.js';
import { type CheckHooks, mergeFaults, type Party, withParty } from './party.js';
import { type GrowthSize, planGrowth } from './plan.js';
import { median, mergeSeries, mergeSpans, quantile } from './summary.js';

/** Subtables are to be this full, in the mean, when they are split. */
export const SPLIT_LOAD_LEAST = 0.8;
/**
 * SEARCHes beside splits are to take no longer than so many times what others take, at the 99th
 * percentile.
 */
export const SEARCH_FACTOR_MOST = 3;
/** Requests of a client that only searches in flight. */
const SEARCH_COROUTINES = 4;

/** What a growth check is told. */
export interface GrowthOptions extends GrowthSize {
  readonly seed: number;
  readonly deadlineNs: number;
}

/** What a growth check brought. */
export interface GrowthResult {
  readonly keys: number;
  readonly groups: number;
  readonly seconds: number;
  readonly insertsPerSecond: number;
  /** Keys per second, by tenth of the run. */
  readonly rates: readonly number[];
  readonly subtables: number;
  readonly splits: number;
  /** Of the subtables that were split, at that moment. */
  readonly load: { readonly mean: number; readonly least: number };
  readonly loadAtEnd: number;
  readonly splitMs: { readonly median: number; readonly p99: number; readonly most: number };
  /** Share of the run in which some split was under way. */
  readonly splitShare: number;
  /** SEARCHes beside splits and in quiet; null when there were none. */
  readonly search: { readonly beside: LatencySummary | null; readonly quiet: LatencySummary | null };
  /** p99 beside splits over p99 in quiet. */
  readonly searchFactor: number | null;
  readonly searches: number;
  readonly faults: Faults;
  readonly keysChecked: number;
  readonly findings: Faults;
  readonly findingsAfterLeave: Faults;
  /** What must hold and does not; empty when all is well. */
  readonly failures: readonly string[];
}

/** Runs the check once. Errors as `withParty`. */
export async function grow(options: GrowthOptions, hooks: CheckHooks): Promise<GrowthResult> {
  const config = planGrowth(options);
  const pool = `grow-${process.pid}`;
  const { clients, coroutines, seed, deadlineNs, keys } = options;
  const common = { pool, clients: clients + 1, seed, deadlineNs };
  const plans = Array.from({ length: clients }, (_, clientIndex): WorkerPlan => {
    const own = Math.floor((keys * (clientIndex + 1)) / clients) - Math.floor((keys * clientIndex) / clients);
    return { ...common, clientIndex, coroutines, load: { kind: 'grow', keys: own } };
  });
  plans.push({ ...common, clientIndex: clients, coroutines: SEARCH_COROUTINES, load: { kind: 'search' } });
  return await withParty({ pool, config, plans }, hooks, async (party) => {
    const { finished, seconds } = await runAll(party, { keys, say: hooks.say });
    const inserters = finished.slice(0, clients).map(({ report }) => report);
    const splits = inserters.flatMap((report) => report.splits);
    const spans = mergeSpans(splits.map(({ startNs, endNs }) => [startNs, endNs]));
    const [search] = await party.all({ type: 'cut', spans }, 'latencies', party.clients.slice(clients));
    hooks.say('reading back');
    const checked = await party.all({ type: 'check' }, 'checked', party.clients.slice(0, clients));
    hooks.say('checking the memory');
    const rested = await party.whileWhole(fsck({ pool }));
    await party.all({ type: 'leave' }, 'left');
    const left = await party.whileWhole(fsck({ pool }));
    const series = mergeSeries(inserters.map((report) => report.series));
    const faults = [...finished, ...checked].map((answer) => answer.faults);
    const result = {
      keys,
      groups: options.groups,
      seconds,
      insertsPerSecond: keys / seconds,
      rates: tenths(series.map(({ operations }) => (operations * 1000) / SERIES_MS)),
      ...indexOf(rested),
      ...splitsOf(splits),
      splitShare: spans.reduce((sum, [from, to]) => sum + to - from, 0) / (seconds * 1e9),
      search: { beside: search.beside, quiet: search.quiet },
      searchFactor: factorOf(search),
      searches: finished[clients].report.operations,
      faults: mergeFaults(faults),
      keysChecked: checked.reduce((sum, answer) => sum + answer.present, 0),
      findings: findingsOf(rested),
      findingsAfterLeave: findingsOf(left),
    };
    return { ...result, failures: failuresOf(result) };
  });
}

/** Inserts all keys, and searches until that is done. */
async function runAll(
  party: Party,
  { keys, say }: { keys: number; say: (text: string) => void },
): Promise<{ finished: Awaited<ReturnType<Party['run']>>; seconds: number }> {
  const inserters = party.clients.slice(0, -1);
  const searcher = party.clients[party.clients.length - 1];
  party.onProgress = () => {
    const inserted = party.progress.slice(0, -1).map((progress) => progress.inserted);
    searcher.tell({ type: 'frontier', inserted });
    const done = inserted.reduce((sum, n) => sum + n, 0);
    say(`${done.toLocaleString('en')} of ${keys.toLocaleString('en')} keys inserted`);
  };
  const startMs = performance.now();
  const searching = party.run(0, [searcher]);
  // Should the others fail first, this one ends with them.
  searching.catch(() => {});
  const finished = await party.run(0, inserters);
  const seconds = (performance.now() - startMs) / 1000;
  party.onProgress = () => {};
  party.stop('run', [searcher]);
  return { finished: [...finished, ...(await searching)], seconds };
}

function indexOf({ index }: PoolReport): Pick<GrowthResult, 'subtables' | 'splits' | 'loadAtEnd'> {
  return { subtables: index.subtables, splits: index.splits, loadAtEnd: index.loadFactor };
}

function splitsOf(splits: readonly SplitRecord[]): Pick<GrowthResult, 'load' | 'splitMs'> {
  const loads = splits.map(({ load }) => load);
  const times = splits.map(({ startNs, endNs }) => (endNs - startNs) / 1e6);
  return {
    load: {
      mean: loads.reduce((sum, load) => sum + load, 0) / Math.max(1, loads.length),
      least: Math.min(1, ...loads),
    },
    splitMs: { median: median(times), p99: quantile(times, 0.99), most: Math.max(0, ...times) },
  };
}

const factorOf = ({ beside, quiet }: GrowthResult['search']): number | null =>
  beside === null || quiet === null ? null : beside.p99 / quiet.p99;

function tenths(rates: readonly number[]): number[] {
  return Array.from({ length: Math.min(10, rates.length) }, (_, i) => {
    const part = rates.slice(Math.floor((i * rates.length) / 10), Math.ceil(((i + 1) * rates.length) / 10));
    return part.reduce((sum, rate) => sum + rate, 0) / Math.max(1, part.length);
  });
}

function failuresOf(result: Omit<GrowthResult, 'failures'>): string[] {
  const { faults, findings, findingsAfterLeave, keys, keysChecked, splits } = result;
  const failures: string[] = [];
  if (faults.count > 0) failures.push(`${faults.count} requests went wrong: ${faults.examples.join('; ')}`);
  if (keysChecked !== keys) failures.push(`${keys - keysChecked} keys are lost`);
  if (splits === 0) failures.push('nothing was split: the check is too small');
  if (findings.count > 0)
    failures.push(`fsck has ${findings.count} findings: ${findings.examples.join('; ')}`);
  if (findingsAfterLeave.count > 0) {
    const { count, examples } = findingsAfterLeave;
    failures.push(`fsck has ${count} findings when all have left: ${examples.join('; ')}`);
  }
  return failures;
}
