/** Open loops, sweeps that go on, and stored results, by the built command. */
import { appendFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ResultRow } from '../../results/schema.js';
import { listRuns } from '../../results/stored-run.js';
import { fusee, RunFolder, Running } from './run-fusee.js';

const folder = new RunFolder();
afterAll(() => folder.remove());

const small = ['-n', '1', '-r', '1', '--kv-bytes', '64', '--records', '500'];
const rowsOf = (stdout: string): ResultRow[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

describe('an open loop', () => {
  it('shows a 50-ms stall in response times, which service times hide', async () => {
    const faults = join(folder.path, 'stalls.yaml');
    // Each stall delays a twentieth of a second's requests; in flight meanwhile are eight at most.
    const stalls = [0.5, 1, 1.5, 2].map((at) => `- {at: ${at}s, stop: client 0, for: 50ms}\n`);
    writeFileSync(faults, stalls.join(''));
    const args = ['-w', 'ycsb-c', '-c', '1', ...small, '--requests', '20k', '--seconds', '2.5', '--json'];
    const open = ['--rate', '2000', '--arrivals', 'constant', '--faults', faults, '--no-master'];
    const { status, stdout, stderr } = await fusee(...folder.bench(...args, ...open));
    expect([status, stderr]).toEqual([0, '']);
    const [row] = rowsOf(stdout);
    expect(row.faults?.length).toBe(4);
    expect(row.openLoop).toMatchObject({
      arrivals: 'constant',
      offeredOps: 2000,
      catchUp: 'all',
      skipped: 0,
    });
    const { scheduled = 0, late = 0, dropped = 0 } = row.openLoop ?? {};
    expect(scheduled - dropped).toBe(row.operations);
    expect(late).toBeGreaterThan(300);
    const service = row.latencyNs.search?.p99 ?? 0;
    const response = row.responseNs?.search?.p99 ?? 0;
    expect(response).toBeGreaterThan(30e6);
    expect(service).toBeLessThan(response / 2);
    const [run] = folder.runs();
    // Service times are stored by interval, response times whole.
    const counts = new Map<string, number>();
    for (const { tag, histogram } of run.latency) counts.set(tag, (counts.get(tag) ?? 0) + histogram.count);
    expect(Object.fromEntries(counts)).toEqual({
      'ycsb-c/search': row.operations,
      'ycsb-c/search-response': row.operations,
    });
  }, 120_000);

  it('that no client can keep up with is not sustained, and says so', async () => {
    const own = new RunFolder();
    try {
      const args = [
        '-w',
        'ycsb-a',
        '-c',
        '1',
        '--coroutines',
        '1',
        ...small,
        '--requests',
        '2000',
        '--rtt',
        '2ms',
      ];
      const { status, stdout } = await fusee(...own.bench(...args, '--rate', '5k', '--seconds', '1'));
      expect(status).toBe(0);
      expect(stdout).toMatch(/OFFERED LOAD NOT SUSTAINED/);
      const [{ openLoop }] = own.runs()[0].rows;
      expect(openLoop?.verdict).toBe('not sustained');
      expect(openLoop?.dropped).toBeGreaterThan(1000);
      const skipping = await fusee(
        ...own.bench(...args, '--rate', '5k', '--seconds', '1', '--skip-after', '20ms', '--json'),
      );
      const [skipped] = rowsOf(skipping.stdout);
      expect(skipped.openLoop).toMatchObject({
        catchUp: 'skip',
        skipAfterNs: 20e6,
        verdict: 'not sustained',
      });
      expect(skipped.openLoop?.skipped).toBeGreaterThan(1000);
      expect(skipped.openLoop?.dropped).toBeLessThan(1000);
      expect(skipped.openLoop?.responseNs?.p50).toBeLessThan((openLoop?.responseNs?.p50 ?? 0) / 2);
    } finally {
      own.remove();
    }
  }, 120_000);

  it('is asked for by its rate, and by nothing else', async () => {
    const refused = async (...args: string[]) => {
      const { status, stderr } = await fusee(...folder.bench(...args));
      return `${status}: ${stderr}`;
    };
    expect(await refused('--arrivals', 'constant')).toMatch(/^2: .*no offered load; add --rate N/);
    expect(await refused('--rate', '0')).toMatch(/^2: .*the rate is 0 requests a second/);
    expect(await refused('--rate', '5,5')).toMatch(/^2: .*named twice/);
    expect(await refused('--clients', '2,2')).toMatch(/^2: .*named twice/);
  }, 120_000);
});

describe('a sweep', () => {
  it('that was killed goes on where it was: what is finished is not measured again', async () => {
    const own = new RunFolder();
    try {
      const args = own.bench('-w', 'ycsb-c,ycsb-a', '-c', '1,2', ...small, '--requests', '3000', '--resume');
      const killed = new Running(args);
      await killed.says(/ycsb-c c1: [\d.]+ Mops.*\n(.*\n)*ycsb-a c1: loading/, 90_000);
      killed.signalGroup('SIGKILL');
      await killed.ended;
      const { status, stderr, stdout } = await fusee(...args);
      expect(status).toBe(0);
      const [first] = listRuns(own.path, { states: ['running'] });
      expect(stderr).toContain(`ycsb-c c1: taken from run ${first.id}\n`);
      expect(stdout).toMatch(/^workload +clients /);
      const resumed = own.runs().find((run) => run.status.state === 'finished');
      expect(resumed?.rows.map((row) => [row.workload, row.clients, row.reusedFrom])).toEqual([
        ['ycsb-c', 1, first.id],
        ['ycsb-a', 1, null],
        ['ycsb-c', 2, null],
        ['ycsb-a', 2, null],
      ]);
      expect(new Set(resumed?.rows.map((row) => row.cellKey)).size).toBe(4);
      expect(resumed?.latency.map(({ tag }) => tag)).toContain('c1/ycsb-c/search');
      // What was copied counts once.
      const count = 'SELECT count(*) AS n FROM rows';
      const queried = await fusee('results', 'query', count, '--out', own.path, '--json');
      expect([queried.stderr, queried.stdout]).toEqual(['', '{"n":4}\n']);
      // Other settings are other cells.
      const other = await fusee(...args, '--seed', '2', '-w', 'ycsb-c', '-c', '1');
      expect(other.stderr).not.toContain('taken from');
    } finally {
      own.remove();
    }
  }, 240_000);
});

describe('fusee results', () => {
  it('lists, shows, exports and prunes what is stored, past what is damaged', async () => {
    const own = new RunFolder();
    const results = (...args: string[]) => fusee('results', ...args, '--out', own.path);
    try {
      await fusee(...own.bench('-w', 'ycsb-c', '-c', '1', ...small, '--requests', '500'));
      const [{ id, folder: at }] = listRuns(own.path);
      appendFileSync(join(at, 'rows.ndjson'), '{"schemaVersion":3');
      const listed = await results('list');
      expect(listed.stdout).toMatch(new RegExp(`^ *run .*\n${id} +bench +finished +1 .*ycsb-c\n$`));
      expect(listed.stderr).toMatch(/^fusee: skipped .*rows\.ndjson:2: not JSON/);
      const shown = await results('show', id.slice(0, 12));
      expect(shown.stdout).toMatch(/code: commit .*\nmachine: .*\nnetwork: .*\n\nworkload /);
      const file = join(own.path, 'rows.csv');
      expect((await results('export', '-o', file)).status).toBe(0);
      expect(readFileSync(file, 'utf8').split('\r\n')).toHaveLength(3);
      // One run that means nothing any more costs nobody the others.
      const damaged = at.replace(id, id.replace(/^\d{4}/, '2001'));
      cpSync(at, damaged, { recursive: true });
      writeFileSync(join(damaged, 'provenance.json'), '{"commit":');
      const past = await results('export', '-f', 'ndjson');
      expect(past.status).toBe(1);
      expect(past.stdout.split('\n').map((line) => line.slice(0, 30))).toEqual([
        `{"runId":"${id}"`.slice(0, 30),
        '',
      ]);
      expect(past.stderr).toContain(`fusee: skipped ${damaged}: `);
      rmSync(damaged, { recursive: true });
      expect((await results('show', 'x')).stderr).toMatch(/no run .* begins with 'x'/);
      const dry = await results('prune', '--state', 'finished');
      expect(dry.stdout).toMatch(/^goes: .*\nnothing was removed; --yes removes what goes\n$/);
      expect(listRuns(own.path)).toHaveLength(1);
      expect((await results('prune', '--state', 'finished', '--yes')).stdout).toMatch(/removed 1 runs\n$/);
      expect((await results('list')).stdout).toMatch(/^no runs in /);
    } finally {
      own.remove();
    }
  }, 120_000);
});
