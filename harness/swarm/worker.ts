/**
 * A process that runs seeds: told a range, it answers with a sum of reports and the failures; ends with its
 * channel.
 */
import { followParent } from '../../fusee/fabric/shm-process.js';
import { tellShrunk } from './failure.js';
import { planOf } from './plan.js';
import type { SwarmHooks } from './run.js';
import { formatFailure, runRepeatably, type SeedReport } from './seed.js';

/** Seeds `first` to `first + count - 1`, in the arithmetic of {@link seedAt}. */
export interface RunSeeds {
  readonly type: 'run';
  readonly seeds: readonly number[];
}

export interface RanSeeds {
  readonly type: 'ran';
  readonly sum: SwarmSum;
  readonly failures: readonly SwarmFailure[];
}

/** A failing seed, with the text that people read. */
export interface SwarmFailure {
  readonly seed: number;
  readonly text: string;
}

/** Sums over many seeds. */
export interface SwarmSum {
  seeds: number;
  /** Seeds that were run twice, and came to the same. */
  repeated: number;
  requests: number;
  quietRequests: number;
  crashes: number;
  recovererCrashes: number;
  cuts: number;
  verbs: number;
  torn: number;
  events: number;
  runMs: number;
  checkMs: number;
  failures: number;
}

/** A sum of nothing. */
export const emptySum = (): SwarmSum => ({
  seeds: 0,
  repeated: 0,
  requests: 0,
  quietRequests: 0,
  crashes: 0,
  recovererCrashes: 0,
  cuts: 0,
  verbs: 0,
  torn: 0,
  events: 0,
  runMs: 0,
  checkMs: 0,
  failures: 0,
});

/** Adds `more` to `sum`. */
export function addSum(sum: SwarmSum, more: SwarmSum): void {
  for (const name of Object.keys(sum) as (keyof SwarmSum)[]) sum[name] += more[name];
}

/** Every so many seeds one is run twice, whatever comes of it: a run must be determined by its seed. */
const TWICE_EVERY = 16;
/** Failing seeds that a worker shrinks: the others are the same, as a rule, and it takes a while. */
const SHRUNK_MAX = 1;
let shrunk = 0;

/** Runs seeds one after another. */
export function runSeeds(
  seeds: readonly number[],
  options: { readonly hooks?: SwarmHooks } = {},
): { sum: SwarmSum; failures: SwarmFailure[] } {
  const sum = emptySum();
  const failures: SwarmFailure[] = [];
  for (const seed of seeds) {
    const isTwice = seed % TWICE_EVERY === 0;
    try {
      const report: SeedReport = runRepeatably(planOf(seed), { ...options, isTwice });
      const isFailure = report.findings.length > 0;
      addSum(sum, { ...report, seeds: 1, repeated: Number(isTwice), failures: Number(isFailure) });
      if (isFailure) failures.push({ seed, text: tell(seed, report, options.hooks) });
    } catch (error) {
      // Thrown where nothing should throw: whoever reads it needs the seed as much as the stack.
      addSum(sum, { ...emptySum(), seeds: 1, failures: 1 });
      failures.push({ seed, text: `seed ${seed} fails\nerror: ${(error as Error).stack ?? String(error)}` });
    }
  }
  return { sum, failures };
}

function tell(seed: number, report: SeedReport, hooks: SwarmHooks | undefined): string {
  if (shrunk++ >= SHRUNK_MAX) return formatFailure(report);
  return `${formatFailure(report)}\n${tellShrunk(planOf(seed), report, { hooks }).text}`;
}

if (process.send !== undefined && process.argv[1]?.match(/swarm[/\\]worker\.[jt]s$/)) {
  // A seed that never ends does not hear of the closed channel either: the kernel ends it with its parent.
  if (!followParent(Number(process.argv[2]))) process.exit(0);
  // Ctrl-C reaches the whole group: the parent decides, and closes the channel.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: RunSeeds) => {
    try {
      process.send?.({ type: 'ran', ...runSeeds(message.seeds) } satisfies RanSeeds);
    } catch (error) {
      process.send?.({ type: 'failed', code: 'FABRIC', message: (error as Error).stack ?? String(error) });
    }
  });
}
