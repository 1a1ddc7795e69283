/** Over real verbs: `npm run test:rdma` runs this in a guest with two soft-RoCE devices on one wire. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { verbsAddon } from '../../native/verbs.js';
import { Status, VerbBatch, word } from '../verbs/index.js';
import { VERBS_SECRET as secret, type VerbsPath, verbsHarness } from './conformance/verbs-harness.js';
import { add, finish, VerbsHere, WIRE } from './conformance/verbs-here.js';
import { describeFabric } from './conformance.js';
import { sweepRegions } from './shm-process.js';
import { requireVerbs, VerbsFabric } from './verbs.js';

const devices = verbsAddon()?.describeDevices() ?? 'none';
const isGuest = devices.includes('rxe0') && devices.includes('rxe1');
const reason = isGuest ? '' : ' [skipped: needs rxe0 and rxe1, see npm run test:rdma]';

afterAll(() => {
  sweepRegions(`test-${process.pid}`);
});

if (isGuest) {
  // rdma_cm goes by the host's routes: where both ends are of one host it uses the device of the far end.
  // What is posted is the same either way: in CI one of them goes through the whole suite.
  const ways: Record<string, VerbsPath> = { exchange: WIRE };
  if (process.env.FUSEE_CI === undefined) ways.rdma_cm = { host: WIRE.host, connect: 'cm' };
  for (const [way, path] of Object.entries(ways)) {
    const harness = verbsHarness(path);
    afterAll(() => harness.end());
    describeFabric(`verbs fabric, queue pairs by ${way}`, harness);
  }
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
  const here = new VerbsHere();
  afterEach(() => here.close());

  it('connects by rdma_cm: every kind of verb, and calls', async () => {
    const fabric = here.attach(here.serve(), { connect: 'cm' });
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
    const fabric = here.attach(here.serve());
    const batches = Array.from({ length: 6 }, () => new VerbBatch(fabric.local, 300));
    for (const batch of batches) {
      for (let i = 0; i < 300; i++) batch.faa(0, 0, word(0, 1));
      fabric.post(batch);
    }
    await finish(fabric);
    expect(batches[5].foundLo(299)).toBe(1799);
  });

  it('replays READs natively', () => {
    const fabric = here.attach(here.serve());
    const batch = new VerbBatch(fabric.local, 2);
    batch.read8(0, 0);
    batch.read(0, 64, fabric.local.reserve(1024), 1024);
    fabric.post(batch);
    while (fabric.poll([]) === 0);
    const times = fabric.replay(batch, 20);
    expect(Math.min(...times)).toBeGreaterThan(0);
  });

  it('registers huge pages where the system has some, at the client and at the node', async () => {
    const countOf = (what: string): number =>
      Number(new RegExp(`${what}: +(\\d+)`).exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
    const mount = (huge: string): void => {
      const done = spawnSync('mount', ['-o', `remount,huge=${huge}`, '/dev/shm'], { encoding: 'utf8' });
      expect(done.status, done.stderr).toBe(0);
    };
    const reserve = '/proc/sys/vm/nr_hugepages';
    writeFileSync(reserve, '4');
    mount('always');
    try {
      expect(countOf('HugePages_Free'), 'the guest has no memory for four huge pages').toBe(4);
      const node = here.serve({ memoryBytes: 6 << 20 });
      expect(countOf('ShmemHugePages')).toBeGreaterThanOrEqual(2 * 2048);
      const fabric = here.attach(node, { localBytes: 3 << 20 });
      expect(await add(fabric)).toBe(Status.OK);
      expect(countOf('HugePages_Free')).toBe(2);
    } finally {
      here.close();
      mount('never');
      writeFileSync(reserve, '0');
    }
  });
});
