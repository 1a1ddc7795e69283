/** A machine that is not left alone must not bring numbers that look as if it were. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type ResultRow, resultRowSchema } from '../../results/schema.js';
import { MAIN, RunFolder } from './run-fusee.js';

const folder = new RunFolder();
const hogs: ChildProcess[] = [];
afterEach(() => {
  for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
});
afterAll(() => folder.remove());

/** Where everything of this test runs. */
const CORE = '0';

/** Runs a command on that core alone, and all that it starts. */
const onCore = (command: readonly string[]): ChildProcess =>
  spawn('taskset', ['-c', CORE, process.execPath, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });

/** Ends by itself if nobody ends it. */
const startHog = (): void => {
  hogs.push(onCore(['-e', 'for (const end = Date.now() + 60_000; Date.now() < end; );']));
};

async function run(
  command: ChildProcess,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  command.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  command.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const status = await new Promise<number | null>((resolve) => {
    command.on('close', resolve);
  });
  return { status, stdout, stderr };
}

const oneClient = ['-w', 'ycsb-c', '-c', '1', '-n', '1', '--records', '300', '--requests', '400k'];

describe("a hog on the client's core", () => {
  it('makes the verdict noisy, with reasons; --require-trust fails and keeps the row', async () => {
    startHog();
    const args = folder.bench(
      ...oneClient,
      '--seconds',
      '1.5',
      '--warmup',
      '300ms',
      '--require-trust',
      '--json',
    );
    const { status, stdout, stderr } = await run(onCore([MAIN, ...args]));
    const row: ResultRow = resultRowSchema.parse(JSON.parse(stdout));
    expect(row.trust?.verdict).toBe('noisy');
    const reasons = row.trust?.reasons.join('; ');
    expect(reasons).toMatch(/a client waited for a core \d+\.\d % of the window/);
    expect(reasons).toMatch(/other processes took \d+ % of a core/);
    // The hog takes half of the core, whatever else the machine does.
    expect(row.conditions?.coreWaitShare).toBeGreaterThan(0.2);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^fusee: ycsb-c, repetition 0, is noisy: .*a client waited for a core/m);
    const [stored] = folder.runs();
    expect(stored.rows).toEqual([row]);
    expect(readFileSync(join(stored.folder, 'rows.ndjson'), 'utf8')).toContain('"verdict":"noisy"');
  }, 90_000);
});

describe('every row', () => {
  it('says what its verdict rests on', async () => {
    const { stdout } = await run(onCore([MAIN, ...folder.bench(...oneClient, '--seconds', '1.3', '--json')]));
    const { conditions } = resultRowSchema.parse(JSON.parse(stdout));
    expect(conditions?.nullOperationNs).toBeGreaterThan(5);
    expect(conditions?.clockReadNs).toBeGreaterThan(1);
    expect(conditions?.clockStepNs).toBeGreaterThan(0);
    expect(conditions?.clockBackwards).toBe(0);
    expect(conditions?.hiccups?.count).toBeGreaterThan(20);
    expect(conditions?.coreWaitShare).toBeGreaterThanOrEqual(0);
    expect(conditions?.throughputInterval?.lowOps).toBeLessThan(conditions?.throughputInterval?.highOps ?? 0);
  }, 90_000);
});
