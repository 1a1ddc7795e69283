/** Rules that only clients running at the same time can break. */
import { describe, expect } from 'vitest';
import { VerbBatch as Batch, type VerbBatch, word } from '../../verbs/index.js';
import { type FabricPool, Probe, type Suite, waitFor } from './harness.js';
import { Request } from './service.js';

const KIB = 1024;

/** Rules 2, 3, 4 and 6 between processes. */
export function describeConcurrency(suite: Suite): void {
  describe('clients at the same time', () => {
    suite.test('FAA loses no addition', [KIB], async (pool) => {
      const rounds = suite.rounds(100_000);
      const clients = [0, 1, 2].map(() => pool.run('addMany', [64, rounds, 3]));
      await Promise.all(clients.map((c) => c.result));
      expect(await wordAt(pool, 64)).toBe(3 * rounds);
    });
    suite.test('CAS lets one of two win', [KIB], async (pool) => {
      const rounds = suite.rounds(50_000);
      const clients = [0, 1].map(() => pool.run('swapMany', [64, rounds, 2]));
      const lost = await Promise.all(clients.map((c) => c.result));
      expect(await wordAt(pool, 64), `lost: ${lost}`).toBe(2 * rounds);
    });
    suite.test('an unaligned 9-byte WRITE never changes the bytes beside it', [KIB], (pool) =>
      neighboursAreSafe(pool, suite.rounds(30_000)),
    );
    suite.test('a WRITE lands in ascending order, whole words at a time', [8 * KIB], writesAscend);
    suite.test('a READ does not overtake a WRITE posted before it', [1024 * KIB], (pool) =>
      storeThenLoad(pool, suite.rounds(5000)),
    );
    suite.test('nothing posted before a fence executes after it', [KIB], async (pool) => {
      const client = pool.run('workForever', [64, 128]);
      client.result.catch(() => {});
      await add(pool, 128);
      await waitFor('work', async () => (await wordAt(pool, 64)) > 1000);
      await client.fence();
      const after = [await wordAt(pool, 64), await counted(pool)];
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect([await wordAt(pool, 64), await counted(pool)]).toEqual(after);
    });
    suite.test(
      'a call that waits behind others is not served after the fence of its client',
      [KIB],
      async (pool) => {
        const probe = new Probe(pool.attach({ rpcTimeoutNs: 100e9 }));
        const client = pool.run('workForever', [64, 128]);
        client.result.catch(() => {});
        await client.started;
        probe.fill([Request.HOLD, 0, 0, 0, 192]);
        const request = { local: probe.buffer, lengthBytes: 8 };
        probe.batch.reset().rpc(0, request, { local: probe.buffer + 64, capacityBytes: 8 });
        probe.fabric.post(probe.batch);
        expect(probe.fabric.poll([])).toBe(0);
        // While the MN is busy, the client calls and is fenced.
        await add(pool, 128);
        await waitFor('work', async () => (await wordAt(pool, 64)) > 0);
        await client.fence();
        expect(probe.fabric.poll([]), 'the MN was busy all the time').toBe(0);
        await add(pool, 192);
        await waitFor('the answer', () => probe.fabric.poll([]) === 1);
        expect(await counted(pool)).toBe(0);
      },
    );
  });
}

async function wordAt(pool: FabricPool, offset: number): Promise<number> {
  const probe = new Probe(pool.attach());
  probe.batch.reset().read8(0, offset);
  await probe.roundTrip();
  probe.fabric.close();
  return probe.batch.foundLo(0);
}

async function add(pool: FabricPool, offset: number): Promise<void> {
  const probe = new Probe(pool.attach());
  probe.batch.reset().faa(0, offset, word(0, 1));
  await probe.roundTrip();
  probe.fabric.close();
}

async function counted(pool: FabricPool): Promise<number> {
  const probe = new Probe(pool.attach());
  probe.fill([Request.COUNTED]);
  probe.batch.reset();
  probe.batch.rpc(0, { local: probe.buffer, lengthBytes: 1 }, { local: probe.buffer + 64, capacityBytes: 8 });
  await probe.roundTrip();
  const value = probe.fabric.local.words[(probe.buffer + 64) >>> 2];
  probe.fabric.close();
  return value;
}

