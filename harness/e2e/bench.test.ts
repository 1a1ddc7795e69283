/** `fusee bench` from end to end: nothing lost, nothing wrong, results that validate. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ResultRow, resultRowSchema } from '../../results/schema.js';
import { fusee, RunFolder, Running, regions } from './run-fusee.js';

const folder = new RunFolder();
afterAll(() => folder.remove());

const small = ['--records', '300', '--requests', '1600'];
/** One node and one client: for what does not depend on how many there are. */
const alone = ['-c', '1', '-n', '1', '--records', '100', '--requests', '800'];

const rowsOf = (stdout: string): ResultRow[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => resultRowSchema.parse(JSON.parse(line)));

describe.concurrent('YCSB with 4 clients', () => {
  it.each([
    ['1', '1'],
    ['2', '3'],
    ['3', '3'],
  ])(
    'ends without a lost or wrong value at r = %s on %s nodes',
    async (r, nodes) => {
      const workloads = ['ycsb-a', 'ycsb-b', 'ycsb-c', 'ycsb-d', 'ycsb-f'];
      const args = ['-w', workloads.join(','), '-c', '4', '-r', r, '-n', nodes, '--json', ...small];
      const { status, stdout, stderr } = await fusee(...folder.bench(...args));
      expect([status, stderr]).toEqual([0, '']);
      const rows = rowsOf(stdout);
      expect(rows.map((row) => row.workload)).toEqual(workloads);
      for (const row of rows) {
        expect([row.wrongValues, row.lostKeys, row.interrupted]).toEqual([0, 0, false]);
        expect([row.clients, row.indexReplicas, row.dataReplicas]).toEqual([4, Number(r), Number(r)]);
        // The first client to end ends the window: the others need not have played everything.
        expect(row.operations).toBeGreaterThan(400);
        expect(row.operations).toBeLessThanOrEqual(1600 + 4 * 8);
      }
    },
    // Some forty processes at once: on one core, beside other tests, that takes a minute.
    150_000,
  );
});

describe.concurrent('other workloads', () => {
  it('micro: one kind each, on private keys; what DELETE leaves cannot be checked', async () => {
    const kinds = ['insert', 'update', 'search', 'delete'] as const;
    const workloads = kinds.map((kind) => `micro-${kind}`).join(',');
    const args = folder.bench('-w', workloads, '--json', ...alone);
    const { status, stdout, stderr } = await fusee(...args);
    expect([status, stderr]).toEqual([0, '']);
    for (const [i, row] of rowsOf(stdout).entries()) {
      expect(Object.keys(row.perOperation)).toEqual([kinds[i]]);
      const isDelete = kinds[i] === 'delete';
      expect([row.wrongValues, row.lostKeys]).toEqual(isDelete ? [null, null] : [0, 0]);
      expect(row.outcomes).toEqual({ [kinds[i]]: { OK: row.operations } });
    }
  }, 120_000);

  it('mix keeps its ratio, a trace its sizes; the same seed gives the same requests', async () => {
    const trace = join(folder.path, 'trace.txt');
    const lines = Array.from(
      { length: 600 },
      (_, i) => `${i % 3 === 0 ? 'PUT' : 'GET'} k${i % 50} ${((i * 37) % 4000) + 1}`,
    );
    writeFileSync(trace, `${lines.join('\n')}\n`);
    const args = ['-w', 'mix,trace', '--search-ratio', '0.25', '--trace', trace, '--json', ...alone];
    const [first, second] = await Promise.all([
      fusee(...folder.bench(...args)),
      fusee(...folder.bench(...args)),
    ]);
    expect([first.status, first.stderr]).toEqual([0, '']);
    const [mix, replay] = rowsOf(first.stdout);
    const searches = mix.perOperation.search?.count ?? 0;
    expect(searches / mix.operations).toBeGreaterThan(0.2);
    expect(searches / mix.operations).toBeLessThan(0.3);
    expect([replay.operations > 100, replay.wrongValues, replay.lostKeys]).toEqual([true, 0, 0]);
    expect(rowsOf(second.stdout).map((r) => r.streamHash)).toEqual([mix.streamHash, replay.streamHash]);
  }, 120_000);

  it('--rtt holds every completion back', async () => {
    const args = ['-w', 'ycsb-c', ...alone, '--rtt', '2ms', '--requests', '200', '--json'];
    const { stdout } = await fusee(...folder.bench(...args));
    const [row] = rowsOf(stdout);
    expect(row.rttNs).toBe(2e6);
    expect(row.latencyNs.search?.p50).toBeGreaterThanOrEqual(1.99e6);
  });
});

