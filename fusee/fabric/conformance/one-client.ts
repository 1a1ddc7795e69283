/** Rules that one client can see alone: refusals, what each verb does, order, queue limits. */
import { describe, expect } from 'vitest';
import { VerbBatch as Batch, Status, UsageError, type VerbBatch, word } from '../../verbs/index.js';
import { Probe, type Suite } from './harness.js';

const KIB = 1024;
const { OK } = Status;

/** What verbs do, and that they do nothing else. */
export function describeVerbs(suite: Suite): void {
  describe('verbs', () => {
    suite.test(
      'memory is zero at first, and a READ brings back what a WRITE put there',
      [64 * KIB],
      async (pool) => {
        const probe = new Probe(pool.attach());
        const data = Array.from({ length: 1088 }, (_, i) => (i * 7 + 1) & 255);
        probe.fill(data);
        for (const offset of [0, 8, 4096 - 64, 4096 - 3, 64 * KIB - 1088]) {
          probe.batch.reset().read(0, offset, probe.buffer + 2048, 1088);
          probe.batch.write(0, offset, probe.buffer, 1088);
          probe.batch.read(0, offset, probe.buffer + 4096, 1088);
          probe.fill(new Array(1088).fill(0));
          probe.fill(data);
          await probe.roundTrip();
          expect(probe.statuses()).toEqual([OK, OK, OK]);
          expect(probe.bytes(4096, 1088)).toEqual(data);
          if (offset === 0) expect(probe.bytes(2048, 1088)).toEqual(new Array(1088).fill(0));
        }
      },
    );
    suite.test(
      'a WRITE or READ of any length at any alignment touches its range only',
      [8 * KIB],
      rangesAreExact,
    );
    suite.test('a READ of an object leaves its CRC, or says that it did not', [KIB], objectsAreChecked);
    suite.test('CAS swaps only what it expects, and tells what it found', [KIB], async (pool) => {
      const probe = new Probe(pool.attach());
      const high = word(0x8000_0001, 0xffff_ffff);
      probe.batch.reset().cas(0, 64, word(), high);
      probe.batch.cas(0, 64, word(0, 1), word(0, 2));
      probe.batch.cas(0, 64, high, word(5, 6));
      probe.batch.read8(0, 64);
      await probe.roundTrip();
      expect([0, 1, 2, 3].map((i) => probe.batch.found(i, word()))).toEqual([word(), high, high, word(5, 6)]);
      expect(probe.batch.foundIs(2, high)).toBe(true);
    });
    suite.test('FAA adds modulo 2^64 with a carry between the halves', [KIB], async (pool) => {
      const probe = new Probe(pool.attach());
      probe.batch.reset().faa(0, 8, word(0, 0xffff_ffff));
      probe.batch.faa(0, 8, word(0, 1));
      probe.batch.faa(0, 8, word(0xffff_ffff, 0));
      probe.batch.faa(0, 8, word(7, 9));
      probe.batch.read8(0, 8);
      await probe.roundTrip();
      const found = [0, 1, 2, 3, 4].map((i) => probe.batch.found(i, word()));
      expect(found).toEqual([word(), word(0, 0xffff_ffff), word(1, 0), word(), word(7, 9)]);
    });
  });
}

/** Whatever bytes lie where an object's lengths should be. */
async function objectsAreChecked(pool: { attach(): Probe['fabric'] }): Promise<void> {
  const probe = new Probe(pool.attach());
  const { local } = probe.fabric;
  const readBytes = 256;
  const cases = [
    { keyBytes: 5, valueBytes: 100 },
    { keyBytes: 0, valueBytes: 0 },
    { keyBytes: 8, valueBytes: readBytes - 16 },
    { keyBytes: 8, valueBytes: readBytes - 15 },
    { keyBytes: 0xffff, valueBytes: 0xffff },
  ];
  for (const { keyBytes, valueBytes } of cases) {
    const payload = keyBytes + valueBytes;
    const lengths = (keyBytes | (valueBytes << 16)) >>> 0;
    probe.fill(Array.from({ length: readBytes }, (_, i) => (i * 11 + 3) & 255));
    local.words[probe.buffer >>> 2] = lengths;
    probe.batch.reset().write(0, 0, probe.buffer, readBytes);
    probe.batch.readObject(0, 0, probe.buffer + 1024, readBytes);
    probe.batch.read(0, 0, probe.buffer + 2048, readBytes);
    await probe.roundTrip();
    expect(probe.statuses()).toEqual([OK, OK, OK]);
    expect(probe.bytes(1024, readBytes)).toEqual(probe.bytes(2048, readBytes));
    const crc = probe.batch.crcOf(1);
    if (payload > readBytes - 8) expect(crc).toBe(-1);
    else expect([-1, local.crc32c(probe.buffer + 1024 + 8, payload, lengths)]).toContain(crc);
  }
  // Nothing stays of it in the descriptor: the next verb there reads no object.
  probe.batch.reset().read8(0, 8);
  probe.batch.read(0, 0, probe.buffer + 1024, readBytes);
  await probe.roundTrip();
  expect(probe.batch.foundLo(0)).toBe(local.words[(probe.buffer + 1024 + 8) >>> 2]);
}

