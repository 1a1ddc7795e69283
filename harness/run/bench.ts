/** `fusee bench`: cells one after the other, each stored as it ends, then figures. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { FabricError } from '../../fusee/verbs/index.js';
import { cellKeyOf } from '../../results/cell-key.js';
import type { ResultRow } from '../../results/schema.js';
import { openRun, type Run } from '../../results/store.js';
import { attempt, type KeyedCell, logAttempts, titleOf } from './attempt.js';
import { benchProvenance } from './bench-provenance.js';
import type { LiveView } from './live.js';
import { type BenchOptions, planBench } from './plan-bench.js';
import { findFinished, reuse } from './reuse.js';

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

/**
 * Runs the bench. A cell that fails ends it: what came before stays in a `.failed` folder without figures,
 * which nobody can take for a result. An interrupted run keeps its figures, which say so.
 * @throws UsageError before anything starts; errors of the file system.
 */
export async function runBench(options: BenchOptions, hooks: BenchHooks): Promise<BenchOutcome> {
  const planned = await planBench(options);
  // What dead runs left behind, of any pool: their owners are gone.
  sweepRegions();
  const provenance = await benchProvenance(options);
  const cells = planned.map((cell) => ({ ...cell, key: cellKeyOf(provenance, cell.settings) }));
  const run = openRun({ root: options.out, experiment: 'bench', resolved: options, provenance });
  // However this process ends, its run does not look like one that goes on.
  const onExit = (): void => {
    if (run.state === 'running') run.interrupt('given up by the user');
  };
  process.once('exit', onExit);
  try {
    return await runCells(run, cells, options, hooks);
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
  cells: readonly KeyedCell[],
  options: BenchOptions,
  hooks: BenchHooks,
): Promise<BenchOutcome> {
  const rows: ResultRow[] = [];
  const faults: string[] = [];
  const finished = findFinished(options, cells);
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
    const found = finished.get(cell.key);
    if (found !== undefined) {
      const row = reuse(run, cell, found);
      rows.push(row);
      hooks.onRow?.(row);
      hooks.view.cell(titleOf(cell, options)).done(`taken from run ${row.reusedFrom}`);
      continue;
    }
    const { result, fault } = await attempt(run, cell, options, hooks);
    if (fault !== null) faults.push(fault);
    if (result === null) continue;
    rows.push(result.row);
    hooks.onRow?.(result.row);
  }
  const interrupted = hooks.abort.aborted;
  if (faults.length > 0) run.fail(faults.join('; '));
  else if (interrupted) run.interrupt();
  else run.finish();
  const draws = options.figures && rows.length > 0 && faults.length === 0;
  const figures = draws ? await draw(run.folder) : [];
  return { rows, paths: [run.folder, ...figures], interrupted, faults };
}

/**
 * Drawing takes a library that is slow to load.
 * @throws FabricError when it fails: the results are complete, and no half of the figures stays.
 */
async function draw(folder: string): Promise<string[]> {
  try {
    return await (await import('../../plots/ycsb.js')).drawRun(folder);
  } catch (error) {
    rmSync(join(folder, 'figures'), { recursive: true, force: true });
    throw new FabricError(
      `the figures could not be drawn (${(error as Error).message}); the results in ${folder} are complete: ` +
        'make room, or leave figures out with --no-figures',
      { definite: true, cause: error },
    );
  }
}
