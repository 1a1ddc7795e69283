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
}

/** How long a stage may take. */
export interface StageLimits {
  /** For the stage, seconds by the clock. */
  readonly seconds: number;
  /** Of processor time between two lines of output, seconds; a hang beyond. The clock would count the neighbours. */
  readonly silentSeconds: number;
}

const PASSED: StageResult = {};
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
  let usedAtOutput = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    usedAtOutput = processorSeconds(child.pid!);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const watch = setInterval(() => {
    if (processorSeconds(child.pid!) - usedAtOutput > limits.silentSeconds) why = 'silent';
    else if (performance.now() - startedMs > limits.seconds * 1000) why = 'late';
    else return;
    end(child);
  }, 200);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (status, signal) => {
      clearInterval(watch);
      running.delete(child);
      resolve({ lines: output.split('\n').filter((line) => line !== ''), errors, status, signal, why });
    });
  });
}

/** Runs the gauntlet's `explore` or `swarm`. */
export async function runGauntlet(
  slot: Slot,
  args: readonly string[],
  limits: StageLimits,
): Promise<StageResult> {
  const ended = await runNode(slot, [join('out', 'harness', 'mutants', 'gauntlet.js'), ...args], limits);
  const caught = ended.lines.at(-1)?.startsWith('caught ') === true;
  const at = ended.lines.at(caught ? -2 : -1) ?? args[0];
  if (ended.why === 'silent')
    return { caughtBy: at, reason: `hangs: ${limits.silentSeconds} s without a result` };
  if (ended.why === 'late') return { isUndecided: true };
  if (caught) return { caughtBy: at, reason: ended.lines.at(-1)!.slice('caught '.length) };
  if (ended.status === 0) return PASSED;
  return { caughtBy: at, reason: `crashes: ${ended.signal ?? lastLine(ended.errors)}` };
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

/** Runs test files, or folders of them, until one test fails. */
export async function runTests(
  slot: Slot,
  tests: readonly string[],
  limits: StageLimits,
): Promise<StageResult> {
  const report = join(slot.folder, `report-${performance.now()}.json`);
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', ...tests, '--bail=1', '--reporter=json', `--outputFile=${report}`];
  const ended = await runNode(slot, args, limits);
  if (ended.why !== 'ended') return { caughtBy: `tests of ${tests[0]}`, reason: `hang: not over in time` };
  if (ended.status === 0) return PASSED;
  let failed: TestReport['testResults'][number] | undefined;
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as TestReport;
    failed = testResults.find((result) => result.status === 'failed');
  } catch {
    return { caughtBy: `tests of ${tests[0]}`, reason: `crash: ${lastLine(ended.errors)}` };
  }
  const name = failed?.name.slice(slot.folder.length + 1) ?? tests[0];
  const test = failed?.assertionResults.find((result) => result.status === 'failed');
  const reason = test?.failureMessages[0] ?? failed?.message ?? lastLine(ended.errors);
  return { caughtBy: test === undefined ? name : `${name}: ${test.fullName}`, reason: reason.split('\n')[0] };
}
