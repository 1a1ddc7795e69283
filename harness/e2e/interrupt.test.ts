/**
 * What ends a bench early: Ctrl-C, a lost harness, a lost process. Nothing stays behind, nothing is silent.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { fusee, isRunning, MAIN, RunFolder, Running, regions, until } from './run-fusee.js';

const folders: RunFolder[] = [];
afterAll(() => {
  for (const folder of folders) folder.remove();
});

function makeFolder(): RunFolder {
  const folder = new RunFolder();
  folders.push(folder);
  return folder;
}

/**
 * Held-back completions make every phase long enough to be met: load about 2 s, run 40 s, read-back 0.5 s.
 */
const slow = ['-w', 'ycsb-a', '-c', '1', '-n', '1', '-r', '1', '--coroutines', '64', '--rtt', '50ms'];
const records = (count: number, requests: number): string[] => [
  '--records',
  String(count),
  '--requests',
  String(requests),
];

const PHASES = { start: /starting/, load: /loading/, run: /running/, check: /reading back/ } as const;

interface Begun {
  readonly folder: RunFolder;
  readonly running: Running;
  readonly children: number[];
}

async function runUntil(phase: keyof typeof PHASES): Promise<Begun> {
  const folder = makeFolder();
  const sizes = phase === 'check' ? records(400, 256) : records(phase === 'load' ? 2000 : 64, 50_000);
  const running = new Running(folder.bench(...slow, ...sizes));
  // Of a run something must have been measured, however slow the machine is.
  await running.says(phase === 'run' ? /running, [1-9]\d* operations/ : PHASES[phase]);
  if (phase === 'start') await until(() => running.children().length > 0);
  return { folder, running, children: running.children() };
}

function expectNothingLeft(running: Running, children: readonly number[]): void {
  expect(children.length).toBeGreaterThan(0);
  expect(children.filter(isRunning)).toEqual([]);
  expect(regions(`fusee-bench-${running.pid}-`)).toEqual([]);
}

describe.concurrent('Ctrl-C', () => {
  it.each([
    ['start', 'SIGINT'],
    ['load', 'SIGINT'],
    ['run', 'SIGINT'],
    ['check', 'SIGINT'],
    ['run', 'SIGTERM'],
    ['start', 'SIGHUP'],
  ] as const)(
    'in the phase %s (%s) ends with 130 and leaves nothing but what was measured',
    async (phase, signal) => {
      const { folder, running, children } = await runUntil(phase);
      running.signalGroup(signal);
      const { status, stdout, stderr } = await running.ended;
      expect([status, stderr.match(/fusee: .*/g)]).toEqual([130, null]);
      expect(stderr).toMatch(/interrupted: finishing what is in flight/);
      expectNothingLeft(running, children);
      const [run] = folder.runs();
      expect(run.status).toMatchObject({ state: 'interrupted', reason: 'stopped by the user' });
      expect(stdout).toContain(run.folder);
      expect(run.attempts.map((a) => a.outcome)).toEqual(['interrupted']);
      if (phase === 'start' || phase === 'load') {
        expect(run.rows).toEqual([]);
      } else {
        const [row] = run.rows;
        expect(row).toMatchObject({ interrupted: true, lostKeys: null, wrongValues: 0 });
        expect(row.operations).toBeGreaterThan(0);
        expect(stdout).toMatch(/INTERRUPTED/);
      }
    },
  );

  it('is heard in the moment in which a run begins, before its clients have been told', async () => {
    const folder = makeFolder();
    const running = new Running(folder.bench(...slow, ...records(64, 50_000)));
    await running.says(PHASES.run);
    running.signalGroup('SIGINT');
    const startMs = performance.now();
    const { status } = await running.ended;
    expect(status).toBe(130);
    // The run would have taken 40 s.
    expect(performance.now() - startMs).toBeLessThan(20_000);
    expect(folder.runs().map((run) => run.status.state)).toEqual(['interrupted']);
  });

  it('leaves the cells before it finished, and logs those after it as skipped', async () => {
    const folder = makeFolder();
    const args = ['-w', 'ycsb-c,ycsb-a,ycsb-b', ...slow.slice(2), ...records(64, 1280), '--json'];
    const running = new Running(folder.bench(...args));
    await running.says(/"ycsb-c"/);
    running.signalGroup('SIGINT');
    const { status, stdout } = await running.ended;
    expect(status).toBe(130);
    const [run] = folder.runs();
    expect(run.attempts.map((a) => [a.cell, a.outcome])).toEqual([
      ['ycsb-c', 'ok'],
      ['ycsb-a', 'interrupted'],
      ['ycsb-b', 'skipped'],
    ]);
    expect(run.rows[0]).toMatchObject({ workload: 'ycsb-c', interrupted: false, lostKeys: 0 });
    expect(stdout.trimEnd().split('\n').length).toBe(run.rows.length);
  });

  it('twice gives up on a client that does not answer, and still leaves nothing', async () => {
    const { folder, running, children } = await runUntil('run');
    process.kill(running.child('client-process'), 'SIGSTOP');
    running.signalGroup('SIGINT');
    await running.says(/again to give up/);
    running.signalGroup('SIGINT');
    expect((await running.ended).status).toBe(130);
    await until(() => !children.some(isRunning));
    expectNothingLeft(running, children);
    expect(folder.runs()[0].status).toMatchObject({ state: 'interrupted', reason: 'given up by the user' });
  });
});

