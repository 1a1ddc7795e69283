/** `fusee fsck` and `fusee stats` on pools of real processes. */
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, connect, fsck, type PoolReport } from '../../fusee/client/index.js';
import { ShmFabric } from '../../fusee/fabric/shm.js';
import { regionName } from '../../fusee/fabric/shm-process.js';
import { Geometry, View } from '../../fusee/layout/index.js';
import { VerbBatch } from '../../fusee/verbs/index.js';
import { fusee, isRunning, Running } from './run-fusee.js';

const running: Running[] = [];
afterEach(async () => {
  for (const node of running) if (isRunning(node.pid)) node.process.kill('SIGTERM');
  await Promise.all(running.splice(0).map((node) => node.ended));
});

let count = 0;

/** Starts a pool; gives its name. */
async function startPool(nodes: number, r: number): Promise<string> {
  const pool = `fsck-${process.pid}-${count++}`;
  const size = [
    '--nodes',
    `${nodes}`,
    '--index-replicas',
    `${r}`,
    '--data-replicas',
    `${r}`,
    '--keys',
    '10k',
  ];
  const started = Array.from(
    { length: nodes },
    (_, id) => new Running(['node', '--pool', pool, '--memory', '32MiB', ...size, '--id', `${id}`]),
  );
  running.push(...started);
  await Promise.all(started.map((node) => node.says(/is ready/)));
  return pool;
}

/** Clients that put, update and delete the same keys at once: rounds are lost and won, objects replaced. */
async function load(pool: string): Promise<void> {
  const clients = await Promise.all([1, 2, 3].map(() => connect({ pool })));
  const requests = (client: Client, c: number): Promise<unknown>[] =>
    Array.from({ length: 1500 }, (_, i) => {
      const key = `user${(i * 7 + c) % 300}`;
      const value = 'v'.repeat((i * 37 + c) % 900);
      if (i % 10 === 9) return client.delete(key);
      return i % 3 === 0
        ? client.insert(key, value)
        : i % 3 === 1
          ? client.put(key, value)
          : client.search(key);
    });
  await Promise.all(clients.flatMap(requests));
  await Promise.all(clients.map((client) => client.close()));
}

/** Writes a byte to a node's memory, past everything. */
async function poke(
  pool: string,
  nodes: number,
  to: { mn: number; offset: number; byte: number },
): Promise<void> {
  const regions = Array.from({ length: nodes }, (_, mn) => regionName(pool, mn));
  const fabric = new ShmFabric({ regions, localBytes: 1 << 16, prefault: false });
  const at = fabric.local.reserve(64);
  fabric.local.bytes[at] = to.byte;
  const batch = new VerbBatch(fabric.local, 1);
  batch.reset().write(to.mn, to.offset, at, 1);
  fabric.post(batch);
  while (fabric.poll([]) === 0);
  fabric.close();
}

describe('a pool after a load by several clients', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
  ])(
    'of %i nodes, r = %i, is clean, and every byte accounted for',
    async (nodes, r) => {
      const pool = await startPool(nodes, r);
      await load(pool);
      const text = await fusee('fsck', '--pool', pool);
      expect([text.status, text.stderr]).toEqual([0, '']);
      expect(text.stdout).toMatch(
        /^node +bytes +superblock +clients +directory +index .*table +header +live .*free/,
      );
      expect(text.stdout.trimEnd().split('\n').at(-1)).toBe('clean: every byte is accounted for');

      const json = await fusee('fsck', '--pool', pool, '--json');
      expect([json.status, json.stderr]).toEqual([0, '']);
      const report: PoolReport = JSON.parse(json.stdout);
      expect([report.findings, report.config.nodes]).toEqual([[], nodes]);
      for (const { bytes, nodeBytes } of report.nodes)
        expect(Object.values(bytes ?? {}).reduce((a, b) => a + b)).toBe(nodeBytes);
      expect(report.index.live).toBeGreaterThan(100);
      // All of them have closed: nobody is at work, and nothing of theirs is left to be freed.
      expect(report.clients).toEqual([]);
      expect(report.nodes.map(({ bytes }) => bytes?.unfreed)).toEqual(report.nodes.map(() => 0));

      const stats = JSON.parse((await fusee('stats', '--pool', pool, '--json')).stdout);
      expect(stats.index).toEqual(report.index);
      expect(stats.nodes.map((n: { classes: unknown }) => n.classes)).toEqual(
        report.nodes.map((n) => n.classes),
      );
      const told = await fusee('stats', '-p', pool);
      expect(told.stdout).toMatch(/^node +cell +blocks +live +tombstones +awaiting +free +unnamed +fragm/);
      expect(told.stdout).toMatch(
        /^index: \d+ keys and \d+ tombstones in \d+ slots, load factor .* 0 splits$/m,
      );
      expect(told.stdout).toMatch(/^no client is at work$/m);
    },
    120_000,
  );
});

describe('a pool that was damaged', () => {
  it('has findings and status 1; the walk itself changes nothing', async () => {
    const pool = await startPool(2, 2);
    expect((await fusee('kv', 'put', 'k', 'v', '--pool', pool)).status).toBe(0);
    const { config, findings } = await fsck({ pool });
    expect(findings).toEqual([]);
    const geometry = new Geometry(config);
    const view = new View(geometry);
    await poke(pool, 2, { mn: 1, offset: geometry.nodeBytes - 1, byte: 7 });
    for (let times = 0; times < 2; times++) {
      const { status, stdout } = await fusee('fsck', '--pool', pool);
      expect(status).toBe(1);
      expect(stdout).toContain(
        `node 1, offset ${geometry.nodeBytes - 1}: not-zero: the byte is 7, but block`,
      );
      expect(stdout).toContain('1 finding. Run it on a quiet pool:');
    }
    // Many at once: the first ones are told, the rest is counted.
    for (let i = 0; i < 30; i++)
      await poke(pool, 2, { mn: view.slotMn(0, 1), offset: view.slotOffset(64 * i), byte: 99 });
    const { status, stdout } = await fusee('fsck', '--pool', pool);
    expect(status).toBe(1);
    expect(stdout.match(/bucket-header: depth 99/g)?.length).toBe(20);
    expect(stdout).toContain('... and 11 more; in all 30 bucket-header, 1 not-zero');
  }, 60_000);
});

describe('wrong usage', () => {
  it('has status 2, and a pool that does not run status 1, both with a sentence', async () => {
    for (const command of ['fsck', 'stats']) {
      const badName = await fusee(command, '--pool', 'a/b');
      expect([badName.status, badName.stdout]).toEqual([2, '']);
      expect(badName.stderr).toContain("the pool's name is 'a/b'; use 1 to 150");
      expect((await fusee(command, '--nonsense')).status).toBe(2);
      const none = await fusee(command, '--pool', `none-${process.pid}`);
      expect(none.status).toBe(1);
      expect(none.stderr).toContain('is not there: start its memory node first');
    }
    expect((await fusee('fsck', '--help')).stdout).toContain('Run it on a quiet pool');
  }, 60_000);
});
