/** `fusee bench`: cells one after the other, each stored as it ends, then figures. */
import { Geometry } from '../../fusee/layout/index.js';
import { FuseeError, UsageError } from '../../fusee/verbs/index.js';
import { drawRun } from '../../plots/ycsb.js';
import { formatTag } from '../../results/hlog.js';
import { collectProvenance } from '../../results/provenance.js';
import type { ResultRow } from '../../results/schema.js';
import { openRun, type Run } from '../../results/store.js';
import { type Flavour, flavours, workloadSpec } from '../../workloads/index.js';
import { type CellPlan, runCell } from './cell.js';
import type { LiveView } from './live.js';
import { planPool, requireRoom, valueBytesOf } from './plan.js';
import { type CellResult, cellResult } from './row.js';

export interface BenchOptions {
  readonly workloads: readonly string[];
  readonly searchRatio?: number;
  readonly tracePath?: string;
  readonly flavour: string;
  readonly clients: number;
  readonly coroutines: number;
  readonly nodes: number;
  readonly indexReplicas: number;
  readonly dataReplicas: number;
  readonly kvBytes: number;
  readonly records: number;
  /** Per workload, of all clients together. */
  readonly requests: number;
  readonly secondsMax: number;
  readonly warmupMs: number;
  readonly rttNs: number;
  readonly seed: number;
  readonly repetitions: number;
  readonly cacheBytes?: number;
  /** Folder of all runs. */
  readonly out: string;
  readonly figures: boolean;
}

export interface BenchOutcome {
  readonly rows: readonly ResultRow[];
  /** The run's folder and every figure in it. */
  readonly paths: readonly string[];
  readonly interrupted: boolean;
  /** What must not happen: wrong values, lost keys, failed loads; empty when all is well. */
  readonly faults: readonly string[];
}

const CLIENTS_MAX = 64;

interface Cell {
  readonly name: string;
  readonly repetition: number;
  readonly plan: CellPlan;
}

/** Checks everything that can be checked before anything starts. @throws UsageError. */
export function planBench(options: BenchOptions): Cell[] {
  const within = (name: string, value: number, least: number, most: number): void => {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new UsageError(`${name} is ${value}; it must be a whole number from ${least} to ${most}`);
    }
  };
  within('clients', options.clients, 1, CLIENTS_MAX);
  within('coroutines', options.coroutines, 1, 64);
  within('records', options.records, 1, 1e9);
  within('requests', options.requests, options.clients * options.coroutines, 1e10);
  within('repeats', options.repetitions, 1, 1000);
  within('seed', options.seed, 0, 2 ** 32 - 1);
  if (!(flavours as readonly string[]).includes(options.flavour)) {
    throw new UsageError(`flavour '${options.flavour}' is unknown; choose one of ${flavours.join(', ')}`);
  }
  if (options.workloads.length === 0)
    throw new UsageError('no workload was named; choose for example ycsb-a');
  const cells: Cell[] = [];
  for (const workload of options.workloads) {
    checkWorkload(workload, options);
    const config = planPool({ ...options, workload });
    new Geometry(config);
    requireRoom(config);
    for (let repetition = 0; repetition < options.repetitions; repetition++) {
      const pool = `bench-${process.pid}`;
      cells.push({
        name: workload,
        repetition,
        plan: cellPlan(options, { workload, repetition, pool }, config),
      });
    }
  }
  return cells;
}

