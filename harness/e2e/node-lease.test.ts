/**
 * Memory nodes that are stopped, and not dead: real processes under SIGSTOP, whose lease runs out while
 * clients work, and who find that they are out when they are woken.
 */
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { findPool } from '../../fusee/client/connect.js';
import { type Client, connect } from '../../fusee/client/index.js';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { fusee, isRunning, RunFolder, Running, regions, until } from './run-fusee.js';
import { endAll, masterSays, running, start } from './run-master.js';
import { leadOverTcp, startOverTcp, writeSecret } from './run-tcp.js';
import { Writer } from './writer.js';

const pools: string[] = [];
afterEach(async () => {
  await endAll();
  for (const pool of pools.splice(0)) sweepRegions(pool);
});
const folder = new RunFolder();
afterAll(() => folder.remove());

const OUT = /the pool '.*' goes on without this node \d, which has been silent for longer than its lease/;

/** A process that was stopped ends by itself when it is woken, and says why. */
async function wakes(stopped: Running): Promise<void> {
  expect(isRunning(stopped.pid)).toBe(true);
  stopped.process.kill('SIGCONT');
  const { status, stderr } = await stopped.ended;
  expect([status, stderr]).toEqual([1, expect.stringMatching(OUT)]);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a memory node whose process is stopped', () => {
  it('is out when its lease has run out, loses its place to a fresh one, and ends when it is woken', async () => {
    const { pool, nodes, master } = await start('--lease', '1s');
    pools.push(pool);
    const client = await connect({ pool });
    const writer = new Writer(client);
    writer.begin();
    await until(() => writer.rounds > 1);
    // Of a master that was stopped itself nobody is out, nor one that is stopped for less than a lease.
    master.process.kill('SIGSTOP');
    await pause(1500);
    master.process.kill('SIGCONT');
    nodes[1].process.kill('SIGSTOP');
    await pause(300);
    nodes[1].process.kill('SIGCONT');
    await pause(300);
    expect((await masterSays(pool, () => true)).view).toEqual({ number: 1, dead: [] });
    nodes[1].process.kill('SIGSTOP');
    expect((await masterSays(pool, ({ view }) => view.dead.includes(1))).view.dead).toEqual([1]);
    await writer.goOn();
    const sizes = ['--memory', '32MiB', '--keys', '10k', '--id', '1'];
    const shape = ['--nodes', '3', '--index-replicas', '2', '--data-replicas', '2'];
    const fresh = new Running(['node', '--pool', pool, ...sizes, ...shape]);
    running.push(fresh);
    await fresh.says(/is ready/);
    await writer.goOn();
    await wakes(nodes[1]);
    // The name is the fresh one's, and stays.
    expect(regions(`fusee-${pool}-1`)).toEqual([`fusee-${pool}-1`]);
    await writer.goOn();
    await writer.end();
    await client.close();
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 120_000);

  it('under a bench costs its cell nothing but the time: all is there, and the process ends', async () => {
    const stop = { at: '500ms', stop: 'node 1', for: '1800ms' };
    const bench = new Running(folder.verifiedBench([stop], '--seconds', '3', '--lease', '1s'));
    running.push(bench);
    await bench.says(/stop node 1/);
    const stopped = bench.child('node-process', 1);
    await until(() => !isRunning(stopped), 20_000);
    expect([isRunning(stopped), bench.process.exitCode]).toEqual([false, null]);
    const { status, stderr } = await bench.ended;
    expect([status, stderr]).toEqual([0, expect.stringMatching(/every byte accounted for/)]);
    const { rows, events } = folder.runs()[0];
    expect(rows[0]).toMatchObject({ wrongValues: 0, lostKeys: 0, linearizable: true });
    expect(events.filter(({ kind }) => kind === 'view').length).toBe(1);
  }, 120_000);
});

/** SEARCHes one key after the other; the longest time from one answer to the next. */
class Reader {
  readonly #client: Client;
  #isEnding = false;
  answers = 0;
  longestMs = 0;
  readonly #done: Promise<void>;

  constructor(client: Client, keys: readonly string[]) {
    this.#client = client;
    this.#done = this.#read(keys);
  }

  async #read(keys: readonly string[]): Promise<void> {
    for (let atMs = performance.now(), i = 0; !this.#isEnding; i++) {
      const { outcome } = await this.#client.search(keys[i % keys.length]);
      // One that ends unanswered is part of the wait.
      if (outcome === 'UNAVAILABLE') continue;
      expect(outcome).toBe('OK');
      const nowMs = performance.now();
      this.longestMs = Math.max(this.longestMs, nowMs - atMs);
      atMs = nowMs;
      this.answers++;
    }
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#done;
  }
}

describe('over TCP', () => {
  it('stops SEARCH for less than two leases, and not until its silence is noticed', async () => {
    const tcp = await startOverTcp(writeSecret(folder.path), 3);
    const { pool, nodes, addresses, secretFile } = tcp;
    pools.push(pool);
    // Nobody but the master ends what is posted to a silent node sooner than after 5 s.
    const leaseMs = 2000;
    await leadOverTcp(tcp, '--lease', `${leaseMs}ms`);
    const reach = { pool, fabric: 'tcp', nodes: addresses, secretFile } as const;
    const [loader, client] = await Promise.all([connect(reach), connect(reach)]);
    const keys = Array.from({ length: 40 }, (_, i) => `r${i}`);
    for (const [i, key] of keys.entries())
      expect((await loader.put(key, 'x'.repeat(64 * i))).outcome).toBe('OK');
    const writer = new Writer(loader);
    writer.begin();
    const reader = new Reader(client, keys);
    await until(() => reader.answers > 200);
    // Every SEARCH reads the primary of its subtable.
    const { view: layout } = await findPool(reach);
    const stopped = layout.slotMn(0, 0);
    nodes[stopped].process.kill('SIGSTOP');
    const atStop = reader.answers;
    const { view } = await masterSays(pool, (status) => status.view.dead.includes(stopped), secretFile);
    expect(view.dead).toEqual([stopped]);
    await until(() => reader.answers > atStop + 200, 20_000);
    await writer.goOn();
    await reader.end();
    await writer.end();
    expect(reader.longestMs).toBeGreaterThan(leaseMs / 2);
    expect(reader.longestMs).toBeLessThan(2 * leaseMs);
    await wakes(nodes[stopped]);
    // Whatever it executed of what had been posted to it, nobody has seen.
    for (const [i, key] of keys.entries()) {
      const found = await client.search(key);
      expect(found.outcome === 'OK' && found.value.length).toBe(64 * i);
    }
    await Promise.all([loader.close(), client.close()]);
    const fsck = await fusee('fsck', ...tcp.flags);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 120_000);

  it('it is out too, and is told so when it is woken, by the next master if need be', async () => {
    const tcp = await startOverTcp(writeSecret(folder.path), 3);
    const { pool, nodes, addresses, secretFile } = tcp;
    pools.push(pool);
    const master = await leadOverTcp(tcp, '--lease', '1s');
    const client = await connect({ pool, fabric: 'tcp', nodes: addresses, secretFile });
    const writer = new Writer(client);
    writer.begin();
    await until(() => writer.rounds > 1);
    nodes[1].process.kill('SIGSTOP');
    const { view } = await masterSays(pool, (status) => status.view.dead.includes(1), secretFile);
    expect(view.dead).toEqual([1]);
    await writer.goOn();
    await writer.end();
    await client.close();
    master.process.kill('SIGKILL');
    await master.ended;
    await leadOverTcp(tcp, '--lease', '1s');
    await wakes(nodes[1]);
  }, 120_000);
});
