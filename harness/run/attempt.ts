/** One attempt at a cell: run, checked, stored, and logged with what became of it. */
import type { PoolReport } from '../../fusee/fsck/index.js';
import { FuseeError } from '../../fusee/verbs/index.js';
import { ResultError } from '../../results/error.js';
import type { LatencyHistogram } from '../../results/histogram.js';
import { formatTag } from '../../results/hlog.js';
import type { Attempt, FaultRecord, Operation, ResultRow } from '../../results/schema.js';
import type { Run } from '../../results/store.js';
import type { Injected } from '../fault/conduct.js';
import { targetOf } from '../fault/plan.js';
import type { CellOutcome } from './cell.js';
import { faultsOf } from './faults.js';
import { latencyIntervals } from './latency-intervals.js';
import type { LiveView } from './live.js';
import type { BenchOptions, Cell } from './plan-bench.js';
import { type CellResult, cellResult } from './row.js';
import { describeVerification, runVerified } from './verifier.js';

/** A cell with its key, and the settings that it is one of. */
export interface KeyedCell extends Cell {
  readonly key: string;
  readonly options: BenchOptions;
  /** How many repetitions its run numbers, those of other parts among them. */
  readonly numbered: number;
}

/** Says in the run's log what became of cells. */
export function logAttempts(
  run: Run,
  cells: readonly KeyedCell[],
  outcome: Attempt['outcome'],
  reason: string | null,
): void {
  const at = new Date().toISOString();
  for (const { key, name, repetition } of cells) {
    run.appendAttempt({ cellKey: key, at, cell: name, repetition, attempt: 1, outcome, reason });
  }
}

/** One cell, stored, with its attempt; no result when nothing was measured. */
export async function attempt(
  run: Run,
  cell: KeyedCell,
  { view, abort }: { readonly view: LiveView; readonly abort: AbortSignal },
): Promise<{ result: CellResult | null; fault: string | null }> {
  const { options } = cell;
  const shown = view.cell(titleOf(cell));
  const progress = {
    ...shown,
    fault: (injected: Injected, windowNs: number): void => {
      run.appendEvent(eventOf(cell, injected, windowNs));
      shown.fault?.(injected, windowNs);
    },
  };
  const startedMs = Date.now();
  const log = (outcome: Attempt['outcome'], reason: string | null): void =>
    logAttempts(run, [cell], outcome, reason);
  try {
    const { outcome, verification } = await runVerified(cell.plan, options.verify === true, {
      progress,
      abort,
    });
    const result = cellResult(settingsOf(cell), outcome, verification);
    const faults = faultsOf(cell.name, result);
    if (result.row.interrupted && result.row.operations === 0) {
      log('interrupted', 'before anything was measured');
      progress.done('interrupted');
      return { result: null, fault: faults };
    }
    store(run, cell, result, startedMs);
    for (const event of seenTo(cell, outcome)) run.appendEvent(event);
    if (faults !== null) log('failed', faults);
    else if (result.row.interrupted) log('interrupted', 'what was measured until then is kept');
    else log('ok', null);
    progress.done(summarise(result));
    return { result, fault: faults };
  } catch (error) {
    if (abort.aborted && error === abort.reason) {
      log('interrupted', 'before anything was measured');
      progress.done('interrupted');
      return { result: null, fault: null };
    }
    const message = error instanceof Error ? error.message : String(error);
    log('failed', message);
    progress.done('failed');
    // What nobody foresaw goes on to the user with its stack.
    if (!(error instanceof FuseeError || error instanceof ResultError)) throw error;
    return { result: null, fault: `${cell.name}: ${message}` };
  }
}

/** The cell as a person knows it. */
export const titleOf = ({ name, label, repetition, numbered }: KeyedCell): string =>
  `${name}${label === null ? '' : ` ${label}`}${numbered > 1 ? ` (${repetition + 1}/${numbered})` : ''}`;

/** A fault as an event of the run; written when it happens, so that it is there whatever follows. */
function eventOf(cell: KeyedCell, { fault, atNs, detail }: Injected, windowNs: number) {
  const target = targetOf(fault);
  return {
    cellKey: cell.key,
    at: new Date().toISOString(),
    kind: fault.kind,
    label: `${fault.kind} ${target}`,
    workload: cell.name,
    repetition: cell.repetition,
    tMs: Math.max(0, (atNs - windowNs) / 1e6),
    detail: { target, ...detail },
  };
}

