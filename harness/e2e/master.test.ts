/**
 * `fusee master` and benches with one: real processes die, and the others go on as if nothing had been lost.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { socketPath } from '../../fusee/control/channel.js';
import { secretPath } from '../../fusee/fabric/secret.js';
import { MasterHost } from '../../fusee/host/master-host.js';
import { busyClient, fusee, isRunning, RunFolder, Running, regions, until } from './run-fusee.js';
import { endAll, masterSays, running, start, statusOf } from './run-master.js';

afterEach(endAll);
const folder = new RunFolder();
afterAll(() => folder.remove());

describe('a pool with a master', () => {
  it('loses a memory node, and nothing else: what was acknowledged is there, and writes go on', async () => {
    const { pool, nodes } = await start();
    const client = await connect({ pool });
    for (let i = 0; i < 200; i++) expect(await client.put(`k${i}`, `v${i}`)).toEqual({ outcome: 'OK' });
    nodes[0].process.kill('SIGKILL');
    // The one that grants client ids, and keeps the client table of a third of the pools.
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => (await client.update(`k${i}`, `w${i}`)).outcome),
    );
    expect(new Set(outcomes)).toEqual(new Set(['OK']));
    for (let i = 0; i < 200; i++) {
      const found = await client.search(`k${i}`);
      expect(found.outcome === 'OK' && Buffer.from(found.value).toString()).toBe(`w${i}`);
    }
    // On a busy machine a process takes its time to die.
    const { view } = await masterSays(pool, (status) => status.view.number > 1);
    expect(view).toEqual({ number: 2, dead: [0] });
    const told = await masterSays(pool, ({ cache }) => cache.hits >= 400);
    expect(told.cache.hits).toBeGreaterThanOrEqual(400);
    // Who comes later finds its way without the dead node.
    expect(await fusee('kv', 'put', 'late', 'x', '--pool', pool)).toMatchObject({ status: 0 });
    await client.close();
    const { stdout } = await fusee('recover', '--pool', pool);
    expect(stdout).toMatch(
      /^view 2, without node 0; 0 clients, lease 1000 ms\nno client has been recovered\n$/,
    );
    // Every byte of the living, by the view that their master has.
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
    expect(fsck.stdout).toMatch(/^without node 0: dead by the pool's master\nclean: /m);
    const stats = await fusee('stats', '--pool', pool);
    expect(stats.stdout).toMatch(/^index: 201 keys and 0 tombstones in /m);
    const hits = /^cache hits: (?:100|\d\d\.\d) % of (\d+) look-ups, (\d+) misses, 0 bypassed$/m.exec(
      stats.stdout,
    );
    expect(Number(hits?.[1])).toBeGreaterThanOrEqual(601);
    const { cache } = JSON.parse((await fusee('stats', '--pool', pool, '--json')).stdout);
    expect(cache.hits + cache.misses).toBe(Number(hits?.[1]));
  }, 60_000);

  it('says which data is lost when too many nodes are, and refuses to invent any', async () => {
    const { pool, nodes } = await start();
    const client = await connect({ pool, deadlineMs: 300 });
    // Each client writes to blocks of nodes of its own.
    const other = await connect({ pool });
    for (let i = 0; i < 50; i++) await (i % 2 === 0 ? client : other).put(`k${i}`, `v${i}`);
    await other.close();
    nodes[1].process.kill('SIGKILL');
    await masterSays(pool, ({ view }) => view.number === 2);
    nodes[2].process.kill('SIGKILL');
    const { lost } = await masterSays(pool, ({ view }) => view.number === 3);
    expect([lost.regions > 0, lost.subtables > 0]).toEqual([true, true]);
    const found = await Promise.all(
      Array.from({ length: 50 }, (_, i) => client.search(`k${i}`).catch(() => ({ outcome: 'UNAVAILABLE' }))),
    );
    const outcomes = new Set(found.map(({ outcome }) => outcome));
    expect([...outcomes].every((outcome) => outcome === 'OK' || outcome === 'UNAVAILABLE')).toBe(true);
    expect(outcomes).toContain('UNAVAILABLE');
    expect((await fusee('recover', '--pool', pool)).stdout).toMatch(/have no replica left/);
    await client.close();
  }, 60_000);

  it('lets a client in that comes when a node has died and the master has not seen it yet', async () => {
    const { pool, nodes, master } = await start();
    master.process.kill('SIGSTOP');
    nodes[0].process.kill('SIGKILL');
    await until(() => !isRunning(nodes[0].pid));
    const coming = connect({ pool });
    // It is told the view in force, in which the node lives.
    setTimeout(() => master.process.kill('SIGCONT'), 100);
    const client = await coming;
    expect(await client.put('late', 'x')).toEqual({ outcome: 'OK' });
    expect((await statusOf(pool)).view).toEqual({ number: 2, dead: [0] });
    await client.close();
  }, 60_000);

  it('fences a client that is stopped when its lease ends, and recovers it', async () => {
    const { pool } = await start('--lease', '500ms');
    const busy = new Running([], { main: busyClient(folder.path, pool) });
    running.push(busy);
    await busy.says(/busy/, 60_000);
    busy.process.kill('SIGSTOP');
    const { recoveries } = await masterSays(pool, ({ recoveries }) => recoveries.length > 0);
    expect(recoveries.length).toBe(1);
    expect(Object.keys(recoveries[0].steps)).toEqual(
      expect.arrayContaining(['connect', 'metadata', 'log', 'requests', 'frees', 'blocks', 'place']),
    );
    await until(() => !isRunning(busy.pid));
    expect((await busy.ended).signal).toBe('SIGKILL');
    expect(await fusee('kv', 'put', 'k', 'w', '--pool', pool)).toMatchObject({ status: 0 });
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 60_000);

  it('goes on without its master, and with the next one', async () => {
    const { pool, master } = await start();
    const client = await connect({ pool });
    master.process.kill('SIGKILL');
    await master.ended;
    expect(await client.put('k', 'v')).toEqual({ outcome: 'OK' });
    const next = new Running(['master', '--pool', pool]);
    running.push(next);
    await next.says(/is ready/, 60_000);
    expect((await masterSays(pool, ({ clients }) => clients > 0)).clients).toBe(1);
    await client.close();
  }, 60_000);
});

describe('refused:', () => {
  it('a second master, a lease that is too short, a wrong secret, and nonsense', async () => {
    const { pool } = await start();
    const second = await fusee('master', '--pool', pool);
    expect([second.status, second.stderr]).toEqual([
      2,
      expect.stringMatching(
        /^fusee: pool '.*' has a master already \(process \d+\); end that one first, or .*--standby\n$/,
      ),
    ]);
    const short = await fusee('master', '--pool', pool, '--lease', '5ms');
    expect(short.stderr).toMatch(/^fusee: the lease is 5 ms; choose 50 ms to 10 min: /);
    const secretFile = join(folder.path, 'secret');
    writeFileSync(secretFile, 'another secret altogether', { mode: 0o600 });
    const wrong = await fusee('recover', '--pool', pool, '--secret-file', secretFile);
    expect(wrong.stderr).toMatch(
      /^fusee: the secret of the master of pool '.*' is another; .* \(the proof is wrong\)\n$/,
    );
    writeFileSync(secretFile, 'short', { mode: 0o600 });
    expect((await fusee('recover', '--pool', pool, '--secret-file', secretFile)).stderr).toMatch(
      /has 5 bytes; use 16 or more/,
    );
    for (const bytes of ['{}\n', 'x'.repeat(2 << 20), '{"type":"hello","nonce":1,"proof":2}\n']) {
      const socket = connectSocket(socketPath(pool));
      socket.on('error', () => {});
      socket.resume();
      socket.write(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
    }
    expect((await statusOf(pool)).refused).toBeGreaterThanOrEqual(4);
    expect(secretPath(pool)).toMatch(/\.secret$/);
  }, 60_000);

  it("a client in the master's own process: a fence would be the master's end", async () => {
    const { pool, master } = await start();
    master.process.kill('SIGTERM');
    await master.ended;
    const host = await MasterHost.start({ pool });
    try {
      await expect(connect({ pool })).rejects.toThrow(
        "the master refuses this client: it lives in the master's own process, which cannot be fenced; " +
          'give it one of its own',
      );
      expect(host.status().clients).toBe(0);
    } finally {
      await host.close();
    }
    // Nothing of the one that was refused is left.
    expect(JSON.parse((await fusee('stats', '--pool', pool, '--json')).stdout).clients).toEqual([]);
  }, 60_000);

  it('leaves no folder behind that only masters need', async () => {
    const own = join(folder.path, 'runtime');
    mkdirSync(own);
    vi.stubEnv('XDG_RUNTIME_DIR', own);
    const put = await fusee('kv', 'put', 'k', 'v', '--pool', `none-${process.pid}`).finally(() =>
      vi.unstubAllEnvs(),
    );
    expect([put.status, readdirSync(own)]).toEqual([1, []]);
  }, 60_000);
});

describe('a bench with faults and a master', () => {
  it('survives clients and a node that are killed: linearizable, nothing lost, nobody UNAVAILABLE', async () => {
    const path = join(folder.path, 'faults.yaml');
    writeFileSync(
      path,
      '- {at: 500ms, kill: client 1}\n- {at: 900ms, kill: node 1}\n- {at: 1300ms, kill: client 2}\n',
    );
    const sizes = ['--records', '500', '--requests', '200000', '--kv-bytes', '128', '--rtt', '100us'];
    const args = ['-w', 'ycsb-a', '-c', '4', '--seconds', '2', '--verify', '--faults', path, ...sizes];
    const bench = new Running(folder.bench(...args));
    running.push(bench);
    const { status, stderr } = await bench.ended;
    expect(stderr).not.toMatch(/fusee:/);
    expect(status).toBe(0);
    const [run] = folder.runs();
    expect(run.rows[0]).toMatchObject({ wrongValues: 0, lostKeys: 0, linearizable: true });
    // The walk begins when both clients are recovered.
    expect(stderr).toMatch(/linearizable \(\d+ operations .*, every byte accounted for/);
    const outcomes = Object.values(run.rows[0].outcomes).flatMap((by) => Object.keys(by ?? {}));
    expect(outcomes).not.toContain('UNAVAILABLE');
    expect(run.rows[0].faults?.length).toBe(3);
    expect(regions(`fusee-bench-${bench.pid}-`)).toEqual([]);
  }, 90_000);
});