describe.concurrent('what a run leaves', () => {
  it('is a table, paths that exist, files that validate, figures, and nothing in shared memory', async () => {
    const own = new RunFolder();
    try {
      const args = ['-w', 'ycsb-a', '--repeats', '2', '--warmup', '0', ...alone];
      const running = new Running(['bench', '--out', own.path, ...args]);
      const { status, stdout, stderr } = await running.ended;
      expect(status).toBe(0);
      expect(regions(`fusee-bench-${running.pid}-`)).toEqual([]);
      const [table, ...paths] = stdout.split(/\n(?=\/)/).map((part) => part.trimEnd());
      expect(table).toMatch(/^workload +(rep|seed)[^\n]*wrong +lost +trust\n-/);
      for (const path of paths) expect(existsSync(path)).toBe(true);
      const figures = new Set(paths.slice(1).map((path) => parse(path).name));
      expect(paths.length).toBe(1 + 5 * figures.size);
      // A heatmap too, where the window was long enough for one.
      for (const figure of ['throughput', 'latency', 'percentiles', 'series']) {
        expect(figures).toContain(figure);
        expect(readFileSync(join(paths[0], 'figures', `${figure}.pdf`), 'latin1')).toMatch(/^%PDF/);
        expect(readFileSync(join(paths[0], 'figures', `${figure}.svg`), 'utf8')).toMatch(/^<svg/);
        expect(
          readFileSync(join(paths[0], 'figures', `${figure}.png`))
            .subarray(1, 4)
            .toString(),
        ).toBe('PNG');
      }
      const [run] = own.runs();
      expect(run.status.state).toBe('finished');
      expect(run.rows.map((r) => [r.workload, r.repetition, r.seed])).toEqual([
        ['ycsb-a', 0, 1],
        ['ycsb-a', 1, 2],
      ]);
      expect(run.attempts.map((a) => [a.cell, a.repetition, a.attempt, a.outcome, a.reason])).toEqual(
        run.rows.map((r) => [r.workload, r.repetition, 1, 'ok', null]),
      );
      const measured = run.rows.reduce((sum, r) => sum + r.operations, 0);
      expect(run.series.reduce((sum, point) => sum + point.operations, 0)).toBe(measured);
      expect(run.latency.reduce((sum, interval) => sum + interval.histogram.count, 0)).toBe(measured);
      expect(run.provenance.version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(run.experiment).toMatchObject({ workloads: ['ycsb-a'], clients: 1, repetitions: 2 });
      // Not a terminal: plain lines, a phase each.
      for (const phase of ['starting', 'loading', 'running', 'reading back']) {
        expect(stderr).toContain(`ycsb-a (1/2): ${phase}\n`);
      }
      expect(stderr).not.toContain('\u001B');
    } finally {
      own.remove();
    }
  }, 120_000);

  it('--json is one object for each cell and line, and nothing else', async () => {
    const args = ['-w', 'ycsb-a,ycsb-c', '--json', ...alone];
    const { stdout, stderr } = await fusee(...folder.bench(...args));
    expect(stderr).toBe('');
    const objects = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    expect(objects.length).toBe(2);
    for (const row of objects) {
      for (const name of [
        'system',
        'workload',
        'flavour',
        'fabric',
        'clients',
        'coroutines',
        'nodes',
        'indexReplicas',
        'dataReplicas',
        'kvBytes',
        'seed',
        'operations',
        'seconds',
        'throughputOps',
        'wrongValues',
        'lostKeys',
        'latencyNs',
        'perOperation',
        'collections',
        'trust',
      ]) {
        expect(row).toHaveProperty(name);
      }
      expect(Object.keys(row.latencyNs.search)).toEqual(['p50', 'p90', 'p99', 'p999', 'max']);
      for (const name of ['rtts', 'verbs', 'bytes', 'casFailures']) {
        expect(row.perOperation.search[name]).toBeTypeOf('number');
      }
    }
  });

  it('a reader who stops reading is no failure, and the run is stored all the same', async () => {
    const own = new RunFolder();
    try {
      const args = ['-w', 'ycsb-c,ycsb-a', '--json', ...alone];
      const running = new Running(own.bench(...args));
      running.process.stdout?.destroy();
      const { status, stderr } = await running.ended;
      expect([status, stderr]).toEqual([0, '']);
      expect(own.runs().map((run) => [run.status.state, run.rows.length])).toEqual([['finished', 2]]);
    } finally {
      own.remove();
    }
  });

  it('a warm-up that nobody chose leaves a window, however short the run', async () => {
    const own = new RunFolder();
    try {
      const args = ['-w', 'ycsb-a,micro-insert', '--no-figures', '--json', ...alone];
      const { status, stdout, stderr } = await fusee('bench', '--out', own.path, ...args);
      expect([status, stderr]).toEqual([0, '']);
      for (const row of rowsOf(stdout)) {
        expect(row.warmupMs).toBeGreaterThan(0);
        expect(row.operations).toBeGreaterThan(100);
      }
    } finally {
      own.remove();
    }
  }, 120_000);

  it('a warm-up that nobody chose ends when a fifth of the requests has begun', async () => {
    const own = new RunFolder();
    try {
      // A few cold records say little of how fast warm requests will go.
      const sizes = ['--records', '2000', '--requests', '200000', '-c', '2', '-n', '1', '-r', '1'];
      const args = ['-w', 'ycsb-c', '--no-figures', '--json', '--kv-bytes', '64', ...sizes];
      const { status, stdout, stderr } = await fusee('bench', '--out', own.path, ...args);
      expect([status, stderr]).toEqual([0, '']);
      expect(rowsOf(stdout)[0].operations).toBeGreaterThan(60_000);
    } finally {
      own.remove();
    }
  }, 150_000);

  it('a window that the warm-up swallowed is a failure that says so, not a result', async () => {
    const own = new RunFolder();
    try {
      const args = own.bench('-w', 'ycsb-c,ycsb-a', ...alone);
      const { status, stderr } = await fusee(...args, '--warmup', '5s');
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /fusee: ycsb-c: all requests ended within the warm-up; raise --requests or set a shorter/,
      );
      const [run] = own.runs();
      expect(run.status.state).toBe('failed');
      expect(run.status.reason).toMatch(/all requests ended within the warm-up/);
      expect(run.attempts.map((a) => [a.cell, a.outcome])).toEqual([
        ['ycsb-c', 'failed'],
        ['ycsb-a', 'skipped'],
      ]);
    } finally {
      own.remove();
    }
  });
});
