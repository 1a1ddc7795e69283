/**
 * Pools whose clients, nodes and master are on different hosts: the master's control channel over TCP. The
 * other host is a network namespace (`far-host.ts`), which takes root.
 */

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { askStatus } from '../../fusee/control/link.js';
import { Relay } from '../../fusee/fabric/conformance/tcp-by-hand.js';
import type { MasterStatus } from '../../fusee/host/status.js';
import { TwoHosts } from './far-host.js';
import { busyClient, type Ended, fusee, isRunning, RunFolder, Running, until } from './run-fusee.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const running: Running[] = [];
afterEach(async () => {
  for (const one of running) {
    if (isRunning(one.pid)) one.process.kill('SIGCONT');
    // The first process of its own namespace hears of nothing less.
    const isFar = one.process.spawnargs.includes('unshare');
    if (isRunning(one.pid)) one.process.kill(isFar ? 'SIGKILL' : 'SIGTERM');
  }
  await Promise.all(running.splice(0).map((one) => one.ended));
});
const folder = new RunFolder();
const hosts = TwoHosts.make();
afterAll(() => {
  if (typeof hosts !== 'string') hosts.remove();
  folder.remove();
});

const secretFile = join(folder.path, 'secret');
writeFileSync(secretFile, 'a secret of 24 characters', { mode: 0o600 });
const secret = ['--secret-file', secretFile];

let count = 0;

interface Pool {
  readonly pool: string;
  readonly nodes: Running[];
  readonly addresses: string[];
  readonly master: Running;
  /** Where its master is found. */
  readonly at: string;
  /** What every command of another host is given. */
  readonly flags: string[];
}

/** Where a pool runs: at an address of this host, or on the near one of two. */
interface Where {
  readonly host: string;
  readonly by?: readonly string[];
}

const HERE: Where = { host: '127.0.0.1' };

function startNode(pool: string, { host, by }: Where, id: number, ...more: string[]): Running {
  const sizes = ['--memory', '32MiB', '--keys', '10k', '--id', String(id)];
  const shape = ['--nodes', '3', '--index-replicas', '2', '--data-replicas', '2'];
  const tcp = ['--fabric', 'tcp', '--listen', `${host}:0`, ...secret, ...more];
  const args = ['node', '--pool', pool, ...sizes, ...shape, ...tcp];
  const node = new Running(args, by === undefined ? {} : { by });
  running.push(node);
  return node;
}

/** A pool of three nodes that keep everything twice, and its master. */
async function start(where: Where, ...more: string[]): Promise<Pool> {
  const { host, by } = where;
  const pool = `e2e-far-${process.pid}-${count++}`;
  const nodes = [0, 1, 2].map((id) => startNode(pool, where, id));
  await Promise.all(nodes.map((node) => node.says(/is ready/)));
  const addresses = nodes.map(({ stdout }) => /tcp ([\d.]+:\d+)/.exec(stdout)?.[1] ?? '');
  const reach = ['--pool', pool, '--fabric', 'tcp', ...secret];
  const listening = ['--nodes', addresses.join(','), '--listen', `${host}:0`];
  const master = new Running(['master', ...reach, ...listening, ...more], by === undefined ? {} : { by });
  running.push(master);
  await master.says(/is ready/);
  const at = /is ready \(tcp ([\d.]+:\d+)\)/.exec(master.stdout)?.[1] ?? '';
  return { pool, nodes, addresses, master, at, flags: [...reach, '--master', at] };
}

/** By the master's own socket, which the near host shares with this one. */
const statusOf = async ({ pool }: Pool): Promise<MasterStatus> =>
  (await askStatus({ pool, secretFile })) as MasterStatus;

async function masterSays(pool: Pool, isSo: (status: MasterStatus) => boolean): Promise<MasterStatus> {
  let status = await statusOf(pool);
  for (const end = performance.now() + 20_000; !isSo(status) && performance.now() < end; )
    status = await statusOf(pool);
  return status;
}