/** Hazard H9: the 9-byte log commit and the used byte share a line, and words, with what others write. */
async function neighboursAreSafe(pool: FabricPool, rounds: number): Promise<void> {
  const fabric = pool.attach();
  const batch = new Batch(fabric.local, 32);
  const buffer = fabric.local.reserve(64);
  const done: VerbBatch[] = [];
  // Bytes 259 and 269 are the neighbours of the nine in between.
  const clients = [pool.run('hammerByte', [259, rounds]), pool.run('hammerByte', [269, rounds])];
  let isOver = false;
  const results = Promise.all(clients.map((c) => c.result)).finally(() => {
    isOver = true;
  });
  for (let round = 0; !isOver; round++) {
    fabric.local.bytes.fill(round & 255, buffer, buffer + 9);
    batch.reset();
    for (let i = 0; i < 32; i++) batch.write(0, 260, buffer, 9);
    fabric.post(batch);
    while (fabric.poll(done) === 0);
    if (round % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await results).toEqual([[0], [0]]);
}

/** Reads the words of a range that another client rewrites, last word first: each must be at least as new. */
async function writesAscend(pool: FabricPool): Promise<void> {
  const lengthBytes = 1088;
  const at = 64;
  const fabric = pool.attach();
  const batch = new Batch(fabric.local, 64);
  const words = fabric.local.words;
  const buffer = fabric.local.reserve(4096);
  const done: VerbBatch[] = [];
  const writer = pool.run('writeRounds', [at, lengthBytes, 0]);
  await writer.started;
  const start = performance.now();
  let torn = 0;
  let descended = 0;
  let mixed = 0;
  // A READ that meets no WRITE half way tells nothing: on a busy machine it takes longer until enough did.
  for (let ms = 0; ms < 400 || (mixed < 10 && ms < 15_000); ms = performance.now() - start) {
    batch.reset();
    for (let v = 0; v < 34; v++) batch.read(0, at + lengthBytes - 32 * (v + 1), buffer + v * 64, 32);
    batch.read(0, at, buffer + 34 * 64, lengthBytes);
    fabric.post(batch);
    while (fabric.poll(done) === 0);
    let newestBefore = 0;
    for (let v = 0; v < 34; v++) {
      const block = (buffer + v * 64) >>> 2;
      let newest = 0;
      for (let w = 0; w < 8; w += 2) {
        const round = words[block + w];
        if (round !== 0 && words[block + w + 1] !== ~round >>> 0) torn++;
        if (round < newestBefore) descended++;
        newest = Math.max(newest, round);
      }
      newestBefore = Math.max(newestBefore, newest);
    }
    const first = (buffer + 34 * 64) >>> 2;
    for (let w = 0; w < lengthBytes >>> 2; w += 2) {
      if (words[first + w] !== 0 && words[first + w + 1] !== ~words[first + w] >>> 0) torn++;
      if (words[first + w] !== words[first]) mixed++;
    }
  }
  const stop = new Probe(fabric);
  stop.batch.reset().faa(0, 0, word(0, 1));
  await stop.roundTrip();
  const [rounds] = await writer.result;
  expect(descended, `words older than ones behind them, in ${rounds} rounds`).toBe(0);
  expect(torn, `of ${rounds} rounds`).toBe(0);
  expect(mixed, `of ${rounds} rounds`).toBeGreaterThan(0);
}

/** Dekker: both sides read 0 only if each READ went ahead of the WRITE that its own side posted before it. */
async function storeThenLoad(pool: FabricPool, rounds: number): Promise<void> {
  const sides = [0, 1].map((side) => pool.run('storeLoad', [0, side, rounds]));
  const [a, b] = await Promise.all(sides.map((s) => s.result));
  const both = a.filter((saw, r) => saw === 0 && b[r] === 0).length;
  expect(both, `of ${rounds} rounds in which neither saw the other`).toBe(0);
}
