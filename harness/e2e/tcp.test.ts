/** Pools over TCP: real processes serve, die and are fenced, and nothing that was acknowledged is lost. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { askStatus } from '../../fusee/control/link.js';
import type { MasterStatus } from '../../fusee/host/status.js';
import { fusee, isRunning, RunFolder, Running, regions } from './run-fusee.js';

// Many processes start here, one after the other.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const running: Running[] = [];
afterEach(async () => {
  for (const one of running) if (isRunning(one.pid)) one.process.kill('SIGTERM');
  await Promise.all(running.splice(0).map((one) => one.ended));
});
const folder = new RunFolder();
afterAll(() => folder.remove());

const secretFile = join(folder.path, 'secret');
writeFileSync(secretFile, 'a secret of 24 characters', { mode: 0o600 });

let count = 0;

interface Pool {
  readonly pool: string;
  readonly nodes: Running[];
  readonly addresses: string[];
  /** As commands take them. */
  readonly flags: string[];
}

async function start(nodes: number): Promise<Pool> {
  const pool = `e2e-tcp-${process.pid}-${count++}`;
  const replicas = String(Math.min(2, nodes));
  const shape = ['--nodes', String(nodes), '--index-replicas', replicas, '--data-replicas', replicas];
  const tcp = ['--fabric', 'tcp', '--listen', '127.0.0.1:0', '--secret-file', secretFile];
  const started = await Promise.all(
    Array.from({ length: nodes }, async (_, id) => {
      const sizes = ['--memory', '32MiB', '--keys', '10k', '--id', String(id)];
      const node = new Running(['node', '--pool', pool, ...sizes, ...shape, ...tcp]);
      running.push(node);
      await node.says(/is ready/);
      return node;
    }),
  );
  const addresses = started.map(({ stdout }) => /tcp (127\.0\.0\.1:\d+)/.exec(stdout)?.[1] ?? '');
  const flags = [
    '--pool',
    pool,
    '--fabric',
    'tcp',
    '--nodes',
    addresses.join(','),
    '--secret-file',
    secretFile,
  ];
  return { pool, nodes: started, addresses, flags };
}

async function startMaster({ flags }: Pool): Promise<Running> {
  const master = new Running(['master', ...flags]);
  running.push(master);
  await master.says(/is ready/);
  return master;
}

const statusOf = async (pool: string): Promise<MasterStatus> =>
  (await askStatus({ pool, secretFile })) as MasterStatus;

async function masterSays(pool: string, isSo: (status: MasterStatus) => boolean): Promise<MasterStatus> {
  let status = await statusOf(pool);
  for (const end = performance.now() + 20_000; !isSo(status) && performance.now() < end; )
    status = await statusOf(pool);
  return status;
}

