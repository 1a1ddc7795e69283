import { afterEach, describe, expect, it } from 'vitest';
import { ShmFabric } from '../fabric/shm.js';
import { ShmNode } from '../fabric/shm-node.js';
import { regionName } from '../fabric/shm-process.js';
import { CLIENTS_MAX, Geometry, type PoolConfig, writeSuperblock } from '../layout/index.js';
import { smallPool } from '../node/in-process.js';
import { startShmNode } from '../node/index.js';
import { FabricError, UsageError } from '../verbs/index.js';
import { clientsOf, connect, openSession } from './connect.js';
import { joinPool, leavePool } from './membership.js';
import { leave } from './session.js';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const node of open.splice(0)) node.close();
});

const poolName = (name: string): string => `test-${process.pid}-connect-${name}`;
const config = (options: Partial<PoolConfig> = {}): PoolConfig =>
  smallPool({ nodes: 2, indexReplicas: 2, dataReplicas: 1, regionsPerNode: 1, ...options });

function start(name: string, configs: readonly PoolConfig[]): string {
  const pool = poolName(name);
  configs.forEach((c, mn) => {
    open.push(startShmNode({ pool, mn, config: c, prefault: false }));
  });
  return pool;
}

/** A node of the test's own making: its superblock is `edit`ed before clients may come. */
function startOdd(name: string, edit: (memory: DataView) => void): string {
  const c = config({ nodes: 1, indexReplicas: 1 });
  const node = new ShmNode({
    pool: poolName(name),
    mn: 0,
    memoryBytes: new Geometry(c).nodeBytes,
    prefault: false,
  });
  open.push(node);
  writeSuperblock(new Uint8Array(node.memory), c, 0);
  edit(new DataView(node.memory));
  node.ready();
  return poolName(name);
}

describe('connect', () => {
  it('joins a running pool; every client gets an id of its own', async () => {
    const pool = start('two', [config(), config()]);
    const [a, b] = [await connect({ pool }), await connect({ pool, coroutines: 1, cache: { bytes: 0 } })];
    expect(a.cid).not.toBe(b.cid);
    expect(a.geometry.config).toEqual(config());
    await a.insert('k', 'from a');
    expect(await b.search('k')).toEqual({ outcome: 'OK', value: new Uint8Array(Buffer.from('from a')) });
    await Promise.all([a.close(), b.close()]);
  });

  it('gives its place back when it is closed, and the next client gets it with an id of its own', async () => {
    const pool = start('places', [config(), config()]);
    const [a, b] = [await openSession({ pool }), await openSession({ pool })];
    expect([a, b].map(({ state }) => [state.cid, state.clientIndex])).toEqual([
      [1, 0],
      [2, 1],
    ]);
    await leave(a);
    a.fabric.close();
    const c = await connect({ pool });
    const d = await openSession({ pool });
    expect([c.cid, d.state.cid, d.state.clientIndex]).toEqual([3, 4, 2]);
    await Promise.all([c.close(), c.close()]);
    const e = await openSession({ pool });
    expect([e.state.cid, e.state.clientIndex]).toEqual([5, 0]);
    for (const session of [b, d, e]) session.fabric.close();
    // Every node knows how many have come.
    expect([await clientsOf({ pool }, 0), await clientsOf({ pool }, 1)]).toEqual([5, 5]);
  });

  it('says how many clients a pool can have when there are as many, and comes in again when one leaves', async () => {
    const pool = start('full', [config({ nodes: 1, indexReplicas: 1 })]);
    const client = await connect({ pool });
    const fabric = new ShmFabric({ regions: [regionName(pool, 0)], localBytes: 1 << 16, prefault: false });
    open.push(fabric);
    for (let i = 1; i < CLIENTS_MAX; i++)
      expect(await joinPool(fabric, { nodes: 1 })).toMatchObject({ clientIndex: i });
    const refused = connect({ pool });
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(
      `the pool has ${CLIENTS_MAX} clients, as many as it has places for; close`,
    );
    await leavePool(fabric, { nodes: 1, cid: 7 });
    await (await connect({ pool })).close();
    await client.close();
  });

  it('says which region is missing when a pool is not running, or only in part', async () => {
    const none = connect({ pool: poolName('none') });
    await expect(none).rejects.toBeInstanceOf(FabricError);
    await expect(none).rejects.toThrow(/connect-none-0 is not there: start its memory node/);
    const pool = start('half', [config()]);
    await expect(connect({ pool })).rejects.toThrow(/connect-half-1 is not there: start its memory node/);
  });

  it('refuses nodes that were started with different options, naming the option', async () => {
    const pool = start('differ', [config(), config({ groupsPerSubtable: 16 })]);
    const refused = connect({ pool });
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(
      'node 0 was started with groupsPerSubtable 8, node 1 with 16; start all nodes of a pool with the same',
    );
  });

  it('refuses a pool of another layout version, naming both', async () => {
    const pool = startOdd('version', (memory) => memory.setUint32(8, 99, true));
    const refused = connect({ pool });
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(
      /layout version 99, this program reads version \d+; use the program/,
    );
  });

  it('refuses a region that holds no pool', async () => {
    const pool = startOdd('magic', (memory) => memory.setUint32(0, 0));
    await expect(connect({ pool })).rejects.toThrow(/no FUSEE superblock/);
  });

  it.each([
    [{ coroutines: 0 }, 'coroutines is 0; a client has 1 to 256'],
    [{ coroutines: 257 }, 'coroutines is 257'],
    [{ coroutines: 1.5 }, 'coroutines is 1.5'],
    [{ deadlineMs: 0 }, 'the deadline is 0 ms; it must be a number above 0'],
    [{ deadlineMs: Number.NaN }, 'the deadline is NaN ms'],
    [{ pool: '' }, "the pool's name is ''; use 1 to 150 of the characters"],
    [{ cache: { bytes: -1 } }, 'the cache has -1 bytes; choose a whole number from 0 to'],
    [{ cache: { bytes: Number.NaN } }, 'the cache has NaN bytes'],
    [{ cache: { bytes: 1e18 } }, 'the cache has 1000000000000000000 bytes'],
    [{ pool: undefined as unknown as string }, "the pool's name is undefined; give a string"],
    [{ pool: '../shadow' }, "the pool's name is '../shadow'"],
    [{ queueLimit: 0 }, 'queueLimit is 0; choose a whole number from 1 to 16777216'],
    [{ deadlineMs: '5' as never }, 'the deadline is 5 ms; it must be a number above 0'],
    [{ cache: null as never }, 'the cache is null; give an object such as { bytes: 0 }'],
    [{ cache: 7 as never }, 'the cache is number; give an object such as { bytes: 0 }'],
  ])('refuses the options %j', async (options, message) => {
    const refused = connect({ pool: poolName('options'), ...options });
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(message);
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [7, 'number'],
    ['demo', 'string'],
  ])('refuses %s in place of options, and says what to give', async (options, named) => {
    const refused = connect(options as never);
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(
      `the options are ${named}; give an object such as { pool: 'demo' }`,
    );
  });

  it('tells a client whose node ends that requests are UNAVAILABLE', async () => {
    const pool = start('ends', [config({ nodes: 1, indexReplicas: 1 })]);
    const client = await connect({ pool });
    await client.insert('k', 'v');
    open[0].close();
    expect(await client.search('k')).toEqual({ outcome: 'UNAVAILABLE' });
    await client.close();
  });
});
