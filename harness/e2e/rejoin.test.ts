/**
 * Memory nodes that come back, and nodes that are drained, while clients work: real processes die and are
 * replaced, and nothing is lost, not even when another one dies right behind.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../fusee/client/index.js';
import { askStatus } from '../../fusee/control/link.js';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import type { MasterStatus } from '../../fusee/host/status.js';
import { fusee, isRunning, Running, regions, until } from './run-fusee.js';

const running: Running[] = [];
afterEach(async () => {
  for (const one of running) if (isRunning(one.pid)) one.process.kill('SIGTERM');
  await Promise.all(running.splice(0).map((one) => one.ended));
  // What the last one that was killed has left, nobody else sweeps.
  for (let n = 0; n < count; n++) sweepRegions(poolName(n));
});

let count = 0;
const poolName = (n: number): string => `e2e-rejoin-${process.pid}-${n}`;

function startNode(pool: string, id: number, ...more: string[]): Running {
  const shape = ['--nodes', '3', '--index-replicas', '2', '--data-replicas', '2', '--keys', '10k'];
  const node = new Running([
    'node',
    '--pool',
    pool,
    '--id',
    String(id),
    '--memory',
    '32MiB',
    ...shape,
    ...more,
  ]);
  running.push(node);
  return node;
}

/** A pool of three nodes with a master, every process of its own. */
async function start(): Promise<{ pool: string; nodes: Running[] }> {
  const pool = poolName(count++);
  const nodes = [0, 1, 2].map((id) => startNode(pool, id));
  await Promise.all(nodes.map((node) => node.says(/is ready/)));
  const master = new Running(['master', '--pool', pool, '--lease', '10s']);
  running.push(master);
  await master.says(/is ready/);
  return { pool, nodes };
}

const statusOf = async (pool: string): Promise<MasterStatus> => (await askStatus({ pool })) as MasterStatus;

async function masterSays(pool: string, isSo: (status: MasterStatus) => boolean): Promise<MasterStatus> {
  let status = await statusOf(pool);
  for (const end = performance.now() + 20_000; !isSo(status) && performance.now() < end; )
    status = await statusOf(pool);
  return status;
}

const KEYS = 300;

/** Updates all keys again and again, and knows what each was set to last. */
class Writer {
  readonly #client: Client;
  readonly latest = new Map<string, string>();
  rounds = 0;
  #isOver = false;
  #done: Promise<void> = Promise.resolve();

  constructor(client: Client) {
    this.#client = client;
  }

  begin(): void {
    const write = async (): Promise<void> => {
      for (; !this.#isOver; this.rounds++) await Promise.all(this.#roundOf(this.rounds));
    };
    this.#done = write();
  }

  #roundOf(round: number): Promise<void>[] {
    return Array.from({ length: KEYS }, async (_, i) => {
      const key = `k${i}`;
      // Some come and go: their slots, cells and bits do too.
      const isGone = i % 10 === round % 10;
      const { outcome } = isGone
        ? await this.#client.delete(key)
        : await this.#client.put(key, `${i}-${round}`);
      expect(['OK', ...(isGone ? ['NOT_FOUND'] : [])]).toContain(outcome);
      if (isGone) this.latest.delete(key);
      else this.latest.set(key, `${i}-${round}`);
    });
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  /** Every key holds what it was set to last. */
  async check(client: Client): Promise<void> {
    for (let i = 0; i < KEYS; i++) {
      const found = await client.search(`k${i}`);
      const value = found.outcome === 'OK' ? Buffer.from(found.value).toString() : undefined;
      expect([`k${i}`, value]).toEqual([`k${i}`, this.latest.get(`k${i}`)]);
    }
  }
}

const fsckIsClean = async (pool: string): Promise<void> => {
  const fsck = await fusee('fsck', '--pool', pool);
  expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  expect(fsck.stdout).toMatch(/^clean: /m);
  expect(fsck.stdout).not.toMatch(/^without node/m);
};

describe('a pool that has lost a memory node', () => {
  it('has its place filled by a fresh process while clients write, and can lose the next one', async () => {
    const { pool, nodes } = await start();
    const client = await connect({ pool });
    const writer = new Writer(client);
    writer.begin();
    for (const [lost, view] of [
      [0, 2],
      [1, 5],
    ]) {
      await until(() => writer.rounds > 0);
      nodes[lost].process.kill('SIGKILL');
      await masterSays(pool, (status) => status.view.number >= view);
      // Its old memory lies there still: it is swept, and nothing of it comes back.
      expect(regions(`fusee-${pool}-${lost}`)).toEqual([`fusee-${pool}-${lost}`]);
      const fresh = startNode(pool, lost);
      nodes[lost] = fresh;
      await fresh.says(/is ready/);
      const { view: now, filling } = await statusOf(pool);
      expect([now.dead, filling]).toEqual([[], undefined]);
      const before = writer.rounds;
      await until(() => writer.rounds > before + 1);
    }
    await writer.end();
    await writer.check(client);
    // Who comes later finds all nodes, and so does who asks.
    const late = await connect({ pool });
    await writer.check(late);
    await late.close();
    await client.close();
    await fsckIsClean(pool);
    expect((await fusee('recover', '--pool', pool)).stdout).toMatch(/^view \d+, all nodes alive; 0 clients/);
  }, 180_000);

  it('takes no node that is not as the others are, nor one for a place that lives, nor a second one', async () => {
    const { pool, nodes } = await start();
    const client = await connect({ pool });
    await client.put('k', 'v');
    const living = await startNode(pool, 1).ended;
    expect(living).toMatchObject({ status: 2 });
    expect(living.stderr).toMatch(/node 1 lives; to move its place to this process, start it with --replace/);
    nodes[1].process.kill('SIGKILL');
    await masterSays(pool, ({ view }) => view.number === 2);
    const other = await startNode(pool, 1, '--block-size', '128KiB').ended;
    expect(other.stderr).toMatch(/it was started with blockBytes 131072, the pool with 65536/);
    // Nothing of either is left, and the place is still to be had.
    expect(regions(`fusee-${pool}-1`)).toEqual([]);
    await startNode(pool, 1).says(/is ready/);
    await client.close();
    await fsckIsClean(pool);
  }, 120_000);
});

describe('a memory node that is drained', () => {
  it('has its place moved to another process while clients write, and ends', async () => {
    const { pool, nodes } = await start();
    const client = await connect({ pool });
    const writer = new Writer(client);
    writer.begin();
    await until(() => writer.rounds > 0);
    const fresh = startNode(pool, 0, '--replace');
    await fresh.says(/is ready/);
    expect((await nodes[0].ended).stdout).toMatch(/node 0 of pool '.*' has been drained; it ends/);
    // At no time was anything kept less than twice: another node may die at once.
    nodes[1].process.kill('SIGKILL');
    await masterSays(pool, ({ view }) => view.dead.includes(1));
    const before = writer.rounds;
    await until(() => writer.rounds > before + 1);
    await writer.end();
    await writer.check(client);
    await client.close();
    expect((await fusee('fsck', '--pool', pool)).stdout).toMatch(/^clean: /m);
    expect(regions(`fusee-${pool}-0`)).toEqual([`fusee-${pool}-0`]);
  }, 120_000);
});
