/** The store over real verbs, by its command line: `npm run test:rdma` runs this in the soft-RoCE guest. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fusee, isRunning, RunFolder, Running, regions } from '../e2e/run-fusee.js';

const isGuest = process.env.FUSEE_GUEST !== undefined;
const reason = isGuest ? '' : ' [skipped: needs rxe0 and rxe1, see npm run test:rdma]';
/** Nodes are on the first device of the guest, clients on the second: their packets go over the wire. */
const OVER_WIRE = ['--fabric', 'verbs', '--device', 'rxe1'];
const SMALL = ['--records', '200', '--kv-bytes', '256', '--coroutines', '4'];
const LIMIT_MS = 240_000;

describe.skipIf(!isGuest)(`the store over verbs${reason}`, () => {
  const folders: RunFolder[] = [];
  const running: Running[] = [];
  afterEach(() => {
    for (const one of running.splice(0)) one.process.kill('SIGKILL');
    for (const folder of folders.splice(0)) folder.remove();
  });

  /** A bench whose histories are checked; every byte of its pool's memory too, at the end. */
  async function bench(faults: readonly object[], ...args: string[]) {
    const folder = new RunFolder();
    folders.push(folder);
    const path = join(folder.path, 'faults.yaml');
    writeFileSync(path, JSON.stringify(faults));
    const timeline = faults.length === 0 ? [] : ['--faults', path];
    const run = new Running(folder.bench(...OVER_WIRE, ...SMALL, '--verify', ...timeline, ...args));
    running.push(run);
    const { status, stderr } = await run.ended;
    expect(regions(`fusee-bench-${run.pid}-`)).toEqual([]);
    return { status, stderr, rows: folder.runs()[0]?.rows ?? [] };
  }

  it(
    'runs YCSB A to D: linearizable, nothing lost, every byte accounted for',
    async () => {
      const shape = [
        '-w',
        'ycsb-a,ycsb-b,ycsb-c,ycsb-d',
        '-c',
        '1',
        '-n',
        '2',
        '-r',
        '2',
        '--requests',
        '400',
      ];
      const { status, stderr, rows } = await bench([], ...shape);
      expect(status, stderr).toBe(0);
      expect(
        rows.map((row) => [row.workload, row.fabric, row.linearizable, row.wrongValues, row.lostKeys]),
      ).toEqual(['a', 'b', 'c', 'd'].map((name) => [`ycsb-${name}`, 'verbs', true, 0, 0]));
    },
    LIMIT_MS,
  );

  it(
    'outlives a client that is killed: fenced at the nodes, recovered, its history linearizable',
    async () => {
      const shape = ['-w', 'ycsb-a', '-c', '2', '-n', '2', '-r', '2', '--requests', '12000'];
      const { status, stderr, rows } = await bench([{ at: '300ms', kill: 'client 1' }], ...shape);
      expect(status, stderr).toBe(0);
      expect(rows[0].linearizable).toBe(true);
      expect(rows[0].faults?.map(({ kind, target }) => [kind, target])).toEqual([['kill', 'client 1']]);
    },
    LIMIT_MS,
  );

  it(
    'outlives a memory node that is killed: the others go on without it',
    async () => {
      const shape = ['-w', 'ycsb-a', '-c', '1', '-n', '3', '-r', '2', '--requests', '12000'];
      const { status, stderr, rows } = await bench([{ at: '300ms', kill: 'node 2' }], ...shape);
      expect(status, stderr).toBe(0);
      expect(rows[0].linearizable).toBe(true);
      expect(rows[0].wrongValues).toBe(0);
      expect(rows[0].faults?.map(({ kind, target }) => [kind, target])).toEqual([['kill', 'node 2']]);
    },
    LIMIT_MS,
  );

  it(
    'is a pool that `fusee node` serves and `fusee kv` uses, by exchange and by rdma_cm',
    async () => {
      const pool = `rdma-${process.pid}`;
      const listen = ['--listen', '10.1.0.1:7311', '--device', 'rxe0'];
      const node = new Running(['node', '--pool', pool, '--fabric', 'verbs', '--memory', '64MiB', ...listen]);
      running.push(node);
      await node.says(/is ready .*verbs 10\.1\.0\.1:7311 on rxe0/, LIMIT_MS);
      const over = ['--pool', pool, '--fabric', 'verbs', '--nodes', '10.1.0.1:7311'];
      const put = await fusee('kv', 'put', 'a', 'one', ...over, '--device', 'rxe1');
      expect(put.status, put.stderr).toBe(0);
      const got = await fusee('kv', 'get', 'a', ...over, '--connect', 'cm');
      expect([got.status, got.stdout], got.stderr).toEqual([0, 'one']);
      // A processor's CAS beside the NIC's would lose updates: no client over shared memory joins.
      const refused = await fusee('kv', 'put', 'a', 'two', '--pool', pool);
      expect(refused.status).toBe(2);
      expect(refused.stderr).toMatch(/is served over verbs.*--fabric verbs/);
      node.process.kill('SIGINT');
      expect((await node.ended).status).toBe(0);
      expect(isRunning(node.pid)).toBe(false);
      expect(regions(`fusee-${pool}-`)).toEqual([]);
    },
    LIMIT_MS,
  );
});
