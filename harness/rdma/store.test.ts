/** The store over real verbs, by its command line: `npm run test:rdma` runs this in the soft-RoCE guest. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ProbedCell } from '../../fusee/fabric/sim/profile.js';
import { fusee, isRunning, RunFolder, Running, regions } from '../e2e/run-fusee.js';
import { probeSim } from '../run/probe-run.js';

const isGuest = process.env.FUSEE_GUEST !== undefined;
const reason = isGuest ? '' : ' [skipped: needs rxe0 and rxe1, see npm run test:rdma]';
/** Nodes are on the first device of the guest, clients on the second: their packets go over the wire. */
const OVER_WIRE = ['--fabric', 'verbs', '--device', 'rxe1'];
const SMALL = ['--records', '100', '--kv-bytes', '256', '--coroutines', '4', '--cache-bytes', '65536'];
const LIMIT_MS = 300_000;

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
        '120',
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
    'outlives a client that is killed, fenced and recovered, and a memory node that is killed behind it',
    async () => {
      const size = ['-w', 'ycsb-a', '-r', '2', '-c', '2', '-n', '3', '--requests', '1600'];
      const faults = [
        { at: '100ms', kill: 'client 1' },
        { at: '400ms', kill: 'node 2' },
      ];
      const { status, stderr, rows } = await bench(faults, ...size);
      expect(status, stderr).toBe(0);
      expect([rows[0].linearizable, rows[0].wrongValues, rows[0].lostKeys]).toEqual([true, 0, 0]);
      expect(rows[0].faults?.map(({ kind, target: of }) => [kind, of])).toEqual([
        ['kill', 'client 1'],
        ['kill', 'node 2'],
      ]);
    },
    LIMIT_MS,
  );

  it(
    'is a pool that `fusee node` serves and `fusee kv` uses, by exchange and by rdma_cm; fsck finds it clean',
    async () => {
      const pool = `rdma-${process.pid}`;
      const listen = ['--listen', '10.1.0.1:7311', '--device', 'rxe0'];
      const served = ['--fabric', 'verbs', '--memory', '64MiB', ...listen];
      const node = new Running(['node', '--pool', pool, ...served]);
      running.push(node);
      await node.says(/is ready .*verbs 10\.1\.0\.1:7311 on rxe0/, LIMIT_MS);
      const over = ['--pool', pool, '--fabric', 'verbs', '--nodes', '10.1.0.1:7311'];
      const put = await fusee('kv', 'put', 'a', 'one', ...over, '--device', 'rxe1');
      expect(put.status, put.stderr).toBe(0);
      const [got, refused, fsck] = await Promise.all([
        fusee('kv', 'get', 'a', ...over, '--connect', 'cm'),
        fusee('kv', 'put', 'a', 'two', '--pool', pool),
        fusee('fsck', '--json', ...over, '--device', 'rxe1'),
      ]);
      expect([got.status, got.stdout], got.stderr).toEqual([0, 'one']);
      // A processor's CAS beside the NIC's would lose updates: no client over shared memory joins.
      expect([refused.status, refused.stderr]).toEqual([
        2,
        expect.stringMatching(/is served over verbs.*--fabric verbs/),
      ]);
      expect(fsck.status, fsck.stdout + fsck.stderr).toBe(0);
      expect(JSON.parse(fsck.stdout)).toMatchObject({ isComplete: true, findingCount: 0 });
      node.process.kill('SIGINT');
      expect((await node.ended).status).toBe(0);
      expect(isRunning(node.pid)).toBe(false);
      expect(regions(`fusee-${pool}-`)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'is probed by size and length of the chain, as the simulator takes it',
    async () => {
      const probe = ['fabric', 'probe', 'verbs', '--device', 'rxe1', '--samples', '20', '--json'];
      const { status, stdout, stderr } = await fusee(...probe);
      expect(status, stderr).toBe(0);
      const { fabric, cells } = JSON.parse(stdout) as { fabric: string; cells: ProbedCell[] };
      expect([fabric, cells.length]).toEqual(['verbs', 36]);
      expect(Math.min(...cells.map(({ p50Ns }) => p50Ns))).toBeGreaterThan(0);
      const simulated = await probeSim(cells, { samples: 200 });
      const least = (all: readonly ProbedCell[], verb: string): number =>
        all.find((cell) => cell.verb === verb && cell.bytes === 8 && cell.chain === 1)?.p50Ns ?? 0;
      // The way there takes as long as half a WRITE, the way back as half a READ.
      const expected = (least(cells, 'READ') + least(cells, 'WRITE')) / 2;
      expect(Math.abs(least(simulated, 'READ') / expected - 1)).toBeLessThan(0.05);
    },
    LIMIT_MS,
  );
});
