/** Over real verbs: `npm run test:rdma` runs this in a guest with two soft-RoCE devices on one wire. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { verbsAddon } from '../../native/verbs.js';
import { FabricError, Status, UsageError, VerbBatch, word } from '../verbs/index.js';
import { VERBS_SECRET as secret, type VerbsPath, verbsHarness } from './conformance/verbs-harness.js';
import { describeFabric } from './conformance.js';
import { ShmNode } from './shm-node.js';
import { sweepRegions } from './shm-process.js';
import { requireVerbs, VerbsFabric } from './verbs.js';
import { VerbsService } from './verbs-node.js';

const devices = verbsAddon()?.describeDevices() ?? 'none';
const isGuest = devices.includes('rxe0') && devices.includes('rxe1');
const WIRE: VerbsPath = { host: '10.1.0.1', device: 'rxe1' };
const reason = isGuest ? '' : ' [skipped: needs rxe0 and rxe1, see npm run test:rdma]';

afterAll(() => {
  sweepRegions(`test-${process.pid}`);
});

if (isGuest) {
  const wire = verbsHarness(WIRE);
  afterAll(() => wire.end());
  describeFabric('verbs fabric, queue pairs by exchange, over the wire', wire);
} else {
  it.skip(`conformance over verbs${reason}`, () => {});
}

describe('verbs fabric', () => {
  it('is there, or says what to install and how to build it', () => {
    if (verbsAddon() !== null) expect(requireVerbs().describeDevices()).toBe(devices);
    else expect(() => requireVerbs()).toThrow(/libibverbs-dev.*npm run build/);
  });

  it.skipIf(isGuest || verbsAddon() === null)(
    `says how to get a device where there is none${isGuest ? ' [skipped: there are some here]' : ''}`,
    () => {
      expect(() => new VerbsFabric({ addresses: ['127.0.0.1:9'], secret })).toThrow(
        /no RDMA device.*rdma link add/,
      );
    },
  );
});

describe.skipIf(!isGuest)(`verbs fabric, beyond the contract${reason}`, () => {
  const open: { close(): void }[] = [];
  let pools = 0;
  const serve = (options: { memoryBytes?: number } = {}): string => {
    const pool = `test-${process.pid}-verbs-x${pools++}`;
    const node = new ShmNode({ pool, mn: 0, memoryBytes: options.memoryBytes ?? 8192 });
    open.push(node);
    node.serve((request) => request.slice().reverse());
    const service = new VerbsService({ region: node.name, host: WIRE.host, secret });
    open.push(service);
    node.ready();
    return `${WIRE.host}:${service.port}`;
  };
  const attach = (address: string, rest: object = {}): VerbsFabric => {
    const fabric = new VerbsFabric({ addresses: [address], secret, localBytes: 1 << 17, ...rest });
    open.push(fabric);
    return fabric;
  };
  const finish = async (fabric: VerbsFabric): Promise<void> => {
    while (fabric.outstanding > 0) {
      fabric.poll([]);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  afterEach(() => {
    for (const one of open.splice(0).reverse()) one.close();
  });

  it('connects by rdma_cm: every kind of verb, and calls', async () => {
    const fabric = attach(serve(), { connect: 'cm' });
    const batch = new VerbBatch(fabric.local, 8);
    const at = fabric.local.reserve(256);
    fabric.local.bytes.set([1, 2, 3], at);
    batch.write(0, 100, at, 3);
    batch.read(0, 100, at + 64, 3);
    batch.cas(0, 8, word(), word(7, 9));
    batch.faa(0, 8, word(0, 1));
    batch.rpc(0, { local: at, lengthBytes: 3 }, { local: at + 128, capacityBytes: 8 });
    fabric.post(batch);
    await finish(fabric);
    expect([0, 1, 2, 3, 4].map((i) => batch.status(i))).toEqual(new Array(5).fill(Status.OK));
    expect([...fabric.local.bytes.subarray(at + 64, at + 67)]).toEqual([1, 2, 3]);
    expect([...fabric.local.bytes.subarray(at + 128, at + 131)]).toEqual([3, 2, 1]);
    expect(batch.found(3, word())).toEqual(word(7, 9));
    expect(fabric.device).toMatch(/^rxe/);
  });

  it('goes on where a batch is longer than a send queue', async () => {
    const fabric = attach(serve());
    const batches = Array.from({ length: 6 }, () => new VerbBatch(fabric.local, 300));
    for (const batch of batches) {
      for (let i = 0; i < 300; i++) batch.faa(0, 0, word(0, 1));
      fabric.post(batch);
    }
    await finish(fabric);
    expect(batches[5].foundLo(299)).toBe(1799);
  });

  it('replays READs natively', () => {
    const fabric = attach(serve());
    const batch = new VerbBatch(fabric.local, 2);
    batch.read8(0, 0);
    batch.read(0, 64, fabric.local.reserve(1024), 1024);
    fabric.post(batch);
    while (fabric.poll([]) === 0);
    const times = fabric.replay(batch, 20);
    expect(Math.min(...times)).toBeGreaterThan(0);
  });

  it.each([
    ['a device', { device: 'mlx9_0' }, /no RDMA device mlx9_0; there are: .*rxe0 port 1.*rxe1 port 1/],
    ['a port', { devicePort: 3 }, /no active port 3; there are: .*rxe0 port 1/],
    ['a GID', { device: 'rxe1', gid: 77 }, /rxe1 port 1 has no GID 77; it has: .*1 ::ffff:10\.1\.0\.2/],
  ])('names those that there are where %s is not there', (_, choice, message) => {
    const address = serve();
    expect(() => attach(address, choice)).toThrow(UsageError);
    expect(() => attach(address, choice)).toThrow(message);
  });

  it('refuses a wrong secret, and nobody else notices', async () => {
    const address = serve();
    const fabric = attach(address);
    expect(() => attach(address, { secret: new Uint8Array(32) })).toThrow(/its secret is another one/);
    const batch = new VerbBatch(fabric.local, 1);
    batch.faa(0, 0, word(0, 1));
    fabric.post(batch);
    await finish(fabric);
    expect(batch.status(0)).toBe(Status.OK);
  });

  it('closes a connection that sends nonsense, with a reason, and serves the others', async () => {
    const node = new ShmNode({ pool: `test-${process.pid}-verbs-n`, mn: 0, memoryBytes: 8192 });
    open.push(node);
    const log: string[] = [];
    const service = new VerbsService({
      region: node.name,
      host: WIRE.host,
      secret,
      log: (line) => log.push(line),
    });
    open.push(service);
    node.ready();
    const fabric = attach(`${WIRE.host}:${service.port}`);
    const socket = connect(service.port, WIRE.host);
    socket.on('error', () => {});
    socket.resume();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(Buffer.alloc(4096, 0x5a));
    await closed;
    while (log.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(log[0]).toMatch(/does not speak this protocol/);
    const batch = new VerbBatch(fabric.local, 1);
    batch.read8(0, 0);
    fabric.post(batch);
    await finish(fabric);
    expect(batch.status(0)).toBe(Status.OK);
  });

  it('says so when nobody listens, and when what listens is no node', async () => {
    expect(() => attach(`${WIRE.host}:9`)).toThrow(FabricError);
    expect(() => attach(`${WIRE.host}:9`)).toThrow(/10\.1\.0\.1:9 cannot be reached/);
    const server = createServer((socket) => socket.end('hello'));
    server.listen(0, WIRE.host);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    // The client's thread waits for the server's, which is another process's outside of tests.
    const script = `new VerbsFabric({ addresses: ['${WIRE.host}:${port}'], secret: new Uint8Array(32) })`;
    expect(await failureOf(script)).toMatch(/has closed the connection/);
    server.close();
  });

  it('says what the limit of locked memory is, and how to raise it', () => {
    const script = `new VerbsFabric({ addresses: ['${serve()}'], secret: new Uint8Array(32) })`;
    // Root may lock what it likes: the capability is taken away first.
    const capability = ['--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock'];
    const limited = ['setpriv', ...capability, 'prlimit', '--memlock=65536:65536'];
    expect(failureNow(script, limited)).toMatch(/limit of locked memory is 65536 bytes; .*ulimit -l/);
  });

  it('refuses a NIC without atomics', () => {
    const script = `new VerbsFabric({ addresses: ['${serve()}'], secret: new Uint8Array(32) })`;
    const message = failureNow(script, ['env', 'FUSEE_VERBS_NO_ATOMICS=1']);
    expect(message).toMatch(/rxe0 has no atomics.*there are: .*rxe1/);
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
    const probe = batches[0].reset();
    probe.read8(0, 0);
    while (fabric.reasonOf(0) === undefined) {
      fabric.post(probe);
      await finish(fabric);
    }
    fabric.post(probe);
    await finish(fabric);
    expect(probe.status(0)).toBe(Status.FAIL);
    expect(fabric.reasonOf(0)).toMatch(/its connection has ended|retry counter exceeded|Flushed/);
    await pool.close();
    await wire.end();
  });
});

const module = fileURLToPath(new URL('./verbs.js', import.meta.url));
const program = (script: string): string[] => [
  process.execPath,
  '--input-type=module',
  '-e',
  `import { VerbsFabric } from ${JSON.stringify(module)};
   try { ${script}; console.log('no error'); } catch (error) { console.log(error.message); }`,
];

/** What the error of a script in a process of its own says, started by some other command. */
function failureNow(script: string, by: readonly string[]): string {
  const [command, ...args] = [...by, ...program(script)];
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 100_000 });
  return done.stdout + done.stderr;
}

/** As {@link failureNow}, while this process goes on. */
async function failureOf(script: string): Promise<string> {
  const { spawn } = await import('node:child_process');
  const [command, ...args] = program(script);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (part) => {
    text += part;
  });
  await once(child, 'close');
  return text;
}
