/** `fusee saturate`: the highest offered load whose p99 response time stays within a bound; all rows are kept. */
import { join } from 'node:path';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { FabricError, UsageError } from '../../fusee/verbs/index.js';
import { isSweep, sweepFigure } from '../../plots/sweep-figure.js';
import { cellKeyOf } from '../../results/cell-key.js';
import type { ResultRow } from '../../results/schema.js';
import { openRun, type Run } from '../../results/store.js';
import { readRun } from '../../results/stored-run.js';
import { attempt } from './attempt.js';
import { benchProvenance } from './bench-provenance.js';
import type { LiveView } from './live.js';
import { type BenchOptions, planBench } from './plan-bench.js';
import type { OpenLoopOptions } from './plan-open-loop.js';
import { findSaturation, type Repetition, type Saturation, type SearchOptions } from './saturation.js';

/** What to search with: a bench of one workload, whose rate and requests the search sets. */
export interface SaturateOptions extends SearchOptions {
  readonly bench: BenchOptions;
  readonly openLoop: Omit<OpenLoopOptions, 'rates'>;
  /** For the p99 response time of all operations together. */
  readonly boundNs: number;
  /** Noise speaks for neither side; otherwise only what is unusable does not. */
  readonly requireTrust: boolean;
  /** Draw p99 over throughput. */
  readonly figures: boolean;
}

/** What a search brought, and where it is stored. */
export interface SaturateOutcome {
  readonly saturation: Saturation;
  readonly rows: readonly ResultRow[];
  readonly folder: string;
  /** What was drawn: nothing for a single load. */
  readonly figures: readonly string[];
}

/** Beyond the window, for the warm-up, and for chance. */
const SPARE_REQUESTS = 1.3;
const WARMUP_S_MAX = 2;

/**
 * Searches. A repetition that fails ends the search: what came before stays in a `.failed` folder.
 * @returns null when it was aborted: what was measured is kept.
 * @throws UsageError before anything starts; FabricError for a repetition that failed.
 */
export async function runSaturate(
  options: SaturateOptions,
  { view, abort }: { readonly view: LiveView; readonly abort: AbortSignal },
): Promise<SaturateOutcome | null> {
  check(options);
  // The smallest and the largest load must be possible before the first is tried.
  for (const offeredOps of [options.leastOps, options.fromOps])
    await planBench(benchAt(options, offeredOps, 0));
  sweepRegions();
  const provenance = await benchProvenance(options.bench);
  const { out } = options.bench;
  const run = openRun({ root: out, experiment: 'saturation', resolved: options, provenance });
  const onExit = (): void => {
    if (run.state === 'running') run.interrupt('given up by the user');
  };
  process.once('exit', onExit);
  const rows: ResultRow[] = [];
  try {
    const repeat = async (offeredOps: number, repetition: number): Promise<Repetition> => {
      abort.throwIfAborted();
      const bench = benchAt(options, offeredOps, repetition);
      const [planned] = await planBench(bench);
      const key = cellKeyOf(provenance, { ...planned.settings, repetition });
      const place = { repetition, numbered: bench.repetitions, label: `${offeredOps}ops` };
      const cell = { ...planned, ...place, key, options: bench };
      const { result, fault } = await attempt(run, cell, { view, abort });
      abort.throwIfAborted();
      if (fault !== null || result === null) throw new FabricError(fault ?? 'nothing was measured');
      rows.push(result.row);
      return judgeRow(result.row, options);
    };
    const saturation = await findSaturation(repeat, options);
    store(run, options, saturation);
    const folder = run.finish();
    const figures = options.figures && isSweep({ rows }) ? await draw(folder) : [];
    return { saturation, rows, folder, figures };
  } catch (error) {
    if (run.state === 'running') {
      if (abort.aborted && error === abort.reason) run.interrupt();
      else run.fail(error);
    }
    if (abort.aborted && error === abort.reason) return null;
    throw error;
  } finally {
    process.off('exit', onExit);
  }
}

/**
 * What a repetition says. A load that was not sustained keeps no bound, whatever the requests say that did
 * begin.
 */
export function judgeRow(
  { openLoop, trust }: Pick<ResultRow, 'openLoop' | 'trust'>,
  { boundNs, requireTrust }: Pick<SaturateOptions, 'boundNs' | 'requireTrust'>,
): Repetition {
  const verdict = trust?.verdict ?? 'unusable';
  if (verdict === 'unusable' || (requireTrust && verdict !== 'ok')) return 'unreliable';
  const isKept =
    openLoop !== null &&
    openLoop.verdict === 'sustained' &&
    openLoop.responseNs !== null &&
    openLoop.responseNs.p99 <= boundNs;
  return isKept ? 'kept' : 'broken';
}

function benchAt({ bench, openLoop }: SaturateOptions, offeredOps: number, repetition: number): BenchOptions {
  const seconds = bench.secondsMax + (bench.warmupMs ?? WARMUP_S_MAX * 1000) / 1000;
  const lanes = bench.clients * bench.coroutines;
  return {
    ...bench,
    requests: Math.ceil(offeredOps * seconds * SPARE_REQUESTS) + lanes,
    seed: bench.seed + repetition,
    repetitions: 1,
    openLoop: { ...openLoop, rates: [offeredOps] },
  };
}

function check({
  bench,
  boundNs,
  leastOps,
  fromOps,
  mostOps,
  tolerance,
  repetitionsMax,
}: SaturateOptions): void {
  if (bench.workloads.length !== 1) {
    throw new UsageError(`${bench.workloads.length} workloads are named; a search is for one`);
  }
  if (!(boundNs > 0)) throw new UsageError(`the bound is ${boundNs} ns; choose more than 0`);
  if (!(leastOps > 0 && leastOps <= fromOps && fromOps <= mostOps)) {
    throw new UsageError(
      `the search begins at ${fromOps} requests a second, within ${leastOps} to ${mostOps}; choose ` +
        'numbers above 0, in this order: --least, --from, --most',
    );
  }
  if (!(tolerance >= 0.01 && tolerance <= 1)) {
    throw new UsageError(`the tolerance is ${tolerance}; choose 0.01 to 1`);
  }
  if (!(repetitionsMax >= 3 && repetitionsMax <= 99)) {
    throw new UsageError(`${repetitionsMax} repetitions can decide nothing; choose 3 to 99`);
  }
}

/** Drawing takes libraries that are slow to load. */
async function draw(folder: string): Promise<string[]> {
  const { writeFigure } = await import('../../plots/ycsb.js');
  return writeFigure(sweepFigure(readRun(folder)), { outFolder: join(folder, 'figures') });
}

/** What was found is in the run's events, besides its rows. */
function store(run: Run, { boundNs }: SaturateOptions, { judged, ...found }: Saturation): void {
  const at = new Date().toISOString();
  for (const one of judged) {
    run.appendEvent({ at, kind: 'judged', label: `${one.offeredOps}/s: ${one.verdict}`, detail: { ...one } });
  }
  run.appendEvent({ at, kind: 'saturation', label: `${found.underOps}/s`, detail: { boundNs, ...found } });
}
