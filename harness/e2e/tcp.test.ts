/** Pools over TCP: real processes serve, die and are fenced, and nothing that was acknowledged is lost. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { fusee, isRunning, RunFolder, Running, regions } from './run-fusee.js';
import { endAll, masterSays, running, statusOf } from './run-master.js';
import { leadOverTcp, startOverTcp, type TcpPool, writeSecret } from './run-tcp.js';

// Many processes start here, one after the other.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

afterEach(endAll);
const folder = new RunFolder();
afterAll(() => folder.remove());

const secretFile = writeSecret(folder.path);
const start = (nodes: number): Promise<TcpPool> => startOverTcp(secretFile, nodes);

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
    await leadOverTcp(pool);
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
    expect((await statusOf(pool.pool, secretFile)).view).toEqual({ number: 2, dead: [0] });
    await client.close();
    expect(await fusee('fsck', ...pool.flags)).toMatchObject({ status: 0 });
  });

  it('fences a client that hangs at its nodes, and recovers it, while its process lives', async () => {
    const pool = await start(2);
    const master = await leadOverTcp(pool);
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
    const status = await masterSays(pool.pool, ({ recoveries }) => recoveries.length === 1, secretFile);
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