async function rangesAreExact(pool: { attach(): Probe['fabric'] }): Promise<void> {
  const probe = new Probe(pool.attach());
  const lengths = [0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 40, 63, 64, 65, 71, 72, 73, 80, 127, 128, 136, 200, 333];
  for (let shift = 0; shift < 17; shift++) {
    for (const length of lengths) {
      const at = 512 + shift;
      probe.fill(new Array(1024).fill(0xee));
      probe.fill(
        Array.from({ length }, (_, i) => (i + length) & 127),
        1024 + 3,
      );
      probe.fill(new Array(2048).fill(0xaa), 2048);
      probe.batch.reset().write(0, 0, probe.buffer, 1024);
      probe.batch.write(0, at, probe.buffer + 1024 + 3, length);
      probe.batch.read(0, 0, probe.buffer + 2048, 1024);
      probe.batch.read(0, at, probe.buffer + 3072 + 64 + (shift % 9), length);
      await probe.roundTrip();
      const expected = new Array(1024).fill(0xee);
      for (let i = 0; i < length; i++) expected[at + i] = (i + length) & 127;
      expect(probe.bytes(2048, 1024), `WRITE of ${length} at ${at}`).toEqual(expected);
      const local = new Array(512).fill(0xaa);
      for (let i = 0; i < length; i++) local[64 + (shift % 9) + i] = (i + length) & 127;
      expect(probe.bytes(3072, 512), `READ of ${length} at ${at}`).toEqual(local);
    }
  }
}

/** Rule 3 and 4: what is refused is refused before anything of the batch executes. */
export function describeRefusals(suite: Suite): void {
  const refusals: [string, (batch: VerbBatch, buffer: number) => void, RegExp][] = [
    ['an unaligned CAS', (b) => b.cas(0, 12, word(), word(0, 1)), /verb 1 \(CAS\).*offset 12.*multiple of 8/],
    ['an unaligned FAA', (b) => b.faa(0, 1, word(0, 1)), /verb 1 \(FAA\).*offset 1.*multiple of 8/],
    ['a READ past the end', (b, at) => b.read(0, 1020, at, 8), /verb 1 \(READ\).*offset 1020 \+ 8.*1024/],
    ['a WRITE past the end', (b, at) => b.write(0, 1024, at, 1), /verb 1 \(WRITE\).*offset 1024 \+ 1.*1024/],
    ['a CAS past the end', (b) => b.cas(0, 1024, word(), word(0, 1)), /verb 1 \(CAS\).*offset 1024/],
    ['a negative offset', (b, at) => b.read(0, -8, at, 8), /verb 1 \(READ\).*offset -8/],
    ['an offset that is no number', (b, at) => b.read(0, Number.NaN, at, 8), /verb 1 \(READ\).*NaN/],
    ['an offset that is no whole number', (b, at) => b.write(0, 8.5, at, 8), /verb 1 \(WRITE\).*8\.5/],
    ['an offset beyond all memory', (b, at) => b.write(0, 2 ** 60, at, 8), /verb 1 \(WRITE\)/],
    ['an MN that does not exist', (b, at) => b.read(1, 0, at, 8), /verb 1 \(READ\).*MN 1.*MN 0 to 0/],
    [
      'registered memory exceeded',
      (b) => b.read(0, 0, b.local.bytes.length - 8, 9),
      /verb 1 \(READ\).*registered/,
    ],
    [
      'an RPC over the limit',
      (b, at) => b.rpc(0, { local: at, lengthBytes: 113 }, { local: at, capacityBytes: 112 }),
      /verb 1 \(RPC\).*113.*112/,
    ],
    [
      'a response outside registered memory',
      (b, at) => b.rpc(0, { local: at, lengthBytes: 8 }, { local: b.local.bytes.length, capacityBytes: 1 }),
      /verb 1 \(RPC\).*response/,
    ],
  ];
  describe('refusals', () => {
    for (const [name, add, message] of refusals) {
      suite.test(`${name}: refused, and nothing of its batch executes`, [KIB], async (pool) => {
        const probe = new Probe(pool.attach());
        probe.batch.reset().faa(0, 0, word(0, 1));
        add(probe.batch, probe.buffer);
        expect(() => probe.fabric.post(probe.batch)).toThrow(UsageError);
        expect(() => probe.fabric.post(probe.batch)).toThrow(message);
        expect(probe.fabric.outstanding).toBe(0);
        expect(probe.fabric.poll([])).toBe(0);
        probe.batch.reset().read8(0, 0);
        await probe.roundTrip();
        expect(probe.batch.found(0, word())).toEqual(word());
      });
    }
    suite.test('a batch from the memory of another client is refused', [KIB], async (pool) => {
      const other = new Batch(pool.attach().local, 1);
      expect(() => pool.attach().post(other)).toThrow(UsageError);
    });
    suite.test('registered memory that is used up says so', [KIB], async (pool) => {
      const local = pool.attach({ localBytes: 4096 }).local;
      local.reserve(4000);
      expect(() => local.reserve(128)).toThrow(/exhausted: 128 bytes asked for/);
    });
  });
}

