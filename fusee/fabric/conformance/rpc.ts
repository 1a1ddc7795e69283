/** Calls to an MN's weak CPU, and what the death of an MN does to verbs. */
import { describe, expect } from 'vitest';
import { VerbBatch as Batch, Status, type VerbBatch, word } from '../../verbs/index.js';
import { type FabricPool, Probe, type Suite, waitFor } from './harness.js';
import { Request } from './service.js';

const KIB = 1024;
const { OK, FAIL } = Status;

/** Appends a call whose request lies at `at` in the probe's buffer, and its response 128 bytes behind. */
function call(
  probe: Probe,
  batch: VerbBatch,
  at: number,
  request: readonly number[],
  capacityBytes = 112,
): void {
  probe.fill(request, at);
  const local = probe.buffer + at;
  batch.rpc(0, { local, lengthBytes: request.length }, { local: local + 128, capacityBytes });
}

/** Round trips to the service, singly and several at once. */
export function describeRpc(suite: Suite): void {
  describe('RPC', () => {
    suite.test('a request comes back as its response, at every length to the limit', [KIB], async (pool) => {
      const probe = new Probe(pool.attach());
      for (const length of [1, 2, 8, 63, 111, 112]) {
        const request = Array.from({ length }, (_, i) => i);
        probe.batch.reset();
        call(probe, probe.batch, 0, request);
        await probe.roundTrip();
        expect(probe.statuses()).toEqual([OK]);
        expect(probe.batch.foundLo(0)).toBe(length);
        expect(probe.batch.completedNs).toBeGreaterThan(probe.batch.postedNs);
        expect(probe.bytes(128, length)).toEqual(request.reverse());
      }
    });
    suite.test('many calls at once each get their own answer', [KIB], callTwelve);
    suite.test(
      'the node sees the WRITEs posted before the call, and a batch may mix both',
      [KIB],
      async (pool) => {
        const probe = new Probe(pool.attach());
        for (let round = 1; round < 20; round++) {
          probe.fill([round, round + 1, round + 2], 1024);
          probe.batch.reset().write(0, 512, probe.buffer + 1024, 8);
          call(probe, probe.batch, 0, [Request.PEEK, 0, 0, 0, 0, 2, 0, 0]);
          await probe.roundTrip();
          expect(probe.statuses()).toEqual([OK, OK]);
          expect(probe.bytes(128, 3)).toEqual([round, round + 1, round + 2]);
        }
      },
    );
    suite.test(
      'an answer larger than its room FAILs, tells its length and changes nothing',
      [KIB],
      async (pool) => {
        const probe = new Probe(pool.attach());
        probe.fill([7, 7, 7, 7], 128);
        call(probe, probe.batch, 0, [Request.REVERSE, 1, 2, 3], 3);
        await probe.roundTrip();
        expect(probe.statuses()).toEqual([FAIL]);
        expect(probe.batch.foundLo(0)).toBe(4);
        expect(probe.bytes(128, 4)).toEqual([7, 7, 7, 7]);
      },
    );
    suite.test('a late answer is not taken for the answer to a later request', [KIB], callLate);
  });
}

/** Rules 1 and 7 when an MN dies. */
export function describeDeath(suite: Suite): void {
  describe('death of an MN', () => {
    suite.test('its verbs FAIL, all of them, and those to others are OK', [KIB, KIB], async (pool) => {
      const probe = new Probe(pool.attach());
      probe.batch.reset().faa(0, 0, word(0, 1));
      await probe.roundTrip();
      expect(probe.statuses()).toEqual([OK]);
      await pool.kill(0);
      await waitFor('FAIL', () => {
        probe.batch.reset().read8(0, 0);
        probe.fabric.post(probe.batch);
        while (probe.fabric.poll([]) === 0);
        return probe.batch.status(0) === FAIL;
      });
      probe.batch.reset().read8(0, 0);
      probe.batch.write(0, 8, probe.buffer, 8);
      probe.batch.cas(0, 0, word(0, 1), word(0, 2));
      probe.batch.faa(0, 0, word(0, 1));
      call(probe, probe.batch, 0, [Request.REVERSE]);
      probe.batch.faa(1, 0, word(0, 5));
      probe.batch.read8(1, 0);
      await probe.roundTrip();
      expect(probe.statuses()).toEqual([FAIL, FAIL, FAIL, FAIL, FAIL, OK, OK]);
      expect(probe.batch.foundLo(6)).toBe(5);
    });
    suite.test('a call that the MN was serving FAILs when it dies', [KIB], async (pool) => {
      const probe = new Probe(pool.attach({ rpcTimeoutNs: 60e9 }));
      call(probe, probe.batch, 0, [Request.SLOW, 250]);
      expect(probe.fabric.post(probe.batch)).toBe(true);
      const done: VerbBatch[] = [];
      expect(probe.fabric.poll(done)).toBe(0);
      await pool.kill(0);
      await waitFor('FAIL', () => probe.fabric.poll(done) === 1, 2000);
      expect(probe.statuses()).toEqual([FAIL]);
    });
  });
}

/** More calls than a client may have with an MN at once: the rest wait their turn. */
async function callTwelve(pool: FabricPool): Promise<void> {
  const probe = new Probe(pool.attach());
  const batches = Array.from({ length: 12 }, () => new Batch(probe.fabric.local, 1));
  for (const [i, batch] of batches.entries()) {
    call(probe, batch, i * 256, [Request.REVERSE, i, 99]);
    expect(probe.fabric.post(batch)).toBe(true);
  }
  const done: VerbBatch[] = [];
  const seen = new Set<VerbBatch>();
  await waitFor('all answers', () => {
    const count = probe.fabric.poll(done);
    for (let i = 0; i < count; i++) seen.add(done[i]);
    return seen.size === 12;
  });
  for (let i = 0; i < 12; i++) expect(probe.bytes(i * 256 + 128, 3)).toEqual([99, i, Request.REVERSE]);
}

/** Every way of a client to its MN is left with a late answer in turn. */
async function callLate(pool: FabricPool): Promise<void> {
  const probe = new Probe(pool.attach({ rpcTimeoutNs: 30e6 }));
  for (let round = 0; round < 6; round++) {
    let isLate = false;
    // A client that was held up for longer than the MN finds the answer there: once more.
    for (let attempt = 0; attempt < 20 && !isLate; attempt++) {
      probe.batch.reset();
      call(probe, probe.batch, 0, [Request.SLOW, 10, round]);
      await probe.roundTrip();
      isLate = probe.batch.status(0) === FAIL;
    }
    expect(isLate).toBe(true);
    let isAnswered = false;
    for (let attempt = 0; attempt < 300 && !isAnswered; attempt++) {
      probe.batch.reset();
      call(probe, probe.batch, 0, [Request.REVERSE, round, 42]);
      await probe.roundTrip();
      isAnswered = probe.batch.status(0) === OK;
    }
    expect(probe.bytes(128, 3)).toEqual([42, round, Request.REVERSE]);
  }
}
