/** `fusee verify`: the protocol on trial, in the simulator. Exit status 1 when anything is found. */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { UsageError } from '../../fusee/verbs/index.js';
import { HOT_FLAGS } from '../run/hot-flags.js';
import { replayCommand, tellPlan, tellShrunk } from '../swarm/failure.js';
import type { SeedReport, SwarmPlan } from '../swarm/index.js';
import { parsePlan } from '../swarm/plan-text.js';
import { profilePlan, replayOf } from '../swarm/profile.js';
import { formatFailure, runRepeatably } from '../swarm/seed.js';
import { SEED_MAX, seedFrom, type VerifyResult, verifySeeds } from '../swarm/verify.js';
import { parseCount } from './parse.js';
import { formatCrashRuns } from './verify-crashes.js';
import { type ScenarioFlags, verifyExhaustive, verifyScenario } from './verify-exhaustive.js';

interface Flags extends Partial<ScenarioFlags> {
  exhaustive: boolean;
  short: boolean;
  long: boolean;
  seeds?: number;
  crashRuns?: number;
  minutes?: number;
  seed?: number;
  seedFrom?: string;
  plan?: string;
  shrink: boolean;
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
    .option('--crash-runs <n>', 'small clusters in which clients and memory nodes die', count('crash runs'))
    .option('--minutes <m>', 'run for so long', parseMinutes)
    .option('--seed <n>', 'the first seed; alone, this one seed is run and told in full', count('the seed'))
    .option('--seed-from <text>', 'derive the first seed from a text, such as a tree hash')
    .option('--plan <json>', 'with --seed: change the plan of the seed so, and tell every verb of a failure')
    .option('--no-shrink', 'tell a failing --seed as it is, without looking for a smaller plan')
    .option('-j, --jobs <n>', 'worker processes', count('jobs'), availableParallelism())
    .option('--speed', 'measure the simulator on fixed larger clusters with 16-byte values', false)
    .option('--json', 'print JSON: one object, or one for each row of a table', false)
    .option('--exhaustive', 'explore small cases through every schedule, and print the table', false)
    .option('--short', 'with --exhaustive: the suites that every push runs', false)
    .option('--long', 'with --exhaustive: also the suites that take hours', false)
    .option('--scenario <slots: mix>', "explore one case, such as 'K0 -: D I | U'")
    .option('--r <n>', 'with --scenario: replicas of the index', count('replicas'), 2)
    .option('--r-d <n>', 'with --scenario: replicas of objects', count('data replicas'), 2)
    .option('--crashes <n>', 'with --scenario: clients that may die', count('crashes'), 0)
    .option('--cuts <n>', "with --scenario: clients' links that may fail", count('cuts'), 0)
    .option('--mn-crashes <n>', 'with --scenario: memory nodes that may die', count('MN crashes'), 0)
    .option(
      '--dies <replica>',
      'with --scenario: this replica of the slots may die, under a master',
      count('dies'),
    )
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
  if (flags.plan !== undefined && flags.seed === undefined)
    throw new UsageError('--plan changes the plan of a seed; give --seed too');
  const { crashRuns } = flags;
  const isOne = flags.seeds === undefined && flags.minutes === undefined && (crashRuns ?? 1) === 1;
  if (flags.plan !== undefined && !(isOne && crashRuns === undefined))
    throw new UsageError('--plan is for one run; leave --seeds, --crash-runs and --minutes out');
  if (crashRuns !== undefined && (flags.seeds !== undefined || flags.minutes !== undefined))
    throw new UsageError(`--crash-runs ${crashRuns} says how many; leave --seeds and --minutes out`);
  requireTogether(flags);
  if (flags.exhaustive) await verifyExhaustive(flags);
  else if (flags.scenario !== undefined) verifyScenario(flags as ScenarioFlags);
  else if (flags.speed) speed(flags);
  else if (flags.seed !== undefined && isOne) replay(flags.seed, flags);
  else await swarm(flags);
}

