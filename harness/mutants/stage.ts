/** Runs one part of what a mutant has to pass, in a process that is ended when it takes too long. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Slot } from './sandbox.js';

/** How a stage ended. */
export interface StageResult {
  /** What caught the mutant, and why; undefined when it passed. */
  readonly caughtBy?: string;
  readonly reason?: string;
  /** Time ran out although nothing hung: it decides nothing. */
  readonly isUndecided?: boolean;
  /** Processor seconds that it took: the clock would count the neighbours on the machine. */
  readonly seconds: number;
}

/** How long a stage may take, in processor seconds. */
export interface StageLimits {
  readonly seconds: number;
  /** Between two lines of output; a hang beyond. */
  readonly silentSeconds: number;
}

/** By the clock a stage may take this many times as long as its limit: others use the machine too. */
const CLOCK_FACTOR = 6;
/** Clock ticks per second in /proc: Linux has it fixed for user space. */
const TICKS = 100;

const running = new Set<ChildProcess>();

/** Ends what still runs: for an interrupted run. */
export function endAll(): void {
  for (const child of running) end(child);
}

/** Ends a process and its children. */
function end(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Processor seconds that a process has used; 0 when it is gone. */
function processorSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return 0;
  }
}

/** What a process said, and how it ended. */
export interface Ended {
  readonly lines: readonly string[];
  readonly errors: string;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly why: 'ended' | 'silent' | 'late';
  readonly seconds: number;
}

/** Runs `node` with arguments in a slot. */
export function runNode(slot: Slot, args: readonly string[], limits: StageLimits): Promise<Ended> {
  const child = spawn(process.execPath, ['--max-old-space-size=3000', ...args], {
    cwd: slot.folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const startedMs = performance.now();
  let output = '';
  let errors = '';
  let why: Ended['why'] = 'ended';
  let used = 0;
  let usedAtOutput = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    usedAtOutput = Math.max(used, processorSeconds(child.pid!));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const watch = setInterval(() => {
    used = Math.max(used, processorSeconds(child.pid!));
    const clockSeconds = (performance.now() - startedMs) / 1000;
    if (used - usedAtOutput > limits.silentSeconds) why = 'silent';
    else if (used > limits.seconds || clockSeconds > CLOCK_FACTOR * limits.seconds) why = 'late';
    else return;
    end(child);
  }, 100);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (status, signal) => {
      clearInterval(watch);
      running.delete(child);
      const lines = output.split('\n').filter((line) => line !== '');
      resolve({ lines, errors, status, signal, why, seconds: used });
    });
  });
}

/** Runs a part of `gauntlet.ts`. */
export async function runGauntlet(
  slot: Slot,
  args: readonly string[],
  limits: StageLimits,
): Promise<StageResult> {
  const ended = await runNode(slot, [join('out', 'harness', 'mutants', 'gauntlet.js'), ...args], limits);
  const { seconds, lines } = ended;
  const caught = lines.at(-1)?.startsWith('caught ') === true;
  const caughtBy = lines.at(caught ? -2 : -1) ?? args[0];
  if (ended.why === 'silent')
    return { caughtBy, reason: `hangs: ${limits.silentSeconds} s without a result`, seconds };
  if (ended.why === 'late') return { isUndecided: true, seconds };
  if (caught) return { caughtBy, reason: lines.at(-1)!.slice('caught '.length), seconds };
  if (ended.status === 0) return { seconds };
  return { caughtBy, reason: `crashes: ${ended.signal ?? lastLine(ended.errors)}`, seconds };
}

function lastLine(errors: string): string {
  const lines = errors.split('\n').filter((line) => /^\S*Error|FATAL/.test(line));
  return lines.at(0) ?? errors.trim().split('\n').at(-1) ?? 'no reason given';
}

interface TestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Runs test files, or folders of them, until one test fails; they hang when they exceed `seconds`. */
export async function runTests(
  slot: Slot,
  tests: readonly string[],
  options: { readonly seconds: number },
): Promise<StageResult> {
  const report = join(slot.folder, `report-${performance.now()}.json`);
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', ...tests, '--bail=1', '--reporter=json', `--outputFile=${report}`];
  const limits = { seconds: 2 * options.seconds, silentSeconds: options.seconds };
  const ended = await runNode(slot, args, limits);
  const { seconds } = ended;
  const caughtBy = `tests of ${tests[0]}`;
  if (ended.why === 'silent') return { caughtBy, reason: `hangs: ${options.seconds.toFixed(0)} s`, seconds };
  if (ended.why === 'late') return { isUndecided: true, seconds };
  if (ended.status === 0) return { seconds };
  const failed = failedTest(report);
  if (failed === undefined) return { caughtBy, reason: `crashes: ${lastLine(ended.errors)}`, seconds };
  const file = failed.name.slice(slot.folder.length + 1);
  const test = failed.assertionResults.find((result) => result.status === 'failed');
  const reason = test?.failureMessages[0] ?? failed.message;
  const name = test === undefined ? file : `${file}: ${test.fullName}`;
  return { caughtBy: name, reason: reason.split('\n')[0], seconds };
}

function failedTest(report: string): TestReport['testResults'][number] | undefined {
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as TestReport;
    return testResults.find((result) => result.status === 'failed');
  } catch {
    return undefined;
  }
}
