/** `fusee bench`: cells one after the other, each stored as it ends, then figures. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import type { PoolReport } from '../../fusee/fsck/index.js';
import { FabricError, FuseeError } from '../../fusee/verbs/index.js';
import { ResultError } from '../../results/error.js';
import { formatTag } from '../../results/hlog.js';
import { collectProvenance } from '../../results/provenance.js';
import type { Attempt, FaultRecord, ResultRow } from '../../results/schema.js';
import { openRun, type Run } from '../../results/store.js';
import type { Injected } from '../fault/conduct.js';
import { targetOf } from '../fault/plan.js';
import type { CellOutcome } from './cell.js';
import { faultsOf } from './faults.js';
import type { LiveView } from './live.js';
import { packageRoot, packageVersion } from './package-root.js';
import { type BenchOptions, type Cell, planBench } from './plan-bench.js';
import { type CellResult, cellResult } from './row.js';
import { describeVerification, runVerified } from './verifier.js';

/** What a bench brought. */
export interface BenchOutcome {
  readonly rows: readonly ResultRow[];
  /** The run's folder and every figure in it. */
  readonly paths: readonly string[];
  readonly interrupted: boolean;
  /** What must not happen: dead processes, wrong values, lost keys; empty when all is well. */
  readonly faults: readonly string[];
}

/** Who hears of a bench while it runs, and who may end it. */
export interface BenchHooks {
  readonly view: LiveView;
  readonly abort: AbortSignal;
  /** Hears of each row as soon as it is stored. */
  readonly onRow?: (row: ResultRow) => void;
}

/** A cell, and the settings that it is one of. */
type PartCell = Cell & { readonly options: BenchOptions };

/** What a run of benches is called, and how it is drawn. */
export interface RunAs {
  readonly experiment: string;
  /** Draws the run in that folder; the figures' paths. */
  readonly draw: (folder: string) => Promise<string[]>;
}

const A_BENCH: RunAs = {
  experiment: 'bench',
  // Drawing takes a library that is slow to load.
  draw: async (folder) => (await import('../../plots/ycsb.js')).drawRun(folder),
};

/** Runs a bench as {@link runParts}. */
export const runBench = (options: BenchOptions, hooks: BenchHooks): Promise<BenchOutcome> =>
  runParts([options], hooks, A_BENCH);

/**
 * Runs benches one after the other, as one run. A cell that fails ends it: what came before stays in a
 * `.failed` folder without figures, which nobody can take for a result. An interrupted run keeps its figures,
 * which say so.
 * @param parts of one folder; repetitions are numbered through all of them.
 * @throws UsageError before anything starts; errors of the file system.
 */
export async function runParts(
  parts: readonly BenchOptions[],
  hooks: BenchHooks,
  { experiment, draw }: RunAs,
): Promise<BenchOutcome> {
  const cells: PartCell[] = [];
  for (const options of parts) {
    const first = cells.length;
    const isFirst = first === 0;
    for (const cell of await planBench(options))
      cells.push({ ...cell, options, repetition: isFirst ? cell.repetition : first + cell.repetition });
  }
  // What dead runs left behind, of any pool: their owners are gone.
  sweepRegions();
  const run = openRun({
    root: parts[0].out,
    experiment,
    resolved: parts.length === 1 ? parts[0] : parts,
    provenance: await collectProvenance({ folder: packageRoot, version: packageVersion }),
  });
  // However this process ends, its run does not look like one that goes on.
  const onExit = (): void => {
    if (run.state === 'running') run.interrupt('given up by the user');
  };
  process.once('exit', onExit);
  try {
    return await runCells(run, cells, draw, hooks);
  } catch (error) {
    failQuietly(run, error);
    throw error;
  } finally {
    process.off('exit', onExit);
  }
}

/** Marks the run as failed; if even that fails, the first error is the one to hear of. */
function failQuietly(run: Run, error: unknown): void {
  try {
    if (run.state === 'running') run.fail(error);
  } catch {}
}