describe('a master that listens on TCP', () => {
  it('has a node that dies replaced by one elsewhere, while clients that know only the master go on', async () => {
    const pool = await start(HERE);
    const client = await connect({ pool: pool.pool, fabric: 'tcp', master: [pool.at], secretFile });
    const put = async (round: string): Promise<void> => {
      const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
      const done = await Promise.all(keys.map((key) => client.put(key, `${key}-${round}`)));
      expect(new Set(done.map(({ outcome }) => outcome))).toEqual(new Set(['OK']));
    };
    await put('first');
    for (const lost of [0, 1]) {
      pool.nodes[lost].process.kill('SIGKILL');
      await put(`without ${lost}`);
      await masterSays(pool, ({ view }) => view.dead.includes(lost));
      // At another port: nobody was told of it but the master.
      const fresh = startNode(pool.pool, HERE, lost, '--master', pool.at);
      pool.nodes[lost] = fresh;
      await fresh.says(/is ready/);
      expect((await statusOf(pool)).view.dead).toEqual([]);
      await put(`with ${lost}`);
    }
    // Each key has been on a node that died; where nothing is left of the first ones, all is on the others.
    for (let i = 0; i < 60; i++) {
      const found = await client.search(`k${i}`);
      expect(found.outcome === 'OK' && Buffer.from(found.value).toString()).toBe(`k${i}-with 1`);
    }
    // Who drains a node that lives takes its place at another address too.
    const fresh = startNode(pool.pool, HERE, 2, '--master', pool.at, '--replace');
    await fresh.says(/is ready/);
    expect(await pool.nodes[2].ended).toMatchObject({ status: 0 });
    await put('drained');
    await client.close();
    const fsck = await fusee('fsck', ...pool.flags);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
    expect(fsck.stdout).toMatch(/^clean: /m);
    // Old addresses of nodes do no harm.
    const get = await fusee('kv', 'get', 'k7', ...pool.flags, '--nodes', pool.addresses.join(','));
    expect(get).toMatchObject({ status: 0, stdout: 'k7-drained' });
  });

  it('is followed by one that stood by elsewhere, who fences it and knows where nodes have gone', async () => {
    const pool = await start(HERE);
    const reach = ['--pool', pool.pool, '--fabric', 'tcp', ...secret, '--nodes', pool.addresses.join(',')];
    const next = new Running(['master', ...reach, '--listen', '127.0.0.2:0', '--standby']);
    running.push(next);
    await next.says(/stands by/);
    pool.nodes[0].process.kill('SIGKILL');
    await masterSays(pool, ({ view }) => view.dead.includes(0));
    await startNode(pool.pool, HERE, 0, '--master', pool.at).says(/is ready/);
    await masterSays(pool, ({ view }) => view.dead.length === 0);
    pool.master.process.kill('SIGKILL');
    await next.says(/is ready/);
    expect(next.stdout).toMatch(/the master before \(process \d+\) is fenced/);
    const at = /is ready \(tcp ([\d.]+:\d+)\)/.exec(next.stdout)?.[1] ?? '';
    const flags = ['--pool', pool.pool, '--fabric', 'tcp', ...secret, '--master', `${pool.at},${at}`];
    expect(await fusee('kv', 'put', 'late', 'x', ...flags)).toMatchObject({ status: 0 });
    const told = await fusee('recover', '--pool', pool.pool, ...secret, '--master', at);
    expect(told.stdout).toMatch(/^view \d+, all nodes alive/);
    expect(await fusee('fsck', ...flags)).toMatchObject({ status: 0 });
  });

  it('says what is wrong, and goes on', async () => {
    const pool = await start(HERE);
    const reach = ['--pool', pool.pool, '--fabric', 'tcp'];
    const wrong = join(folder.path, 'wrong');
    writeFileSync(wrong, 'some other secret of mine', { mode: 0o600 });
    const get = await fusee('kv', 'get', 'x', ...reach, '--secret-file', wrong, '--master', pool.at);
    expect([get.status, get.stderr]).toEqual([
      2,
      expect.stringMatching(/^fusee: the secret of the master of pool '.*' at 127\.0\.0\.1:\d+ is another/),
    ]);
    // The same secret, but another pool.
    const other = await fusee(
      'kv',
      'get',
      'x',
      '--pool',
      'other',
      ...reach.slice(2),
      ...secret,
      '--master',
      pool.at,
    );
    expect([other.status, other.stderr]).toEqual([
      2,
      expect.stringMatching(/the master there is another pool's/),
    ]);
    const second = ['master', '--pool', `${pool.pool}-b`, '--fabric', 'tcp', ...secret];
    const taken = await fusee(...second, '--nodes', pool.addresses.join(','), '--listen', pool.at);
    expect([taken.status, taken.stderr]).toEqual([
      1,
      expect.stringMatching(/cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE.*choose another with --listen/),
    ]);
    const nowhere = await fusee('recover', '--pool', pool.pool, ...secret, '--master', '127.0.0.1:9');
    expect([nowhere.status, nowhere.stderr]).toEqual([
      1,
      expect.stringMatching(/no master of pool '.*' can be reached at 127\.0\.0\.1:9: .*ECONNREFUSED/),
    ]);
    const none = await fusee('recover', '--pool', pool.pool, ...secret, '--master', 'here');
    expect([none.status, none.stderr]).toEqual([
      2,
      expect.stringMatching(/'here' is no address: give host:port/),
    ]);
    const before = (await statusOf(pool)).refused;
    const [host, port] = pool.at.split(':');
    for (const bytes of ['{}\n', 'x'.repeat(5000), '{"type":"hello","nonce":1,"proof":2}\n']) {
      const socket = connectSocket(Number(port), host);
      socket.on('error', () => {});
      socket.resume();
      socket.write(bytes);
      await once(socket, 'close');
    }
    expect((await statusOf(pool)).refused).toBe(before + 3);
    expect(pool.master.stdout).toMatch(/refused a connection: a line has more than 4096 characters of 127/);
    expect(await fusee('kv', 'put', 'x', 'y', ...pool.flags)).toMatchObject({ status: 0 });
  });
});

describe('a client whose connections are cut', () => {
  it('goes on as if nothing had happened: all is answered, nothing executes twice, nobody is fenced', async () => {
    const pool = await start(HERE, '--lease', '5s');
    const portOf = (address: string): number => Number(address.split(':')[1]);
    const relays = await Promise.all([...pool.addresses, pool.at].map((at) => Relay.open(portOf(at))));
    try {
      const [nodes, [master]] = [relays.slice(0, 3), relays.slice(3)].map((of) => of.map((r) => r.address));
      const access = { pool: pool.pool, fabric: 'tcp' as const, nodes, master: [master], secretFile };
      const client = await connect(access);
      const latest = new Map<string, string>();
      for (let round = 0; round < 25; round++) {
        const work = Array.from({ length: 24 }, async (_, i) => {
          const key = `k${i}`;
          const isGone = i % 6 === round % 6;
          const { outcome } = isGone ? await client.delete(key) : await client.put(key, `${i}-${round}`);
          expect(['OK', ...(isGone ? ['NOT_FOUND'] : [])]).toContain(outcome);
          if (isGone) latest.delete(key);
          else latest.set(key, `${i}-${round}`);
        });
        relays[round % 4].cut();
        await Promise.all(work);
      }
      for (let i = 0; i < 24; i++) {
        const found = await client.search(`k${i}`);
        const value = found.outcome === 'OK' ? Buffer.from(found.value).toString() : undefined;
        expect([i, value]).toEqual([i, latest.get(`k${i}`)]);
      }
      await client.close();
      expect(relays.reduce((sum, { cuts }) => sum + cuts, 0)).toBeGreaterThan(8);
    } finally {
      for (const relay of relays) relay.close();
    }
    const { view, recoveries } = await statusOf(pool);
    expect([view, recoveries]).toEqual([{ number: 1, dead: [] }, []]);
    const fsck = await fusee('fsck', ...pool.flags);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  });
});

describe('a client that its master cannot reach', () => {
  it('takes no answer of a node that its master cannot reach either, and gives up in the end', async () => {
    const pool = `e2e-far-${process.pid}-${count++}`;
    const nodes = [0, 1, 2].map((id) => startNode(pool, HERE, id));
    await Promise.all(nodes.map((node) => node.says(/is ready/)));
    const addresses = nodes.map(({ stdout }) => /tcp ([\d.]+:\d+)/.exec(stdout)?.[1] ?? '');
    const portOf = (address: string): number => Number(address.split(':')[1]);
    // The master reaches node 0 by a way of its own.
    const toNode = await Relay.open(portOf(addresses[0]));
    const reach = [
      '--pool',
      pool,
      '--fabric',
      'tcp',
      ...secret,
      '--lease',
      '500ms',
      '--listen',
      '127.0.0.1:0',
    ];
    const master = new Running([
      'master',
      ...reach,
      '--nodes',
      [toNode.address, ...addresses.slice(1)].join(','),
    ]);
    running.push(master);
    await master.says(/is ready/);
    const at = /is ready \(tcp ([\d.]+:\d+)\)/.exec(master.stdout)?.[1] ?? '';
    const toMaster = await Relay.open(portOf(at));
    try {
      const access = { pool, fabric: 'tcp' as const, nodes: addresses, secretFile };
      const alone = await connect({ ...access, master: [toMaster.address], coroutines: 32 });
      const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
      for (const key of keys) expect(await alone.put(key, 'old')).toEqual({ outcome: 'OK' });
      // It reads all the time, by slots that are in its cache.
      const seen: { begunMs: number; value: string }[] = [];
      const loops = keys.map(async (key) => {
        for (;;) {
          const begunMs = performance.now();
          const found = await alone.search(key);
          const value = found.outcome === 'OK' ? Buffer.from(found.value).toString() : found.outcome;
          seen.push({ begunMs, value });
        }
      });
      const ends = Promise.allSettled(loops);
      await until(() => seen.length > 300);
      toNode.close();
      toMaster.close();
      const isOut = async (): Promise<boolean> =>
        ((await askStatus({ pool, secretFile })) as MasterStatus).view.dead.length === 1;
      for (const end = performance.now() + 20_000; !(await isOut()) && performance.now() < end; );
      const other = await connect({ ...access, master: [at] });
      for (const key of keys) expect(await other.put(key, 'new')).toEqual({ outcome: 'OK' });
      const nowMs = performance.now();
      expect((await ends).map((one) => one.status === 'rejected' && String(one.reason.message))).toEqual(
        keys.map(() => expect.stringMatching(/no master has renewed|neither answers nor is dead/)),
      );
      expect(seen.filter(({ begunMs, value }) => begunMs > nowMs && value === 'old')).toEqual([]);
      await alone.close();
      await other.close();
    } finally {
      toNode.close();
      toMaster.close();
    }
  });
});

describe('a client on another host', () => {
  it.skipIf(typeof hosts === 'string' && process.env.FUSEE_CI !== '1')(
    'is fenced when its wire is cut for a lease, and recovered, though nobody here sees its process',
    async () => {
      if (typeof hosts === 'string') throw new Error(`no network namespaces can be made: ${hosts}`);
      const pool = await start({ host: hosts.near, by: hosts.byNear }, '--lease', '500ms');
      const near = (...args: string[]): Promise<Ended> =>
        new Running([...args, ...pool.flags], { by: hosts.byNear }).ended;
      const put = await hosts.runFar(['kv', 'put', 'user1', 'Ada', ...pool.flags]).ended;
      expect([put.status, put.stderr, put.stdout]).toEqual([0, '', 'OK\n']);
      const access = { pool: pool.pool, fabric: 'tcp', master: [pool.at], secretFile };
      const busy = hosts.runFar([], { main: busyClient(folder.path, pool.pool, access) });
      running.push(busy);
      await busy.says(/busy/);
      hosts.setWire('down');
      const { recoveries } = await masterSays(pool, ({ recoveries }) => recoveries.length > 0);
      expect(recoveries).toHaveLength(1);
      expect(isRunning(busy.pid)).toBe(true);
      expect(await near('kv', 'put', 'busy', 'mine')).toMatchObject({ status: 0 });
      hosts.setWire('up');
      await until(() => busy.process.exitCode !== null, 20_000);
      expect([busy.process.exitCode, busy.stderr]).toEqual([
        1,
        expect.stringMatching(/declared this client dead|neither answers nor is dead/),
      ]);
      expect(await near('kv', 'get', 'busy')).toMatchObject({ stdout: 'mine' });
      const fsck = await near('fsck');
      expect([fsck.status, fsck.stderr]).toEqual([0, '']);
    },
  );
});
