/**
 * A process that runs seeds: told a range, it answers with a sum of reports and the failures; ends with its
 * channel.
 */
import { followParent } from '../../fusee/fabric/shm-process.js';
import { tellShrunk } from './failure.js';
import { type Profile, profilePlan, replayOf } from './profile.js';
import type { SwarmHooks } from './run.js';
import { formatFailure, runRepeatably, type SeedReport } from './seed.js';

/** Seeds `first` to `first + count - 1`, in the arithmetic of {@link seedAt}. */
export interface RunSeeds {
  readonly type: 'run';
  readonly seeds: readonly number[];
  readonly profile: Profile;
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
  nodeCrashes: number;
  lostWrites: number;
  /** Runs with a finding that is neither a leak nor a hang, and those that did not end, or answered late. */
  violations: number;
  hangs: number;
  /** Bytes that nobody has at the end: what nothing excuses, and what `leaks.ts` tells apart. */
  leakedBytes: number;
  unloggedBytes: number;
  bereftBytes: number;
  /** The longest of all answers, and that in shares of what it might have taken. */
  answerNsMost: number;
  answerShareMost: number;
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
  nodeCrashes: 0,
  lostWrites: 0,
  violations: 0,
  hangs: 0,
  leakedBytes: 0,
  unloggedBytes: 0,
  bereftBytes: 0,
  answerNsMost: 0,
  answerShareMost: 0,
  verbs: 0,
  torn: 0,
  events: 0,
  runMs: 0,
  checkMs: 0,
  failures: 0,
});

/** Adds `more` to `sum`; what is the most of all stays that. */
export function addSum(sum: SwarmSum, more: SwarmSum): void {
  for (const name of Object.keys(sum) as (keyof SwarmSum)[])
    sum[name] = name.endsWith('Most') ? Math.max(sum[name], more[name]) : sum[name] + more[name];
}

/** Kinds of findings that say that something has not ended in its time. */
const HANGS: readonly string[] = ['hang', 'restless', 'late'];

function sumOf(report: SeedReport, isTwice: boolean): SwarmSum {
  const kinds = report.findings.map(({ kind }) => kind);
  const isHang = kinds.some((kind) => HANGS.includes(kind));
  const isViolation = kinds.some((kind) => kind !== 'leak' && !HANGS.includes(kind));
  return {
    ...report,
    seeds: 1,
    repeated: Number(isTwice),
    violations: Number(isViolation),
    hangs: Number(isHang),
    leakedBytes: report.leaks.unexcusedBytes,
    unloggedBytes: report.leaks.unloggedBytes,
    bereftBytes: report.leaks.bereftBytes,
    failures: Number(kinds.length > 0),
  };
}

/** Every so many seeds one is run twice, whatever comes of it: a run must be determined by its seed. */
const TWICE_EVERY = 16;
/** Failing seeds that a worker shrinks: the others are the same, as a rule, and it takes a while. */
const SHRUNK_MAX = 1;
let shrunk = 0;

/** Runs seeds one after another. */
export function runSeeds(
  seeds: readonly number[],
  options: { readonly hooks?: SwarmHooks; readonly profile?: Profile } = {},
): { sum: SwarmSum; failures: SwarmFailure[] } {
  const { hooks, profile = 'any' } = options;
  const sum = emptySum();
  const failures: SwarmFailure[] = [];
  for (const seed of seeds) {
    const isTwice = seed % TWICE_EVERY === 0;
    try {
      const report: SeedReport = runRepeatably(profilePlan(profile, seed), { hooks, isTwice });
      addSum(sum, sumOf(report, isTwice));
      if (report.findings.length > 0) failures.push({ seed, text: tell(profile, report, hooks) });
    } catch (error) {
      // Thrown where nothing should throw: whoever reads it needs the seed as much as the stack.
      addSum(sum, { ...emptySum(), seeds: 1, violations: 1, failures: 1 });
      const what = (error as Error).stack ?? String(error);
      failures.push({ seed, text: `seed ${seed} fails: ${replayOf(profile, seed)}\nerror: ${what}` });
    }
  }
  return { sum, failures };
}

function tell(profile: Profile, report: SeedReport, hooks: SwarmHooks | undefined): string {
  const text = formatFailure(report, replayOf(profile, report.seed));
  if (shrunk++ >= SHRUNK_MAX) return text;
  return `${text}\n${tellShrunk(profilePlan(profile, report.seed), report, { hooks }).text}`;
}

if (process.send !== undefined && process.argv[1]?.match(/swarm[/\\]worker\.[jt]s$/)) {
  // A seed that never ends does not hear of the closed channel either: the kernel ends it with its parent.
  if (!followParent(Number(process.argv[2]))) process.exit(0);
  // Ctrl-C reaches the whole group: the parent decides, and closes the channel.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: RunSeeds) => {
    try {
      process.send?.({ type: 'ran', ...runSeeds(message.seeds, message) } satisfies RanSeeds);
    } catch (error) {
      process.send?.({ type: 'failed', code: 'FABRIC', message: (error as Error).stack ?? String(error) });
    }
  });
}
