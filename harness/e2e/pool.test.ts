/** `fusee node` and `fusee kv`: pools from the shell. */
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { fusee, isRunning, Running, regions } from './run-fusee.js';

const running: Running[] = [];
afterEach(async () => {
  for (const node of running) if (isRunning(node.pid)) node.process.kill('SIGTERM');
  await Promise.all(running.splice(0).map((node) => node.ended));
});

let count = 0;
const poolName = (): string => `e2e-${process.pid}-${count++}`;

async function startNode(pool: string, ...args: string[]): Promise<Running> {
  const node = new Running(['node', '--pool', pool, '--memory', '32MiB', '--keys', '10k', ...args]);
  running.push(node);
  await node.says(/is ready/);
  return node;
}

const startPool = (pool: string, nodes: number, ...args: string[]): Promise<Running[]> =>
  Promise.all(
    Array.from({ length: nodes }, (_, id) =>
      startNode(pool, '--nodes', String(nodes), '--id', String(id), ...args),
    ),
  );

describe('a pool of three nodes', () => {
  it('serves kv requests; the exit status tells the outcome', async () => {
    const pool = poolName();
    await startPool(pool, 3, '--index-replicas', '3', '--data-replicas', '2');
    const kv = async (...args: string[]): Promise<[number | null, string]> => {
      const { status, stdout, stderr } = await fusee('kv', ...args, '--pool', pool);
      return [status, stdout + stderr];
    };
    expect(await kv('get', 'k')).toEqual([1, 'NOT_FOUND\n']);
    expect(await kv('update', 'k', 'v')).toEqual([1, 'NOT_FOUND\n']);
    expect(await kv('insert', 'k', 'one')).toEqual([0, 'OK\n']);
    expect(await kv('insert', 'k', 'two')).toEqual([1, 'EXISTS\n']);
    // Not a terminal: the value's bytes and no more.
    expect(await kv('get', 'k')).toEqual([0, 'one']);
    expect(await kv('update', 'k', 'grüße')).toEqual([0, 'OK\n']);
    expect(await kv('get', 'k', '--json')).toEqual([0, '{"outcome":"OK","value":"grüße"}\n']);
    expect(await kv('put', 'l', '')).toEqual([0, 'OK\n']);
    expect(await kv('get', 'l')).toEqual([0, '']);
    expect(await kv('delete', 'k')).toEqual([0, 'OK\n']);
    expect(await kv('delete', 'k', '--json')).toEqual([1, '{"outcome":"NOT_FOUND"}\n']);
    const [status, stats] = await kv('stats');
    expect(status).toBe(0);
    expect(stats).toMatch(/^config: \{"poolId":1,"nodes":3,"indexReplicas":3,"dataReplicas":2,/);
    expect(stats).toMatch(/^blocksUsed: \[\d+,\d+,\d+\]$/m);
    expect(JSON.parse((await kv('stats', '--json'))[1]).config.nodes).toBe(3);
    expect(await kv('get', '')).toEqual([2, 'fusee: the key has 0 bytes; a key needs at least 1\n']);
    const [tooLong, message] = await kv('put', 'k', 'x'.repeat(16_290));
    expect(tooLong).toBe(2);
    expect(message).toMatch(
      /^fusee: key \(1 bytes\) and value \(16290 bytes\) make 16291 bytes, the largest object/,
    );
  }, 60_000);

  it('ends node by node, with status 0 and without a trace', async () => {
    const pool = poolName();
    const [a, b] = await startPool(pool, 2);
    expect(regions(`fusee-${pool}-`).sort()).toEqual([`fusee-${pool}-0`, `fusee-${pool}-1`]);
    a.signalGroup('SIGINT');
    b.signalGroup('SIGTERM');
    expect([(await a.ended).status, (await b.ended).status]).toEqual([0, 0]);
    expect(regions(`fusee-${pool}-`)).toEqual([]);
    const { status, stderr } = await fusee('kv', 'get', 'k', '--pool', pool);
    expect([status, stderr]).toEqual([
      1,
      `fusee: region fusee-${pool}-0 is not there: start its memory node first\n`,
    ]);
  });
});

describe('a full pool', () => {
  it('is emptied by DELETEs of all its clients, and takes new keys', async () => {
    const pool = poolName();
    const sizes = ['--memory', '4MiB', '--keys', '1k', '--region-size', '256KiB', '--block-size', '32KiB'];
    await startNode(pool, ...sizes);
    const clients = await Promise.all([connect({ pool }), connect({ pool })]);
    const value = Buffer.alloc(4000, 7);
    /** Each client INSERTs until it is refused: its keys. */
    const fill = (name: string): Promise<string[][]> =>
      Promise.all(
        clients.map(async (client, c) => {
          for (const keys: string[] = []; ; keys.push(`${name}${c}.${keys.length}`)) {
            const { outcome } = await client.insert(`${name}${c}.${keys.length}`, value);
            if (outcome === 'OK') continue;
            expect(outcome).toBe('NO_MEMORY');
            return keys;
          }
        }),
      );
    const keys = await fill('k');
    expect(keys.flat().length).toBeGreaterThan(200);
    const outcomes = await Promise.all(
      clients.flatMap((client, c) => keys[c].map(async (key) => (await client.delete(key)).outcome)),
    );
    expect(outcomes).toEqual(outcomes.map(() => 'OK'));
    expect((await fill('again')).flat().length).toBeGreaterThan(keys.flat().length / 2);
    await Promise.all(clients.map((client) => client.close()));
    expect((await fusee('fsck', '--pool', pool)).status).toBe(0);
  }, 60_000);
});

describe('pools side by side', () => {
  it('do not see each other', async () => {
    const [p, q] = [poolName(), poolName()];
    await Promise.all([startNode(p), startNode(q)]);
    const [a, b] = [await connect({ pool: p }), await connect({ pool: q })];
    await a.insert('k', 'of p');
    expect(await b.search('k')).toEqual({ outcome: 'NOT_FOUND' });
    await b.insert('k', 'of q');
    const found = await a.search('k');
    expect(found.outcome === 'OK' && Buffer.from(found.value).toString()).toBe('of p');
    await Promise.all([a.close(), b.close()]);
  });
});

describe('a node whose place is taken', () => {
  it('is refused by name and owner; the first one serves on', async () => {
    const pool = poolName();
    const first = await startNode(pool);
    const second = await fusee('node', '--pool', pool, '--memory', '32MiB', '--keys', '10k');
    expect(second.status).toBe(1);
    expect(second.stderr).toBe(
      `fusee: region fusee-${pool}-0 exists already, held by process ${first.pid}: ` +
        'stop that pool or choose another name\n',
    );
    expect((await fusee('kv', 'put', 'k', 'v', '--pool', pool)).status).toBe(0);
  });
});

describe('a region that a killed node left behind', () => {
  it('is no pool for a client, which says so; the next node sweeps it', async () => {
    const pool = poolName();
    const node = await startNode(pool);
    node.process.kill('SIGKILL');
    await node.ended;
    expect(regions(`fusee-${pool}-`)).toEqual([`fusee-${pool}-0`]);
    const { status, stderr } = await fusee('kv', 'get', 'k', '--pool', pool);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `fusee: region fusee-${pool}-0 was left behind by process ${node.pid}, which is gone, and its keys ` +
        "with it: end the pool's other nodes, if it has any, and start the pool anew\n",
    );
    await startNode(pool);
    expect((await fusee('kv', 'get', 'k', '--pool', pool)).stderr).toBe('NOT_FOUND\n');
  });

  it('is not made anew among nodes that clients have joined: its keys would seem never to have been', async () => {
    const pool = poolName();
    const [a, b, c] = await startPool(pool, 3);
    expect((await fusee('kv', 'get', 'k', '--pool', pool)).status).toBe(1);
    for (const [mn, node] of [b, a].entries()) {
      node.process.kill('SIGKILL');
      await node.ended;
      const id = 1 - mn;
      const size = ['--memory', '32MiB', '--keys', '10k', '--nodes', '3'];
      const { status, stderr } = await fusee('node', '--pool', pool, ...size, '--id', String(id));
      expect([status, stderr]).toEqual([
        1,
        `fusee: pool '${pool}' is in use without its node ${id}, whose memory is lost: start the pool's master first ` +
          '(fusee master), which has it filled from the other nodes; or end those, and start the pool anew\n',
      ]);
    }
    c.process.kill('SIGTERM');
    await c.ended;
    await startPool(pool, 3);
  });
});