/** Rules 1 and 2: one status each, in posting order, handed back once. */
export function describeQueue(suite: Suite): void {
  describe('queue', () => {
    suite.test(
      'verbs to one MN execute in posting order, within and across batches',
      [KIB, KIB],
      async (pool) => {
        const probe = new Probe(pool.attach());
        const done: VerbBatch[] = [];
        const batches = [0, 1, 2].map(() => new Batch(probe.fabric.local, 8));
        for (const [i, batch] of batches.entries()) {
          probe.fill([i + 1], i * 8);
          batch.read8(0, 0);
          batch.write(0, 0, probe.buffer + i * 8, 8);
          batch.read8(0, 0);
          batch.write(1, 0, probe.buffer + i * 8, 8);
          batch.faa(0, 0, word(0, 16));
          expect(probe.fabric.post(batch)).toBe(true);
        }
        let back = 0;
        while (back < 3) back += probe.fabric.poll(done);
        expect(batches.map((b) => [b.foundLo(0), b.foundLo(2), b.foundLo(4)])).toEqual([
          [0, 1, 1],
          [17, 2, 2],
          [18, 3, 3],
        ]);
      },
    );
    suite.test('each batch is handed back exactly once, with one status per verb', [KIB], async (pool) => {
      const fabric = pool.attach();
      const batches = Array.from({ length: 50 }, () => new Batch(fabric.local, 4));
      const seen = new Map<VerbBatch, number>();
      const done: VerbBatch[] = [];
      for (const [i, batch] of batches.entries()) {
        for (let v = 0; v < i % 4; v++) batch.faa(0, 0, word(0, 1));
        fabric.post(batch);
      }
      expect(fabric.outstanding).toBe(50);
      while (fabric.outstanding > 0) {
        const count = fabric.poll(done);
        for (let i = 0; i < count; i++) seen.set(done[i], (seen.get(done[i]) ?? 0) + 1);
      }
      expect(batches.map((b) => seen.get(b))).toEqual(new Array(50).fill(1));
      for (const b of batches) for (let v = 0; v < b.count; v++) expect(b.status(v)).toBe(OK);
      expect(fabric.poll(done)).toBe(0);
    });
    suite.test('a full queue refuses with false, and takes more after a poll', [KIB], async (pool) => {
      const fabric = pool.attach({ queueCapacity: 4 });
      const batches = Array.from({ length: 5 }, () => new Batch(fabric.local, 1));
      for (const b of batches) b.faa(0, 0, word(0, 1));
      expect(batches.map((b) => fabric.post(b))).toEqual([true, true, true, true, false]);
      const done: VerbBatch[] = [];
      for (let back = 0; back < 4; ) back += fabric.poll(done);
      expect(fabric.post(batches[4])).toBe(true);
      while (fabric.poll(done) === 0);
      expect(batches[4].foundLo(0)).toBe(4);
    });
  });
  describeTime(suite);
}

function describeTime(suite: Suite): void {
  describe('time', () => {
    suite.test('batches are stamped by a clock that never goes back', [KIB], async (pool) => {
      const probe = new Probe(pool.attach());
      let last = probe.fabric.nowNs();
      for (let i = 0; i < 10; i++) {
        probe.batch.reset().read8(0, 0);
        await probe.roundTrip();
        expect(probe.batch.postedNs).toBeGreaterThanOrEqual(last);
        expect(probe.batch.completedNs).toBeGreaterThanOrEqual(probe.batch.postedNs);
        last = probe.fabric.nowNs();
        expect(last).toBeGreaterThanOrEqual(probe.batch.completedNs);
      }
    });
    suite.test('after close nothing that was posted executes', [KIB], async (pool) => {
      const fabric = pool.attach();
      const batch = new Batch(fabric.local, 1);
      batch.faa(0, 0, word(0, 1));
      fabric.post(batch);
      fabric.close();
      expect(fabric.poll([])).toBe(0);
      const probe = new Probe(pool.attach());
      probe.batch.reset().read8(0, 0);
      await probe.roundTrip();
      expect(probe.batch.foundLo(0)).toBe(0);
    });
  });
}