describe('a pool over TCP', () => {
  it('is used from the shell, beside shared memory, and accounts for every byte', async () => {
    const { flags, pool, nodes } = await start(2);
    expect(await fusee('kv', 'put', 'user1', 'Ada', ...flags)).toMatchObject({ status: 0 });
    expect(await fusee('kv', 'get', 'user1', ...flags)).toMatchObject({ status: 0, stdout: 'Ada' });
    expect(await fusee('kv', 'get', 'user1', '--pool', pool)).toMatchObject({ status: 0, stdout: 'Ada' });
    expect(await fusee('fsck', ...flags)).toMatchObject({ status: 0 });
    expect(await fusee('stats', ...flags)).toMatchObject({ status: 0 });
    nodes[0].process.kill('SIGTERM');
    expect(await nodes[0].ended).toMatchObject({ status: 0 });
    expect(regions(`fusee-${pool}-0`)).toEqual([]);
  });

  it('says what is wrong with addresses and secrets, and goes on', async () => {
    const { pool, addresses, flags } = await start(2);
    const access = ['--pool', pool, '--fabric', 'tcp'];
    const get = async (...args: string[]): Promise<[number | null, string]> => {
      const { status, stderr } = await fusee('kv', 'get', 'x', ...access, ...args);
      return [status, stderr];
    };
    const secret = ['--secret-file', secretFile];
    expect(await get(...secret)).toEqual([2, expect.stringMatching(/needs the addresses of all nodes/)]);
    expect(await get(...secret, '--nodes', addresses[0])).toEqual([
      2,
      expect.stringMatching(/has 2 nodes, 1 addresses were given/),
    ]);
    expect(await get(...secret, '--nodes', [...addresses].reverse().join(','))).toEqual([
      2,
      expect.stringMatching(/at the address of node 0 is node 1/),
    ]);
    const wrong = join(folder.path, 'wrong');
    writeFileSync(wrong, 'some other secret of mine', { mode: 0o600 });
    expect(await get('--secret-file', wrong, '--nodes', addresses.join(','))).toEqual([
      2,
      expect.stringMatching(/has another secret: give both the pool's secret file/),
    ]);
    chmodSync(wrong, 0o644);
    expect(await get('--secret-file', wrong, '--nodes', addresses.join(','))).toEqual([
      2,
      expect.stringMatching(/others may read the secret .*chmod 600/),
    ]);
    const port = await fusee(
      'node',
      '--pool',
      `${pool}-x`,
      '--memory',
      '32MiB',
      '--keys',
      '10k',
      '--fabric',
      'tcp',
      '--listen',
      addresses[0],
      ...secret,
    );
    expect([port.status, port.stderr]).toEqual([1, expect.stringMatching(/cannot listen on .*in use/)]);
    expect(regions(`fusee-${pool}-x`)).toEqual([]);
    expect(await fusee('kv', 'put', 'x', 'y', ...flags)).toMatchObject({ status: 0 });
  });

  it('loses a memory node, and nothing else', async () => {
    const pool = await start(3);
    await startMaster(pool);
    const access = { pool: pool.pool, fabric: 'tcp' as const, nodes: pool.addresses, secretFile };
    const client = await connect(access);
    for (let i = 0; i < 60; i++) expect(await client.put(`k${i}`, `v${i}`)).toEqual({ outcome: 'OK' });
    pool.nodes[0].process.kill('SIGKILL');
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => (await client.update(`k${i}`, `w${i}`)).outcome),
    );
    expect(new Set(outcomes)).toEqual(new Set(['OK']));
    for (let i = 0; i < 60; i++) {
      const found = await client.search(`k${i}`);
      expect(found.outcome === 'OK' && Buffer.from(found.value).toString()).toBe(`w${i}`);
    }
    expect((await statusOf(pool.pool)).view).toEqual({ number: 2, dead: [0] });
    await client.close();
    expect(await fusee('fsck', ...pool.flags)).toMatchObject({ status: 0 });
  });

  it('fences a client that hangs at its nodes, and recovers it, while its process lives', async () => {
    const pool = await start(2);
    const master = await startMaster(pool);
    // A bench of its own would bring its own pool: this client is a process that stands still.
    const script = join(folder.path, 'client.mjs');
    writeFileSync(
      script,
      `import { connect } from ${JSON.stringify(new URL('../../dist/fusee.js', import.meta.url).href)};
       const client = await connect(JSON.parse(process.argv[2]));
       await client.put('k', 'v');
       process.stdout.write('is in\\n');
       const say = (text) => process.stdout.write(text + '\\n');
       setInterval(() => client.put('k', 'w').then(({ outcome }) => say(outcome), (e) => say(e.message)), 50);`,
    );
    const access = JSON.stringify({ pool: pool.pool, fabric: 'tcp', nodes: pool.addresses, secretFile });
    const client = new Running([access], { main: script });
    running.push(client);
    await client.says(/is in/);
    client.process.kill('SIGSTOP');
    const status = await masterSays(pool.pool, ({ recoveries }) => recoveries.length === 1);
    expect(status.recoveries).toHaveLength(1);
    expect(isRunning(client.pid)).toBe(true);
    expect(pool.nodes[0].stdout).toMatch(/its client has been fenced/);
    expect(await fusee('kv', 'put', 'k', 'x', ...pool.flags)).toMatchObject({ status: 0 });
    client.process.kill('SIGCONT');
    await client.says(/UNAVAILABLE|dead|expelled|closed/i);
    expect(await fusee('kv', 'get', 'k', ...pool.flags)).toMatchObject({ stdout: 'x' });
    client.process.kill('SIGKILL');
    expect(master.stdout).toMatch(/is fenced/);
  });

  it('passes a bench that is verified while a client and a memory node are killed', async () => {
    const faults = join(folder.path, 'faults.yaml');
    writeFileSync(
      faults,
      JSON.stringify([
        { at: '400ms', kill: 'random client' },
        { at: '900ms', kill: 'random node' },
      ]),
    );
    const sizes = ['--records', '400', '--requests', '60000', '--kv-bytes', '128', '--seconds', '3'];
    const shape = ['-c', '3', '--coroutines', '4', '-n', '3', '-r', '2'];
    const bench = folder.bench(
      '-w',
      'ycsb-a',
      '--fabric',
      'tcp',
      '--verify',
      ...sizes,
      ...shape,
      '--faults',
      faults,
    );
    const { status, stderr } = await new Running(bench).ended;
    expect([status, stderr]).toEqual([0, expect.stringMatching(/linearizable/)]);
    const [run] = folder.runs();
    expect(run.rows[0]).toMatchObject({ fabric: 'tcp', wrongValues: 0 });
    expect(run.rows[0].faults?.map(({ kind }) => kind)).toEqual(['kill', 'kill']);
  });
});