const SCRIPT = '/usr/bin/script';
/** In CI a missing part is a failure, not a skip. */
const hasScript = existsSync(SCRIPT) || process.env['FUSEE_CI'] !== undefined;

describe.skipIf(!hasScript)('on a terminal (needs script, of bsdutils)', () => {
  it('one line moves with throughput and p99, and Ctrl-C typed there ends the run in order', async () => {
    const folder = makeFolder();
    const args = [process.execPath, MAIN, ...folder.bench(...slow, ...records(64, 50_000))];
    const shell = `stty rows 24 cols 100; exec ${args.join(' ')}`;
    const terminal = spawn(SCRIPT, ['-qefc', shell, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let shown = '';
    terminal.stdout.on('data', (chunk) => {
      shown += chunk;
    });
    const ended = new Promise((resolve) => terminal.on('close', resolve));
    await until(() => /running, [1-9]\d* operations, .*p99/.test(shown), 20_000);
    terminal.stdin.write('\x03');
    expect(await ended).toBe(130);
    const plain = stripVTControlCharacters(shown);
    expect(plain).toMatch(/ycsb-a: loading/);
    expect(plain).toMatch(/ycsb-a: running, \d+ operations, [\d.]+ kops\/s, p99 \d+\.\d µs/);
    expect(plain).toMatch(/interrupted: finishing what is in flight/);
    // The line is erased and written anew; the cursor is never hidden.
    expect(shown).toContain('\u001B[');
    expect(shown).not.toContain('\u001B[?25l');
    expect(folder.runs().map((run) => run.status.state)).toEqual(['interrupted']);
  });
});

describe.concurrent('a harness that is killed', () => {
  it('takes its processes with it, and its regions with them', async () => {
    const { folder, running, children } = await runUntil('run');
    running.process.kill('SIGKILL');
    await running.ended;
    await until(() => !children.some(isRunning) && regions(`fusee-bench-${running.pid}-`).length === 0);
    expectNothingLeft(running, children);
    expect(folder.runs().map((run) => [run.status.state, run.rows.length])).toEqual([['running', 0]]);
  });

  it('takes a client with it that is stopped, and a memory node, and the regions', async () => {
    const { running, children } = await runUntil('run');
    process.kill(running.child('client-process'), 'SIGSTOP');
    process.kill(running.child('node-process'), 'SIGSTOP');
    running.process.kill('SIGKILL');
    await running.ended;
    await until(() => !children.some(isRunning) && regions(`fusee-bench-${running.pid}-`).length === 0);
    const left = children.filter(isRunning);
    for (const pid of left) process.kill(pid, 'SIGKILL');
    expect(left).toEqual([]);
    expectNothingLeft(running, children);
  });

  it('together with its nodes leaves regions, which the next bench sweeps', async () => {
    const { folder, running, children } = await runUntil('run');
    process.kill(running.child('node-process'), 'SIGKILL');
    running.process.kill('SIGKILL');
    await running.ended;
    await until(() => !children.some(isRunning));
    const left = regions(`fusee-bench-${running.pid}-`);
    const small = ['-w', 'ycsb-c', '-c', '1', '-n', '1', '-r', '1', ...records(10, 80), '--json'];
    expect((await fusee(...folder.bench(...small))).status).toBe(0);
    expect(left.length).toBe(1);
    expect(regions(`fusee-bench-${running.pid}-`)).toEqual([]);
  });
});

describe.concurrent('a process that is killed in the middle', () => {
  it.each([
    ['node-process', 'memory node 0', 'run'],
    ['client-process', 'client 0', 'run'],
    ['node-process', 'memory node 0', 'load'],
  ] as const)(
    '(%s: %s, phase %s) is named, ends the bench with 1, and leaves nothing',
    async (module, name, phase) => {
      const { folder, running, children } = await runUntil(phase);
      process.kill(running.child(module), 'SIGKILL');
      const { status, stdout, stderr } = await running.ended;
      expect(status).toBe(1);
      expect(stderr).toContain(`fusee: ycsb-a: ${name} ended unexpectedly (SIGKILL)\n`);
      expectNothingLeft(running, children);
      const [run] = folder.runs();
      expect(run.folder).toMatch(/\.failed$/);
      expect(stdout).toContain(run.folder);
      expect(run.status.reason).toBe(`ycsb-a: ${name} ended unexpectedly (SIGKILL)`);
      expect(run.attempts.map((a) => [a.outcome, a.reason])).toEqual([
        ['failed', `${name} ended unexpectedly (SIGKILL)`],
      ]);
    },
  );
});
