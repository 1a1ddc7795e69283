/**
 * Runs the built command as users do, and looks at what it leaves behind. `npm test` builds it first.
 *
 * Every run gets a process group of its own, so that a signal can go to the whole group as a terminal sends
 * it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { listRuns, readRun, type StoredRun } from '../../results/stored-run.js';
import { packageRoot } from '../run/package-root.js';

/** The built command. */
export const MAIN = join(packageRoot, 'dist', 'harness', 'cli', 'main.js');
/** The built command of the long-running checks. */
export const CHECKS = join(packageRoot, 'dist', 'harness', 'endurance', 'main.js');

/** How a command ended, and what it said. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export class Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  /**
   * @param options.by a command that runs it, as `ip netns exec` does.
   * @param options.env besides what this process has.
   */
  constructor(
    args: readonly string[],
    options: { cwd?: string; main?: string; by?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
  ) {
    const [command, ...rest] = [...(options.by ?? []), process.execPath, options.main ?? MAIN, ...args];
    this.process = spawn(command, rest, {
      cwd: options.cwd ?? tmpdir(),
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.process.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.process.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (status, signal) => {
        resolve({ status, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** Waits until the command has said something on either stream. */
  async says(pattern: RegExp, timeoutMs = 45_000): Promise<void> {
    await until(() => pattern.test(this.stdout + this.stderr) || this.process.exitCode !== null, timeoutMs);
    if (!pattern.test(this.stdout + this.stderr)) {
      throw new Error(`the command never said ${pattern}: ${this.stdout}${this.stderr}`);
    }
  }

  /** To the whole process group, as Ctrl-C on a terminal does. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Processes that it has started and that still run. */
  children(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      const stat = /^\d+$/.test(name) ? readProc(`/proc/${name}/stat`) : null;
      const [state, parent] = stat?.replace(/^.*\) /s, '').split(' ') ?? [];
      return Number(parent) === this.pid && state !== 'Z' ? [Number(name)] : [];
    });
  }

  /**
   * The one child process that runs the given module with the given place among its like, in order of start.
   */
  child(module: 'client-process' | 'node-process', index = 0): number {
    const pids = this.children()
      .filter((pid) => readProc(`/proc/${pid}/cmdline`)?.includes(module))
      .sort((a, b) => a - b);
    return pids[index];
  }
}

/**
 * A script that connects to a pool, says `busy`, and updates one key for ever; its path. It ends by what a
 * request throws.
 */
export function busyClient(folder: string, pool: string, access: object = { pool }): string {
  const path = join(folder, `busy-${pool}.mjs`);
  const client = pathToFileURL(join(packageRoot, 'dist', 'fusee.js')).href;
  writeFileSync(
    path,
    `import { connect } from '${client}';
     const client = await connect(${JSON.stringify(access)});
     await client.put('busy', 'v');
     console.log('busy');
     for (let n = 0; ; n++) await client.update('busy', String(n));`,
  );
  return path;
}

/** Runs a command to its end. */
export const fusee = (...args: string[]): Promise<Ended> => new Running(args).ended;

const readProc = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** The letter of a process's state, T for stopped; null when there is no such process. */
export function stateOf(pid: number): string | null {
  return /\) (\w) /.exec(readProc(`/proc/${pid}/stat`) ?? '')?.[1] ?? null;
}

/** Whether a process runs; a zombie counts as gone. */
export function isRunning(pid: number): boolean {
  return ![null, 'Z'].includes(stateOf(pid));
}

/** Waits for something to come true. */
export async function until(isTrue: () => boolean, timeoutMs = 10_000): Promise<void> {
  for (const end = performance.now() + timeoutMs; !isTrue() && performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Names of regions in shared memory that begin so. */
export const regions = (prefix: string): string[] =>
  readdirSync('/dev/shm').filter((name) => name.startsWith(prefix));

/** A folder of a test's own, and the runs in it. */
export class RunFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'fusee-e2e-'));

  /** Bench arguments that keep a run small and its results here. */
  bench(...args: string[]): string[] {
    return ['bench', '--out', this.path, '--warmup', '0', '--no-figures', ...args];
  }

  /** The same for two clients under faults, verified; answers are held back, so that it lasts. */
  verifiedBench(timeline: readonly object[], ...args: string[]): string[] {
    const faults = join(this.path, 'faults.yaml');
    writeFileSync(faults, JSON.stringify(timeline));
    const sizes = [
      '--records',
      '300',
      '--requests',
      '60000',
      '--kv-bytes',
      '128',
      '--rtt',
      '300us',
      '--loop',
    ];
    return this.bench('-w', 'ycsb-a', '-c', '2', ...sizes, '--verify', '--faults', faults, ...args);
  }

  /** All runs in whatever state, each file of them read and checked. */
  runs(): StoredRun[] {
    const states = ['running', 'finished', 'interrupted', 'failed'] as const;
    return listRuns(this.path, { states }).map(({ folder }) => readRun(folder));
  }

  get isEmpty(): boolean {
    return !existsSync(this.path) || readdirSync(this.path).length === 0;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