function checkWorkload(name: string, options: BenchOptions): void {
  try {
    workloadSpec(name, options.searchRatio === undefined ? {} : { searchRatio: options.searchRatio });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (name === 'trace' && options.tracePath === undefined) {
    throw new UsageError("workload 'trace' replays a file; name it with --trace FILE");
  }
}

function cellPlan(
  options: BenchOptions,
  cell: { workload: string; repetition: number; pool: string },
  config: CellPlan['config'],
): CellPlan {
  const { clients, coroutines, records, searchRatio, tracePath, cacheBytes } = options;
  return {
    pool: cell.pool,
    config,
    warmupMs: options.warmupMs,
    secondsMax: options.secondsMax,
    clients: Array.from({ length: clients }, (_, clientIndex) => ({
      pool: cell.pool,
      clientIndex,
      clients,
      coroutines,
      rttNs: options.rttNs,
      workload: {
        name: cell.workload,
        ...(searchRatio === undefined ? {} : { searchRatio }),
        ...(tracePath === undefined ? {} : { tracePath }),
      },
      flavour: options.flavour as Flavour,
      seed: options.seed + cell.repetition,
      records,
      requests: Math.floor(options.requests / clients),
      valueBytes: valueBytesOf(options.kvBytes),
      ...(cacheBytes === undefined ? {} : { cacheBytes }),
    })),
  };
}

/** Runs the bench. `onRow` hears of each row as soon as it is stored. */
export async function runBench(
  options: BenchOptions,
  hooks: { view: LiveView; abort: AbortSignal; onRow?: (row: ResultRow) => void },
): Promise<BenchOutcome> {
  const cells = planBench(options);
  const run = openRun({
    root: options.out,
    experiment: 'bench',
    resolved: options,
    provenance: await collectProvenance(),
  });
  const rows: ResultRow[] = [];
  const faults: string[] = [];
  try {
    for (const cell of cells) {
      if (hooks.abort.aborted) break;
      const title =
        options.repetitions > 1 ? `${cell.name} (${cell.repetition + 1}/${options.repetitions})` : cell.name;
      const progress = hooks.view.cell(title);
      const result = await attempt(run, cell, options, { progress, abort: hooks.abort });
      if (result === null) break;
      rows.push(result.row);
      faults.push(...faultsOf(cell.name, result));
      progress.done(summarise(result.row));
      hooks.onRow?.(result.row);
    }
  } catch (error) {
    run.fail(error);
    throw error;
  }
  const interrupted = hooks.abort.aborted;
  if (interrupted) run.interrupt();
  else run.finish();
  const figures = options.figures && rows.length > 0 ? await drawRun(run.folder) : [];
  return { rows, paths: [run.folder, ...figures], interrupted, faults };
}

/** One cell, stored; null when it was interrupted before its window. */
async function attempt(
  run: Run,
  cell: Cell,
  options: BenchOptions,
  { progress, abort }: { progress: ReturnType<LiveView['cell']>; abort: AbortSignal },
): Promise<CellResult | null> {
  const startedMs = Date.now();
  try {
    const outcome = await runCell(cell.plan, progress, abort);
    const { flavour, clients, coroutines, nodes, indexReplicas, dataReplicas, kvBytes, rttNs } = options;
    const result = cellResult(
      {
        system: 'fusee',
        workload: cell.name,
        flavour,
        fabric: 'shm',
        clients,
        coroutines,
        nodes,
        indexReplicas,
        dataReplicas,
        kvBytes,
        seed: options.seed + cell.repetition,
        repetition: cell.repetition,
        rttNs,
      },
      outcome,
    );
    store(run, cell, result, startedMs);
    if (outcome.loadFailures > 0) {
      throw new UsageError(
        `${cell.name}: ${outcome.loadFailures} of ${options.records} records could not be loaded; ` +
          'the pool was planned too small for them',
      );
    }
    return result;
  } catch (error) {
    if (abort.aborted && !(error instanceof FuseeError)) return null;
    throw error;
  }
}

function store(run: Run, cell: Cell, result: CellResult, startedMs: number): void {
  run.appendRow(result.row);
  run.appendSeries(result.series);
  for (const [operation, histogram] of result.histograms) {
    const tag = formatTag({ workload: cell.name, operation });
    const origin = run.started.getTime();
    run.appendLatency({ tag, startMs: startedMs - origin, endMs: Date.now() - origin, histogram });
  }
}

function faultsOf(name: string, { row, wrongExamples }: CellResult): string[] {
  const faults: string[] = [];
  if ((row.wrongValues ?? 0) > 0)
    faults.push(`${name}: ${row.wrongValues} wrong values (${wrongExamples.join('; ')})`);
  if ((row.lostKeys ?? 0) > 0) faults.push(`${name}: ${row.lostKeys} acknowledged keys are gone`);
  for (const [operation, outcomes] of Object.entries(row.outcomes)) {
    for (const bad of ['NO_MEMORY', 'INDEX_FULL', 'UNAVAILABLE']) {
      if ((outcomes[bad] ?? 0) > 0)
        faults.push(`${name}: ${outcomes[bad]} ${operation} requests ended ${bad}`);
    }
  }
  return faults;
}

const summarise = (row: ResultRow): string =>
  `${(row.throughputOps / 1e6).toFixed(3)} Mops/s over ${row.seconds.toFixed(2)} s, ` +
  `${row.wrongValues ?? 'unchecked'} wrong, ${row.lostKeys ?? 'unchecked'} lost, ${row.trust?.verdict ?? 'untested'}`;
