/**
 * Masters that die, are stopped, and take over from each other, on one machine: real processes, with clients
 * that go on meanwhile.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { reachMaster } from '../../fusee/client/reach-master.js';
import { controlPath } from '../../fusee/control/channel.js';
import { busyClient, fusee, RunFolder, Running } from './run-fusee.js';
import { endAll, masterSays, running, start } from './run-master.js';

afterEach(endAll);
const folder = new RunFolder();
afterAll(() => folder.remove());

describe('a master that stands by', () => {
  it('takes over at once, knows who died while there was nobody, and ends what was begun', async () => {
    const { pool, nodes, master } = await start();
    const next = new Running(['master', '--pool', pool, '--standby']);
    running.push(next);
    await next.says(/this one stands by/, 60_000);
    const client = await connect({ pool });
    for (let i = 0; i < 50; i++) await client.put(`k${i}`, `v${i}`);
    const busy = new Running([], { main: busyClient(folder.path, pool) });
    running.push(busy);
    await busy.says(/busy/, 60_000);
    // Nobody sees them die: the one that stands by is stopped, and the one that leads is dead.
    next.process.kill('SIGSTOP');
    master.process.kill('SIGKILL');
    await master.ended;
    busy.process.kill('SIGKILL');
    nodes[0].process.kill('SIGKILL');
    await Promise.all([busy.ended, nodes[0].ended]);
    // Requests that need neither are not held up.
    const alone = await Promise.all(Array.from({ length: 50 }, (_, i) => client.search(`k${i}`)));
    expect(alone.some(({ outcome }) => outcome === 'OK')).toBe(true);
    next.process.kill('SIGCONT');
    await next.says(/is ready/, 60_000);
    const told = await masterSays(
      pool,
      ({ view, recoveries, clients }) => view.number === 2 && recoveries.length === 1 && clients === 1,
    );
    expect([told.view, told.recoveries.length, told.clients, told.term]).toEqual([
      { number: 2, dead: [0] },
      1,
      1,
      2,
    ]);
    for (let i = 0; i < 50; i++) expect(await client.update(`k${i}`, 'w')).toEqual({ outcome: 'OK' });
    await client.close();
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
    // What the first one left is gone: names of a socket, and of a term.
    next.process.kill('SIGTERM');
    expect((await next.ended).status).toBe(0);
  }, 90_000);

  it('is waited for by who connects meanwhile, and who has left tells it so', async () => {
    const { pool, master } = await start('--lease', '2s');
    const client = await connect({ pool });
    await client.put('k', 'v');
    master.process.kill('SIGKILL');
    await master.ended;
    // Nobody hears of it; and this process lives on, which the next master would fence.
    await client.close();
    const late = connect({ pool });
    const next = new Running(['master', '--pool', pool]);
    running.push(next);
    expect((await (await late).search('k')).outcome).toBe('OK');
    const { clients, recoveries } = await masterSays(pool, (status) => status.clients === 1);
    expect([clients, recoveries]).toEqual([1, []]);
    await (await late).close();
  }, 60_000);

  it('does not come for ever: who connects hears that there is none', async () => {
    const { pool, master } = await start();
    master.process.kill('SIGKILL');
    await master.ended;
    await expect(reachMaster({ pool }, { takeoverMs: 300 })).rejects.toThrow(
      `the master of pool '${pool}' has died, and none has taken over within 0.3 s; ` +
        `start one: fusee master --pool ${pool}`,
    );
  }, 60_000);
});

describe('without a master that answers', () => {
  it('a request that needs one ends UNAVAILABLE at its deadline, and nothing hangs', async () => {
    const { pool, nodes, master } = await start();
    const client = await connect({ pool, deadlineMs: 400 });
    for (let i = 0; i < 24; i++) await client.put(`k${i}`, 'v');
    master.process.kill('SIGSTOP');
    // With two replicas of everything each write meets one of the dead.
    for (const node of nodes.slice(1)) node.process.kill('SIGKILL');
    await Promise.all(nodes.slice(1).map((node) => node.ended));
    // The client's own watch has to hear of it too.
    await pause(500);
    const startMs = performance.now();
    const update = async (i: number): Promise<string> =>
      await client.update(`k${i}`, 'w').then(
        ({ outcome }) => outcome,
        (error: Error) => error.message,
      );
    const outcomes = await Promise.all(Array.from({ length: 24 }, (_, i) => update(i)));
    // The first that may be half done gives the client up, and one that rested may not get in again: the
    // rest is told so.
    const isTold = /^UNAVAILABLE$|may be half done|the client table did not answer/;
    for (const outcome of outcomes) expect(outcome).toMatch(isTold);
    // Some at a time, each with a deadline.
    expect(performance.now() - startMs).toBeLessThan(30_000);
    await client.close();
    master.process.kill('SIGCONT');
    // It goes on, hears that the client has gone, and knows who has died.
    const { view } = await masterSays(pool, (status) => status.view.dead.length === 2);
    expect(view.dead).toEqual([1, 2]);
  }, 60_000);
});

describe('a bench with several masters', () => {
  it('has one take over from one that is killed, and clients and a node that die then are seen to', async () => {
    const path = join(folder.path, 'masters.yaml');
    writeFileSync(
      path,
      '- {at: 300ms, stop: master, for: 200ms}\n- {at: 700ms, kill: master}\n- {at: 1200ms, kill: client 1}\n',
    );
    const sizes = ['--records', '500', '--requests', '200000', '--kv-bytes', '128', '--rtt', '100us'];
    const args = [
      '-w',
      'ycsb-a',
      '-c',
      '3',
      '--seconds',
      '2',
      '--verify',
      '--masters',
      '2',
      '--faults',
      path,
    ];
    const out = new RunFolder();
    const bench = new Running(out.bench(...args, ...sizes));
    running.push(bench);
    const { status, stderr } = await bench.ended;
    try {
      expect(stderr).not.toMatch(/fusee:/);
      expect(status).toBe(0);
      const [run] = out.runs();
      expect(run.rows[0]).toMatchObject({ wrongValues: 0, lostKeys: 0, linearizable: true });
      const outcomes = Object.values(run.rows[0].outcomes).flatMap((by) => Object.keys(by ?? {}));
      expect(outcomes).not.toContain('UNAVAILABLE');
      const faults = run.rows[0].faults ?? [];
      expect(faults.map(({ kind, target }) => `${kind} ${target}`)).toEqual([
        'stop master',
        'kill master',
        'kill client 1',
      ]);
      expect(faults[0].detail['pid']).toBe(faults[1].detail['pid']);
      expect(faults[1].detail['takenOverMs']).toBeGreaterThan(0);
      // The walk over the memory is by the view of the master that took over.
      expect(stderr).toMatch(/every byte accounted for/);
      expect(readdirSync(controlPath('.')).filter((name) => name.startsWith(`bench-${bench.pid}`))).toEqual(
        [],
      );
    } finally {
      out.remove();
    }
  }, 90_000);
});

describe('leases', () => {
  it('of 8 busy clients on this machine do not end in the time that a master gives by default', async () => {
    const out = new RunFolder();
    // Long enough for some leases of each; `npm run test:leases` takes ten minutes.
    const sizes = ['--records', '2000', '--requests', '8000000', '--kv-bytes', '128'];
    const bench = new Running(
      out.bench('-w', 'ycsb-c', '-c', '8', '--seconds', '8', '--masters', '1', '--lease', '1s', ...sizes),
    );
    running.push(bench);
    const { status, stderr } = await bench.ended;
    try {
      // Who is fenced ends unexpectedly, which fails the cell.
      expect(stderr).not.toMatch(/fusee:/);
      expect([status, out.runs()[0].rows[0].lostKeys]).toEqual([0, 0]);
    } finally {
      out.remove();
    }
  }, 120_000);
});
