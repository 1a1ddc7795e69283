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
  /** Earlier runs that could not be read, and why: what they have was measured anew. */
  readonly damaged: readonly string[];
}

/** Who hears of a bench while it runs, and who may end it. */
export interface BenchHooks {
  readonly view: LiveView;
  readonly abort: AbortSignal;
  /** Hears of each row as soon as it is stored. */
  readonly onRow?: (row: ResultRow) => void;
}

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
  const planned: Omit<KeyedCell, 'key' | 'numbered'>[] = [];
  for (const options of parts) {
    const first = planned.length;
    const isFirst = first === 0;
    for (const cell of await planBench(options))
      planned.push({ ...cell, options, repetition: isFirst ? cell.repetition : first + cell.repetition });
  }
  // What dead runs left behind, of any pool: their owners are gone.
  sweepRegions();
  const provenance = await benchProvenance(parts[0]);
  const numbered = parts.length === 1 ? parts[0].repetitions : planned.length;
  const cells = planned.map((cell): KeyedCell => {
    const { settings, repetition } = cell;
    return { ...cell, numbered, key: cellKeyOf(provenance, { experiment, ...settings, repetition }) };
  });
  const run = openRun({
    root: parts[0].out,
    experiment,
    resolved: parts.length === 1 ? parts[0] : parts,
    provenance,
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
  cells: readonly KeyedCell[],
  draw: RunAs['draw'],
  hooks: BenchHooks,
): Promise<BenchOutcome> {
  const rows: ResultRow[] = [];
  const faults: string[] = [];
  const { cells: finished, damaged } = findFinished(run.experiment, cells);
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
      hooks.view.cell(titleOf(cell)).done(`taken from run ${row.reusedFrom}`);
      continue;
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
  return { rows, paths: [run.folder, ...figures], interrupted, faults, damaged };
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