/** What the master did, as events of the run; known when the cell is over. */
function seenTo(cell: KeyedCell, { recoveries = [], changes = [], reports }: CellOutcome) {
  const windowNs = Math.min(...reports.map(({ measureNs }) => measureNs));
  const { key: cellKey, name: workload, repetition } = cell;
  const place = { cellKey, at: new Date().toISOString(), workload, repetition };
  return [
    ...recoveries.map(({ lostAtNs, ...detail }) => ({
      ...place,
      kind: 'recovery',
      // Not drawn: the death that it belongs to is.
      label: '',
      tMs: (lostAtNs - windowNs) / 1e6,
      detail,
    })),
    ...changes.map(({ stopAtNs, ...detail }) => ({
      ...place,
      kind: 'view',
      label: `view ${detail.number}`,
      tMs: (stopAtNs - windowNs) / 1e6,
      detail,
    })),
  ];
}

const settingsOf = ({ options, ...cell }: KeyedCell): Parameters<typeof cellResult>[0] => {
  const { flavour, coroutines, nodes, indexReplicas, dataReplicas, kvBytes, rttNs } = options;
  return {
    cellKey: cell.key,
    system: 'fusee',
    workload: cell.name,
    flavour,
    fabric: options.fabric ?? 'shm',
    clients: cell.clients,
    coroutines,
    nodes,
    indexReplicas,
    dataReplicas,
    kvBytes,
    seed: cell.seed,
    repetition: cell.repetition,
    rttNs,
    openLoop: cell.openLoop,
  };
};

function store(run: Run, cell: KeyedCell, result: CellResult, startedMs: number): void {
  run.appendRow(result.row);
  run.appendSeries(result.series);
  const originMs = run.started.getTime();
  const tagOf = (operation: string): string =>
    formatTag({ label: cell.label ?? '', workload: cell.name, operation });
  const append = (histograms: ReadonlyMap<Operation, LatencyHistogram>, suffix: string): void => {
    const times = { startMs: startedMs - originMs, endMs: Date.now() - originMs };
    for (const [operation, histogram] of histograms)
      run.appendLatency({ tag: tagOf(`${operation}${suffix}`), ...times, histogram }, cell.key);
  };
  if (result.intervals === null) append(result.histograms, '');
  else {
    for (const interval of latencyIntervals(result.intervals, { originMs, tagOf }))
      run.appendLatency(interval, cell.key);
  }
  append(result.responses, '-response');
}

const describeMemory = ({ findingCount }: PoolReport): string =>
  findingCount === 0 ? 'every byte accounted for' : `${findingCount} findings in memory`;

const describeUpkeep = ({ upkeep }: ResultRow): string =>
  upkeep === null ? '' : `${upkeep.cellsReclaimed} cells reclaimed, ${upkeep.splits} splits, `;

const describeOpenLoop = ({ openLoop }: ResultRow): string =>
  openLoop === null ? '' : `offered load ${openLoop.verdict}, `;

const describeFault = ({ kind, target, atMs, recoveryMs, lostOperations }: FaultRecord): string =>
  `${kind} ${target} at ${(atMs / 1000).toFixed(2)} s ` +
  (lostOperations === null
    ? '(no telling what it cost)'
    : `(${recoveryMs === null ? 'never back' : `back in ${recoveryMs.toFixed(0)} ms`}, ${lostOperations} lost)`);

const summarise = ({ row, verification, memory }: CellResult): string =>
  `${(row.throughputOps / 1e6).toFixed(3)} Mops/s over ${row.seconds.toFixed(2)} s, ` +
  `${row.wrongValues ?? 'unchecked'} wrong, ${row.lostKeys ?? 'unchecked'} lost, ` +
  (verification === null ? '' : `${describeVerification(verification)}, ${describeUpkeep(row)}`) +
  (memory === null ? '' : `${describeMemory(memory)}, `) +
  (row.faults === null || row.faults.length === 0 ? '' : `${row.faults.map(describeFault).join(', ')}, `) +
  describeOpenLoop(row) +
  `trust ${row.trust?.verdict ?? 'unchecked'}${row.interrupted ? ', interrupted' : ''}`;