async function runCells(
  run: Run,
  cells: readonly PartCell[],
  draw: RunAs['draw'],
  hooks: BenchHooks,
): Promise<BenchOutcome> {
  const rows: ResultRow[] = [];
  const faults: string[] = [];
  for (const [i, cell] of cells.entries()) {
    if (hooks.abort.aborted || faults.length > 0) {
      logAttempts(
        run,
        cells.slice(i),
        'skipped',
        faults.length > 0 ? 'an earlier cell failed' : 'interrupted',
      );
      break;
    }
    const { result, fault } = await attempt(run, cell, hooks);
    if (fault !== null) faults.push(fault);
    if (result === null) continue;
    rows.push(result.row);
    hooks.onRow?.(result.row);
  }
  const interrupted = hooks.abort.aborted;
  if (faults.length > 0) run.fail(faults.join('; '));
  else if (interrupted) run.interrupt();
  else run.finish();
  const draws = cells[0].options.figures && rows.length > 0 && faults.length === 0;
  const figures = draws ? await drawOrClear(run.folder, draw) : [];
  return { rows, paths: [run.folder, ...figures], interrupted, faults };
}

/** @throws FabricError when drawing fails: the results are complete, and no half of the figures stays. */
async function drawOrClear(folder: string, draw: RunAs['draw']): Promise<string[]> {
  try {
    return await draw(folder);
  } catch (error) {
    rmSync(join(folder, 'figures'), { recursive: true, force: true });
    throw new FabricError(
      `the figures could not be drawn (${(error as Error).message}); the results in ${folder} are complete: ` +
        'make room, or leave figures out with --no-figures',
      { definite: true, cause: error },
    );
  }
}

function logAttempts(
  run: Run,
  cells: readonly Pick<Cell, 'name' | 'repetition'>[],
  outcome: Attempt['outcome'],
  reason: string | null,
): void {
  const at = new Date().toISOString();
  for (const { name, repetition } of cells) {
    run.appendAttempt({ at, cell: name, repetition, attempt: 1, outcome, reason });
  }
}

/** One cell, stored, with its attempt; no result when nothing was measured. */
async function attempt(
  run: Run,
  cell: PartCell,
  { view, abort }: BenchHooks,
): Promise<{ result: CellResult | null; fault: string | null }> {
  const { options } = cell;
  const title =
    options.repetitions > 1 ? `${cell.name} (${cell.repetition + 1}/${options.repetitions})` : cell.name;
  const shown = view.cell(title);
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

/** A fault as an event of the run; written when it happens, so that it is there whatever follows. */
function eventOf(cell: Cell, { fault, atNs, detail }: Injected, windowNs: number) {
  const target = targetOf(fault);
  return {
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
function seenTo(cell: Cell, { recoveries = [], changes = [], reports }: CellOutcome) {
  const windowNs = Math.min(...reports.map(({ measureNs }) => measureNs));
  const place = { at: new Date().toISOString(), workload: cell.name, repetition: cell.repetition };
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

const settingsOf = ({ options, ...cell }: PartCell): Parameters<typeof cellResult>[0] => {
  const { flavour, clients, coroutines, nodes, indexReplicas, dataReplicas, kvBytes, rttNs } = options;
  return {
    system: 'fusee',
    workload: cell.name,
    flavour,
    fabric: options.fabric ?? 'shm',
    clients,
    coroutines,
    nodes,
    indexReplicas,
    dataReplicas,
    kvBytes,
    seed: cell.seed,
    repetition: cell.repetition,
    rttNs,
  };
};

function store(run: Run, cell: Cell, result: CellResult, startedMs: number): void {
  run.appendRow(result.row);
  run.appendSeries(result.series);
  for (const [operation, histogram] of result.histograms) {
    const tag = formatTag({ workload: cell.name, operation });
    const origin = run.started.getTime();
    run.appendLatency({ tag, startMs: startedMs - origin, endMs: Date.now() - origin, histogram });
  }
}

const describeMemory = ({ findingCount }: PoolReport): string =>
  findingCount === 0 ? 'every byte accounted for' : `${findingCount} findings in memory`;

const describeUpkeep = ({ upkeep }: ResultRow): string =>
  upkeep === null ? '' : `${upkeep.cellsReclaimed} cells reclaimed, ${upkeep.splits} splits, `;

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
  `trust ${row.trust?.verdict ?? 'unchecked'}${row.interrupted ? ', interrupted' : ''}`;
