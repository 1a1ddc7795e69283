/**
 * Several `fusee master` processes by way of a real etcd: the leading one is killed, or stopped, under load,
 * and clients notice nothing.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../fusee/client/index.js';
import { askStatus } from '../../fusee/control/link.js';
import type { MasterStatus } from '../../fusee/host/status.js';
import { RealEtcd, whyNoEtcd } from '../../fusee/store/by-hand.js';
import { busyClient, fusee, isRunning, RunFolder, Running, until } from './run-fusee.js';

const isCi = process.env['FUSEE_CI'] === '1';
const folder = new RunFolder();
const running: Running[] = [];
let etcd: RealEtcd;
beforeAll(async () => {
  if (whyNoEtcd === null) etcd = await RealEtcd.start();
  else if (isCi) throw new Error(whyNoEtcd);
}, 30_000);
afterEach(async () => {
  for (const one of running) if (isRunning(one.pid)) one.process.kill('SIGKILL');
  await Promise.all(running.splice(0).map((one) => one.ended));
});
afterAll(async () => {
  await etcd?.end();
  folder.remove();
});

let count = 0;
/** A pool of three nodes, and masters of which the first one leads. */
async function start(masters: number): Promise<{ pool: string; nodes: Running[]; masters: Running[] }> {
  const pool = `e2e-etcd-${process.pid}-${count++}`;
  const shape = ['--nodes', '3', '--index-replicas', '2', '--data-replicas', '2'];
  const command = async (args: string[], said: RegExp): Promise<Running> => {
    const one = new Running([...args, '--pool', pool]);
    running.push(one);
    await one.says(said, 60_000);
    return one;
  };
  const nodes = await Promise.all(
    [0, 1, 2].map((id) =>
      command(['node', '--memory', '32MiB', '--keys', '10k', '--id', String(id), ...shape], /is ready/),
    ),
  );
  const args = ['master', '--store', etcd.url, '--election', '2s'];
  const first = await command(args, /is ready/);
  const others = await Promise.all(Array.from({ length: masters - 1 }, () => command(args, /stands by/)));
  return { pool, nodes, masters: [first, ...others] };
}

/** Waits until a master that leads says so. */
async function masterSays(pool: string, isSo: (status: MasterStatus) => boolean): Promise<MasterStatus> {
  let status: MasterStatus | undefined;
  for (const end = performance.now() + 30_000; performance.now() < end; await pause(20)) {
    status = (await askStatus({ pool }).catch(() => undefined)) as MasterStatus | undefined;
    if (status !== undefined && isSo(status)) return status;
  }
  throw new Error(`no master has come to it: ${JSON.stringify(status)}`);
}

/** Reads and writes all the time, one request after the other. */
class Load {
  readonly outcomes = new Set<string>();
  requests = 0;
  longestMs = 0;
  readonly #client: Client;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(client: Client) {
    this.#client = client;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const key = `k${this.requests % 50}`;
      const startMs = performance.now();
      const { outcome } =
        this.requests % 2 === 0
          ? await this.#client.search(key)
          : await this.#client.update(key, String(this.requests));
      this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
      this.outcomes.add(outcome);
      this.requests++;
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }
}

