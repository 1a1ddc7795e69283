/** What comes from outside over verbs, or does not come: a node and its other clients go on, all are told. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { FabricError, Status, UsageError, VerbBatch, word } from '../verbs/index.js';
import { waitFor } from './conformance/harness.js';
import { verbsHarness } from './conformance/verbs-harness.js';
import { add, failureOf, finish, VerbsHere, WIRE } from './conformance/verbs-here.js';
import { sweepRegions } from './shm-process.js';
import type { VerbsFabric } from './verbs.js';

const isGuest = process.env.FUSEE_GUEST !== undefined;
const reason = isGuest ? '' : ' [skipped: needs rxe0 and rxe1, see npm run test:rdma]';
/** In a process of its own: a client, or a node whose region nobody has made, which comes first. */
const clientOf = (address: string): string =>
  `new VerbsFabric({ addresses: ['${address}'], secret: new Uint8Array(32) })`;

describe.skipIf(!isGuest)(`bad input over verbs${reason}`, () => {
  const here = new VerbsHere();
  afterEach(() => here.close());
  afterAll(() => {
    sweepRegions(`test-${process.pid}`);
  });

  it.each([
    ['a device', { device: 'mlx9_0' }, /no RDMA device mlx9_0; there are: .*rxe0 port 1.*rxe1 port 1/],
    ['a port', { devicePort: 3 }, /no active port 3; there are: .*rxe0 port 1/],
    ['a GID', { device: 'rxe1', gid: 77 }, /rxe1 port 1 has no GID 77; it has: .*1 ::ffff:10\.1\.0\.2/],
  ])('names those that there are where %s is not there', (_, choice, message) => {
    const node = here.serve();
    expect(() => here.attach(node, choice)).toThrow(UsageError);
    expect(() => here.attach(node, choice)).toThrow(message);
  });

  it('refuses a wrong secret, and nobody else notices', async () => {
    const node = here.serve();
    const fabric = here.attach(node);
    expect(() => here.attach(node, { secret: new Uint8Array(32) })).toThrow(/its secret is another one/);
    expect(await add(fabric)).toBe(Status.OK);
    await waitFor('the log', () => node.log.length > 0);
    expect(node.log[0]).toMatch(/its proof is wrong/);
  });

  it('closes a connection that sends nonsense, with a reason, and serves the others', async () => {
    const node = here.serve();
    const fabric = here.attach(node);
    const socket = connect(node.port, WIRE.host);
    socket.on('error', () => {});
    socket.resume();
    socket.write(Buffer.alloc(4096, 0x5a));
    await once(socket, 'close');
    await waitFor('the log', () => node.log.length > 0);
    expect(node.log[0]).toMatch(/does not speak this protocol/);
    expect(await add(fabric)).toBe(Status.OK);
  });

  it('closes a connection that proves nothing for 3 s, and serves the others', async () => {
    const node = here.serve();
    const fabric = here.attach(node);
    const socket = connect(node.port, WIRE.host);
    socket.resume();
    await once(socket, 'close');
    await waitFor('the log', () => node.log.length > 0);
    expect(node.log[0]).toMatch(/has not proved itself within 3 s/);
    expect(await add(fabric)).toBe(Status.OK);
  });

  it('says so when nobody listens, when what listens is no node, and when the port is taken', async () => {
    expect(() => here.attach({ address: `${WIRE.host}:9` })).toThrow(FabricError);
    expect(() => here.attach({ address: `${WIRE.host}:9` })).toThrow(/10\.1\.0\.1:9 cannot be reached/);
    const server = createServer((socket) => socket.end('hello'));
    server.listen(0, WIRE.host);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    expect(await failureOf(clientOf(`${WIRE.host}:${port}`))).toMatch(/has closed the connection/);
    expect(() => here.serve({ port })).toThrow(FabricError);
    expect(() => here.serve({ port })).toThrow(/cannot listen on 10\.1\.0\.1:\d+: Address already in use/);
    server.close();
  });

  it('says what the limit of locked memory is, and how to raise it', async () => {
    // Root may lock what it likes: the capability is taken away first.
    const capability = ['--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock'];
    const limited = ['setpriv', ...capability, 'prlimit', '--memlock=65536:65536'];
    expect(await failureOf(clientOf(here.serve().address), limited)).toMatch(
      /^FabricError.*limit of locked memory is 65536 bytes; .*ulimit -l/,
    );
  });

  it('refuses a NIC without atomics', async () => {
    const script = clientOf(here.serve().address);
    const message = await failureOf(script, ['env', `LD_PRELOAD=${process.env.FUSEE_GUEST_PRELOAD}`]);
    expect(message).toMatch(/^FabricError.*RDMA device rxe\d has no atomics.*there are: .*rxe1/);
    // With them it comes as far as the secret, which is wrong.
    expect(await failureOf(script)).toMatch(/its secret is another one/);
  });

  it('gives every verb a status when its MN dies in the middle of a batch, and tells why', async () => {
    const wire = verbsHarness(WIRE);
    const pool = await wire.start([1 << 20]);
    const fabric = pool.attach() as VerbsFabric;
    const at = fabric.local.reserve(1 << 16);
    const batches = Array.from({ length: 16 }, () => new VerbBatch(fabric.local, 32));
    for (const batch of batches) {
      for (let i = 0; i < 32; i++) batch.write(0, i * 4096, at + i * 1024, 1024);
      fabric.post(batch);
    }
    const killed = pool.kill(0);
    await finish(fabric);
    await killed;
    const statuses = batches.flatMap((b) => Array.from({ length: b.count }, (_, i) => b.status(i)));
    expect(statuses.filter((s) => s !== Status.OK && s !== Status.FAIL)).toEqual([]);
    await waitFor('the end', async () => (await add(fabric, batches[0])) === Status.FAIL);
    expect(fabric.reasonOf(0)).toMatch(/its connection has ended|retry counter exceeded|Flushed/);
    await pool.close();
    await wire.end();
  });

  it('takes nothing for the answer of an atomic that got lost, where packets are lost, doubled and late', async () => {
    const netem = (end: string, ...how: string[]): void => {
      const rule =
        how.length === 0 ? ['del', 'dev', end, 'root'] : ['add', 'dev', end, 'root', 'netem', ...how];
      const done = spawnSync('tc', ['qdisc', ...rule], { encoding: 'utf8' });
      expect(done.status, done.stderr).toBe(0);
    };
    const fabric = here.attach(here.serve({ memoryBytes: 1 << 16 }), { device: 'rxe1' });
    const at = fabric.local.reserve(2048);
    const writes = Array.from({ length: 3 }, () => new VerbBatch(fabric.local, 1));
    const counts = Array.from({ length: 8 }, (_, i) => ({
      cas: new VerbBatch(fabric.local, 1),
      i,
      value: 0,
    }));
    const done: VerbBatch[] = [];
    const post = (batch: VerbBatch): void => {
      const count = counts.find(({ cas }) => cas === batch);
      batch.reset();
      if (count === undefined) batch.write(0, 4096, at, 1088);
      else batch.cas(0, count.i * 64, word(0, count.value), word(0, ++count.value));
      fabric.post(batch);
    };
    netem('veth1', 'delay', '300us', '300us', 'duplicate', '20%');
    netem('veth0', 'loss', '5%');
    try {
      for (const batch of [...writes, ...counts.map(({ cas }) => cas)]) post(batch);
      await waitFor(
        'the end',
        () => {
          done.length = 0;
          fabric.poll(done);
          const answered = done.filter((batch) => batch.status(0) === Status.OK);
          for (const { cas, value } of counts) {
            if (answered.includes(cas)) expect(cas.found(0, word())).toEqual(word(0, value - 1));
          }
          for (const batch of answered) post(batch);
          return answered.length < done.length;
        },
        60_000,
      );
      expect(fabric.reasonOf(0)).toMatch(/soft-RoCE has lost the answer/);
    } finally {
      for (const end of ['veth0', 'veth1']) netem(end);
    }
  });

  it('tells in the words of verbs why everything FAILs when the wire is cut, and that the port is down', async () => {
    const ip = (...args: string[]): void => {
      const done = spawnSync('ip', args, { encoding: 'utf8' });
      expect(done.status, done.stderr).toBe(0);
    };
    const node = here.serve();
    const fabric = here.attach(node, { device: 'rxe1' });
    expect(await add(fabric)).toBe(Status.OK);
    ip('link', 'set', 'veth1', 'down');
    try {
      await waitFor('the failure', async () => (await add(fabric)) === Status.FAIL, 60_000);
      expect(fabric.reasonOf(0)).toMatch(/(retry counter exceeded|local QP operation error).*\(port error\)/);
    } finally {
      ip('link', 'set', 'veth1', 'up');
    }
    // The device hears of it a little later.
    let again: VerbsFabric | undefined;
    await waitFor('the port', () => {
      try {
        again = here.attach(node, { device: 'rxe1' });
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
      }
      return again !== undefined;
    });
    expect(await add(again as VerbsFabric)).toBe(Status.OK);
  });
});
