/** Round trips, verbs and bytes of every request without conflict. */
import { describe, expect, it } from 'vitest';
import { type ByHand, keysAlike, poolByHand } from './by-hand.js';
import { Outcome } from './index.js';

const SIZES = [0, 100, 300];
const lines = (keyBytes: number, valueBytes: number): number =>
  Math.ceil((30 + keyBytes + valueBytes) / 64) * 64;

describe.each([1, 2, 3, 4])('with %i index replicas', (ri) => {
  describe.each([1, 2, 3])('and %i data replicas', (rd) => {
    /** Clients with blocks of every class in use, so that no request asks for one. */
    function setUp() {
      const pool = poolByHand({
        indexReplicas: ri,
        dataReplicas: rd,
        subtables: 1,
        groupsPerSubtable: 2,
        clients: 3,
      });
      for (const client of pool.clients) for (const n of SIZES) client.warm(8, n);
      const [a, b, c] = pool.clients;
      return { ...pool, a, b, c, keys: keysAlike(pool.config, 2) };
    }
    const cost = (rtts: number, verbs: number, bytes: number, backgroundVerbs = 0): object => ({
      rtts,
      verbs,
      bytes,
      casFailures: 0,
      polls: 0,
      backgroundVerbs,
      backgroundBytes: backgroundVerbs,
    });
    const run = (client: ByHand): object => {
      const outcome = client.finish();
      return { outcome, ...client.ledger };
    };
    const L = lines(8, 100);
    const M = lines(8, 300);
    const T = lines(8, 0);
    /** Replacing a slot: CASes, log commit, CAS of the primary. */
    const swap =
      ri === 1 ? { rtts: 1, verbs: 1, bytes: 8 } : { rtts: 3, verbs: ri + rd, bytes: 8 * ri + 9 * rd };
    const claim =
      ri === 1
        ? { rtts: 2, verbs: 4, bytes: 272 }
        : { rtts: 3, verbs: ri + rd + 2, bytes: 8 * ri + 9 * rd + 256 };
    const [x100, y300] = ['x'.repeat(100), 'y'.repeat(300)];

    it('SEARCH costs 1 on a hit, 2 on a miss, 2 on a stale hit, and says what it found', () => {
      const { a, b, keys } = setUp();
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.NOT_FOUND, ...cost(1, 2, 256) });
      b.insert(keys[0], x100).finish();
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.OK, ...cost(2, 3, 256 + L) });
      expect(a.value).toBe(x100);
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.OK, ...cost(1, 2, 8 + L) });
      expect(run(b.search(keys[0]))).toEqual({ outcome: Outcome.OK, ...cost(1, 2, 8 + L) });
      b.update(keys[0], y300).finish();
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.OK, ...cost(2, 3, 8 + L + M) });
      expect(a.value).toBe(y300);
      b.delete(keys[0]).finish();
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.NOT_FOUND, ...cost(2, 4, 8 + M + 256) });
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.NOT_FOUND, ...cost(1, 2, 256) });
    });

    it('INSERT costs 4, and 3 with one index replica; one more when a fingerprint matches', () => {
      const { a, b, keys } = setUp();
      expect(run(a.insert(keys[0], x100))).toEqual({
        outcome: Outcome.OK,
        ...cost(1 + claim.rtts, rd + 2 + claim.verbs, rd * L + 256 + claim.bytes),
      });
      expect(a.ledger.rtts).toBe(ri === 1 ? 3 : 4);
      expect(run(b.insert(keys[1], y300))).toEqual({
        outcome: Outcome.OK,
        ...cost(2 + claim.rtts, rd + 3 + claim.verbs, rd * M + 256 + L + claim.bytes),
      });
      expect(b.ledger.rtts).toBe(ri === 1 ? 4 : 5);
      expect([a.search(keys[1]).finish(), a.value]).toEqual([Outcome.OK, y300]);
    });

    it('EXISTS costs 2, and a used bit per data replica is reset behind the next request', () => {
      const { a, b, keys } = setUp();
      b.insert(keys[0], y300).finish();
      expect(run(a.insert(keys[0], x100))).toEqual({
        outcome: Outcome.EXISTS,
        ...cost(2, rd + 3, rd * L + 256 + M),
      });
      // The INSERT learnt where the key is.
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.OK, ...cost(1, 2, 8 + M, rd) });
      expect(run(a.search(keys[0]))).toEqual({ outcome: Outcome.OK, ...cost(1, 2, 8 + M) });
    });

    it('UPDATE costs 4 on a hit, and 2 with one index replica; one more on a miss or a stale hit', () => {
      const { a, b, c, keys } = setUp();
      a.insert(keys[0], x100).finish();
      expect(run(a.update(keys[0], y300))).toEqual({
        outcome: Outcome.OK,
        ...cost(1 + swap.rtts, rd + 1 + swap.verbs, rd * M + 8 + swap.bytes),
      });
      expect(a.ledger.rtts).toBe(ri === 1 ? 2 : 4);
      expect(run(c.update(keys[0], x100))).toEqual({
        outcome: Outcome.OK,
        ...cost(2 + swap.rtts, rd + 3 + swap.verbs, rd * L + 256 + M + swap.bytes),
      });
      expect(run(a.update(keys[0], y300))).toEqual({
        outcome: Outcome.OK,
        ...cost(2 + swap.rtts, rd + 2 + swap.verbs, rd * M + 8 + L + swap.bytes),
      });
      expect([b.search(keys[0]).finish(), b.value]).toEqual([Outcome.OK, y300]);
    });

    it('DELETE costs as UPDATE does, with an object of the key alone', () => {
      const { a, b, keys } = setUp();
      a.insert(keys[0], x100).finish();
      expect(run(a.delete(keys[0]))).toEqual({
        outcome: Outcome.OK,
        ...cost(1 + swap.rtts, rd + 1 + swap.verbs, rd * T + 8 + swap.bytes),
      });
      a.insert(keys[0], y300).finish();
      expect(run(b.delete(keys[0]))).toEqual({
        outcome: Outcome.OK,
        ...cost(2 + swap.rtts, rd + 3 + swap.verbs, rd * T + 256 + M + swap.bytes),
      });
      // a still believes in its own slot word: one READ of 8 bytes tells it better.
      expect(run(a.delete(keys[0]))).toEqual({
        outcome: Outcome.NOT_FOUND,
        ...cost(2, rd + 3, rd * T + 8 + 256),
      });
      expect(a.search(keys[0]).finish()).toBe(Outcome.NOT_FOUND);
    });

    it('NOT_FOUND costs 1, one more when a fingerprint matches; the reset rides with the next', () => {
      const { a, b, keys } = setUp();
      expect(run(a.update(keys[0], x100))).toEqual({
        outcome: Outcome.NOT_FOUND,
        ...cost(1, rd + 2, rd * L + 256),
      });
      expect(run(a.delete(keys[0]))).toEqual({
        outcome: Outcome.NOT_FOUND,
        ...cost(1, rd + 2, rd * T + 256, rd),
      });
      b.insert(keys[1], y300).finish();
      expect(run(a.update(keys[0], x100))).toEqual({
        outcome: Outcome.NOT_FOUND,
        ...cost(2, rd + 3, rd * L + 256 + M, rd),
      });
      expect(run(b.search(keys[0]))).toEqual({ outcome: Outcome.NOT_FOUND, ...cost(2, 3, 256 + M) });
    });

    it('put costs an UPDATE when the key is there, else the miss of one before its INSERT', () => {
      const { a, keys } = setUp();
      expect(run(a.put(keys[0], x100))).toEqual({
        outcome: Outcome.OK,
        ...cost(2 + claim.rtts, 2 * (rd + 2) + claim.verbs, 2 * (rd * L + 256) + claim.bytes, rd),
      });
      expect(run(a.put(keys[0], y300))).toEqual({
        outcome: Outcome.OK,
        ...cost(1 + swap.rtts, rd + 1 + swap.verbs, rd * M + 8 + swap.bytes),
      });
      expect([a.search(keys[0]).finish(), a.value]).toEqual([Outcome.OK, y300]);
    });
  });
});

it('without a cache every request costs as a miss', () => {
  const cache = { bytes: 0, keyBytes: 32, threshold: 0.1 };
  const { clients } = poolByHand({ cache, clients: 1 });
  const [a] = clients;
  for (const n of SIZES) a.warm(1, n);
  const rtts = (client: ByHand): number[] => [client.finish(), client.ledger.rtts];
  expect(rtts(a.insert('k', 'x'))).toEqual([Outcome.OK, 4]);
  expect(rtts(a.search('k'))).toEqual([Outcome.OK, 2]);
  expect(rtts(a.update('k', 'y'))).toEqual([Outcome.OK, 5]);
  expect(rtts(a.delete('k'))).toEqual([Outcome.OK, 5]);
});

it('a first object of its class costs two round trips more: the block', () => {
  const { clients } = poolByHand({ clients: 1 });
  expect([clients[0].insert('k', 'x').finish(), clients[0].ledger.rtts]).toEqual([Outcome.OK, 6]);
  expect([clients[0].insert('l', 'x').finish(), clients[0].ledger.rtts]).toEqual([Outcome.OK, 4]);
});