describe.skipIf(whyNoEtcd !== null && !isCi)(`by etcd${whyNoEtcd === null ? '' : ` (${whyNoEtcd})`}`, () => {
  it('a standby takes over from a killed master while requests go on, and sees to who died meanwhile', async () => {
    const { pool, nodes, masters } = await start(3);
    expect((await masterSays(pool, () => true)).leaseMs).toBe(6000);
    const client = await connect({ pool });
    for (let i = 0; i < 50; i++) await client.put(`k${i}`, `v${i}`);
    const doomed = await Promise.all(
      [0, 1].map(async () => {
        const busy = new Running([], { main: busyClient(folder.path, pool) });
        running.push(busy);
        await busy.says(/busy/, 30_000);
        return busy;
      }),
    );
    const { term } = await masterSays(pool, ({ clients }) => clients === 3);
    const load = new Load(client);
    masters[0].process.kill('SIGKILL');
    await masters[0].ended;
    // There is no leader for two seconds and more: whoever dies now tells nobody.
    doomed[0].process.kill('SIGKILL');
    const before = load.requests;
    await until(() => masters.slice(1).some((one) => /is ready/.test(one.stdout)), 30_000);
    expect(load.requests).toBeGreaterThan(before);
    const taken = await masterSays(
      pool,
      ({ clients, recoveries }) => clients === 2 && recoveries.length === 1,
    );
    expect(taken.term).toBeGreaterThan(term);
    expect(masters.slice(1).filter((one) => /is ready/.test(one.stdout)).length).toBe(1);
    // Nobody has waited for a master, and nothing was left unanswered.
    expect([...load.outcomes]).toEqual(['OK']);
    // The new one does all that a master does.
    nodes[0].process.kill('SIGKILL');
    doomed[1].process.kill('SIGKILL');
    const { view, clients } = await masterSays(
      pool,
      (status) => status.view.number === 2 && status.recoveries.length === 2,
    );
    expect([view.dead, clients]).toEqual([[0], 1]);
    await load.end();
    expect([...load.outcomes]).toEqual(['OK']);
    for (let i = 0; i < 50; i++) expect((await client.search(`k${i}`)).outcome).toBe('OK');
    await client.close();
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 120_000);

  it('a master that was only stopped is replaced and fenced, and does no harm when it goes on', async () => {
    const { pool, masters } = await start(2);
    const client = await connect({ pool });
    for (let i = 0; i < 50; i++) await client.put(`k${i}`, `v${i}`);
    const { term } = await masterSays(pool, () => true);
    const load = new Load(client);
    masters[0].process.kill('SIGSTOP');
    await masters[1].says(/is ready/, 30_000);
    // Its successor does not trust it to stand still: its verbs would be executed by its own processor.
    expect(masters[1].stdout).toMatch(/the master before \(process \d+\) is fenced/);
    masters[0].process.kill('SIGCONT');
    expect((await masters[0].ended).signal).toBe('SIGKILL');
    const now = await masterSays(pool, ({ clients }) => clients === 1);
    expect(now.term).toBeGreaterThan(term);
    // Longer than a lease: nobody is fenced by anybody.
    await pause(6500);
    await load.end();
    expect([...load.outcomes]).toEqual(['OK']);
    expect((await masterSays(pool, () => true)).recoveries).toEqual([]);
    await client.close();
  }, 120_000);

  it('a master that etcd does not hear of acts no more, and ends when another may lead', async () => {
    const { pool, masters } = await start(1);
    const client = await connect({ pool });
    await client.put('k', 'v');
    const busy = new Running([], { main: busyClient(folder.path, pool) });
    running.push(busy);
    await busy.says(/busy/, 30_000);
    etcd.signal('SIGSTOP');
    try {
      // Beyond the lease that etcd had granted; it has neither granted another, nor said that it is over.
      await pause(2500);
      const said = masters[0].stdout;
      busy.process.kill('SIGKILL');
      await busy.ended;
      await pause(500);
      expect(masters[0].stdout).toBe(said);
      expect((await client.search('k')).outcome).toBe('OK');
      expect(await client.put('k', 'w')).toEqual({ outcome: 'OK' });
    } finally {
      etcd.signal('SIGCONT');
    }
    // Either etcd lets it go on, or its term is over, and the next one finds everything.
    const status = await Promise.race([masters[0].ended, masterSays(pool, (s) => s.recoveries.length === 1)]);
    if ('stderr' in status) {
      expect([status.status, status.stderr]).toEqual([
        1,
        expect.stringMatching(/was deposed: .*start it again/),
      ]);
      const next = new Running(['master', '--pool', pool, '--store', etcd.url, '--election', '2s']);
      running.push(next);
      await next.says(/is ready/, 30_000);
      await masterSays(pool, (s) => s.recoveries.length === 1);
    }
    await client.close();
  }, 120_000);

  it('leases that a failover would outlast are refused', async () => {
    const args = ['master', '--pool', 'none', '--store', etcd.url];
    const short = await fusee(...args, '--lease', '3s');
    expect([short.status, short.stderr]).toEqual([
      2,
      'fusee: the lease is 3000 ms, and the election time 2000 ms; choose a lease of 4000 ms or more: ' +
        'it must outlast the failover of a master\n',
    ]);
    const alone = await fusee('master', '--pool', 'none', '--election', '1s');
    expect([alone.status, alone.stderr]).toEqual([
      2,
      expect.stringMatching(/^fusee: an election time of 1 s is given/),
    ]);
  }, 60_000);
});
