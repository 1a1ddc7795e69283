/** `fusee verify`: the protocol on trial, in the simulator. Exit status 1 when anything is found. */
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { UsageError } from '../../fusee/verbs/index.js';
import { formatFailure, runSeed } from '../swarm/index.js';
import { formatSpeed, measureSpeed } from '../swarm/speed.js';
import { seedFrom, type VerifyResult, verifySeeds } from '../swarm/verify.js';
import { parseCount } from './parse.js';
import { type ScenarioFlags, verifyExhaustive, verifyScenario } from './verify-exhaustive.js';

interface Flags extends Partial<ScenarioFlags> {
  exhaustive: boolean;
  short: boolean;
  long: boolean;
  seeds?: number;
  minutes?: number;
  seed?: number;
  seedFrom?: string;
  jobs: number;
  speed: boolean;
  json: boolean;
}

/** Seeds of a run that says neither how many nor how long. */
const SEEDS_DEFAULT = 1000;

/** The `verify` command. */
export function verifyCommand(): Command {
  const count = parseCount;
  return new Command('verify')
    .description('check the protocol in the simulator: random small clusters, one seed each')
    .option('--seeds <n>', 'seeds to run (1000 when no time is given)', count('seeds'))
    .option('--minutes <m>', 'run for so long', parseMinutes)
    .option('--seed <n>', 'the first seed; alone, this one seed is run and told in full', count('the seed'))
    .option('--seed-from <text>', 'derive the first seed from a text, such as a tree hash')
    .option('-j, --jobs <n>', 'worker processes', count('jobs'), availableParallelism())
    .option('--speed', 'measure the simulator on fixed larger clusters with 16-byte values', false)
    .option('--json', 'print one JSON object', false)
    .option('--exhaustive', 'explore small cases through every schedule, and print the table', false)
    .option('--short', 'with --exhaustive: the suites that every push runs', false)
    .option('--long', 'with --exhaustive: also the suites that take hours', false)
    .option('--scenario <slots: mix>', "explore one case, such as 'K0 -: D I | U'")
    .option('--r <n>', 'with --scenario: replicas of the index', count('replicas'), 2)
    .option('--r-d <n>', 'with --scenario: replicas of objects', count('data replicas'), 2)
    .option('--crashes <n>', 'with --scenario: clients that may die', count('crashes'), 0)
    .option('--cuts <n>', "with --scenario: clients' links that may fail", count('cuts'), 0)
    .option('--mn-crashes <n>', 'with --scenario: memory nodes that may die', count('MN crashes'), 0)
    .option('--reversed', "with --scenario: clients' objects in reverse order", false)
    .option('--cached', 'with --scenario: clients begin with warm caches', false)
    .option('--one-fingerprint', 'with --scenario: all keys share a fingerprint', false)
    .option('--random <n>', 'with --scenario: so many schedules at random, from --seed', count('schedules'))
    .option('--pct <n>', 'with --scenario: so many schedules by priorities, from --seed', count('schedules'))
    .option('--replay <schedule>', 'with --scenario: tell this schedule verb by verb')
    .action((flags: Flags) => verify(flags));
}

async function verify(flags: Flags): Promise<void> {
  if (flags.seed !== undefined && flags.seedFrom !== undefined)
    throw new UsageError(`both --seed ${flags.seed} and --seed-from '${flags.seedFrom}' are given; give one`);
  if (flags.exhaustive) verifyExhaustive(flags);
  else if (flags.scenario !== undefined) verifyScenario(flags as ScenarioFlags);
  else if (flags.speed) speed(flags);
  else if (flags.seed !== undefined && flags.seeds === undefined && flags.minutes === undefined)
    replay(flags.seed, flags);
  else await swarm(flags);
}

function speed({ json }: Flags): void {
  const rows = measureSpeed({ repeats: 5 });
  process.stdout.write(json ? `${JSON.stringify(rows)}\n` : `${formatSpeed(rows)}\n`);
  if (rows.some((row) => row.findings > 0)) process.exitCode = 1;
}

function replay(seed: number, { json }: Flags): void {
  const report = runSeed(seed);
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else if (report.findings.length > 0) process.stdout.write(`${formatFailure(report)}\n`);
  else {
    const outcomes = Object.entries(report.outcomes).map(([name, n]) => `${n} ${name}`);
    process.stdout.write(
      `seed ${seed}: no violation\n  ${report.plan}\n  ${report.requests} requests (${outcomes.join(', ')}), ` +
        `${report.crashes} crashes, ${report.verbs} verbs, ${report.virtualNs / 1e6} ms, digest ${report.digest}\n`,
    );
  }
  if (report.findings.length > 0) process.exitCode = 1;
}

async function swarm(flags: Flags): Promise<void> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const isLive = process.stderr.isTTY && !flags.json;
  try {
    const result = await verifySeeds({
      seeds: flags.seeds ?? (flags.minutes === undefined ? SEEDS_DEFAULT : Number.POSITIVE_INFINITY),
      seconds: flags.minutes === undefined ? Number.POSITIVE_INFINITY : flags.minutes * 60,
      firstSeed: flags.seedFrom === undefined ? (flags.seed ?? 1) : seedFrom(flags.seedFrom),
      jobs: flags.jobs,
      signal: abort.signal,
      onFailure: ({ text }) => {
        if (!flags.json) process.stdout.write(`${text}\n\n`);
      },
      onProgress: (sum, seconds) => {
        if (isLive)
          process.stderr.write(`\r${seconds.toFixed(0)} s: ${sum.seeds} seeds, ${sum.requests} requests`);
      },
    });
    if (isLive) process.stderr.write('\n');
    process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${formatResult(result)}\n`);
    if (result.failures.length > 0) process.exitCode = 1;
    else if (result.isInterrupted) process.exitCode = 130;
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

function formatResult({ sum, failures, ...result }: VerifyResult): string {
  const n = (value: number): string => Math.round(value).toLocaleString('en');
  const verdict =
    failures.length === 0
      ? 'no violation'
      : `${failures.length} failing seeds: ${failures.map((f) => f.seed).join(', ')}`;
  return [
    `${verdict}${result.isInterrupted ? ' (interrupted)' : ''}: ${n(sum.seeds)} seeds from ${result.firstSeed}, ` +
      `${n(sum.requests)} requests in ${result.seconds.toFixed(1)} s on ${result.jobs} workers`,
    `${n(sum.crashes)} client crashes (${n(sum.cuts)} by cut links), ${n(sum.recovererCrashes)} of recoverers; ` +
      `${n(sum.verbs)} verbs, ${n(sum.torn)} torn; ${n(sum.quietRequests)} requests held to the cost tables`,
    `${n(result.throughputOps)} requests/s; per worker ${n(result.simulatedOps)} simulated, ` +
      `${n(result.checkedOps)} with checks`,
  ].join('\n');
}

function parseMinutes(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) throw new UsageError(`minutes is '${text}'; give a number above 0`);
  return value;
}