/** Refuses flags of one kind of run beside those of another: none is left out without a word. */
function requireTogether(flags: Flags): void {
  const given = (names: readonly (keyof Flags)[]): string[] =>
    names
      .filter((name) => flags[name] !== undefined && flags[name] !== false)
      .map((name) => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
  const kinds = given(['exhaustive', 'scenario', 'speed']);
  if (kinds.length > 1) throw new UsageError(`${kinds.join(' and ')} are given; give one`);
  const [kind = 'a run of seeds'] = kinds;
  const rules: { of: string; flags: readonly (keyof Flags)[] }[] = [
    { of: '--exhaustive', flags: ['short', 'long'] },
    { of: '--scenario', flags: ['random', 'pct', 'replay'] },
    { of: 'a run of seeds', flags: ['seeds', 'crashRuns', 'minutes', 'seedFrom', 'plan'] },
  ];
  for (const rule of rules) {
    const [wrong] = kind === rule.of ? [] : given(rule.flags);
    if (wrong !== undefined) throw new UsageError(`${wrong} belongs to ${rule.of}, not to ${kind}`);
  }
  if (flags.short && flags.long) throw new UsageError('--short and --long are given; give one');
}

/** In a process of its own: flags of V8 come with its start, and the entry point is bundled. */
function speed({ json }: Flags): void {
  const path = fileURLToPath(new URL('../swarm/speed-process.js', import.meta.url));
  const args = [...HOT_FLAGS, path, ...(json ? ['--json'] : [])];
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 130;
}

const profileOf = ({ crashRuns }: Flags): 'any' | 'crash' => (crashRuns === undefined ? 'any' : 'crash');

/** Runs one seed, or one plan, twice, and tells what came of it. */
function replay(seed: number, flags: Flags): void {
  if (seed > SEED_MAX) throw new UsageError(`the seed is ${seed}; give a whole number from 0 to 2^52`);
  const plan = flags.plan === undefined ? profilePlan(profileOf(flags), seed) : parsePlan(seed, flags.plan);
  const report = runRepeatably(plan, { isTwice: true });
  const isFailure = report.findings.length > 0;
  if (!isFailure) process.stdout.write(`${flags.json ? JSON.stringify(report) : formatClean(report)}\n`);
  else tellFailure(plan, report, flags);
  if (isFailure) process.exitCode = 1;
}

/** A plan that was given is told as it is; a seed's own is shrunk before. */
function tellFailure(plan: SwarmPlan, report: SeedReport, flags: Flags): void {
  const { json, shrink, plan: given } = flags;
  const shrinks = shrink && given === undefined;
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  if (!json) {
    if (given !== undefined) print([`seed ${report.seed} fails`, ...tellPlan(plan, report)].join('\n'));
    else print(formatFailure(report, replayOf(profileOf(flags), report.seed)));
    if (shrinks) print(tellShrunk(plan, report).text);
    return;
  }
  const shrunk = shrinks ? tellShrunk(plan, report) : undefined;
  const replayIt = replayCommand(shrunk?.shrunk.plan ?? plan);
  print(JSON.stringify({ ...report, shrunk: shrunk?.shrunk.report, trace: shrunk?.text, replay: replayIt }));
}

function formatClean({ seed, outcomes, ...report }: SeedReport): string {
  const ended = Object.entries(outcomes).map(([name, n]) => `${n} ${name}`);
  return (
    `seed ${seed}: no violation, twice the same\n  ${report.plan}\n` +
    `  ${report.requests} requests (${ended.join(', ')}), ` +
    `${report.crashes} crashes, ${report.verbs} verbs, ${report.virtualNs / 1e6} ms, digest ${report.digest}`
  );
}

async function swarm(flags: Flags): Promise<void> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const isLive = process.stderr.isTTY && !flags.json;
  const seeds = flags.seeds ?? flags.crashRuns;
  const format = flags.crashRuns === undefined ? formatResult : formatCrashRuns;
  try {
    const result = await verifySeeds({
      profile: profileOf(flags),
      seeds: seeds ?? (flags.minutes === undefined ? SEEDS_DEFAULT : Number.POSITIVE_INFINITY),
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
    process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${format(result)}\n`);
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
      `${n(sum.repeated)} of them twice, ` +
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
