/** UPDATE and DELETE that meet other writers: who wins, what losers answer, and what it costs. */

import { describe, expect, it } from 'vitest';
import { keyMemory } from '../index/index.js';
import { isTomb, LINE_BYTES, LogField, ownerPointer } from '../layout/index.js';
import { Verdict } from '../replication/index.js';
import { word } from '../verbs/index.js';
import { type ByHand, keysAlike, poolByHand } from './by-hand.js';
import { Outcome } from './index.js';

/** Clients that all have the key cached, with blocks at hand. */
function contest(indexReplicas: number, clients = 2) {
  const pool = poolByHand({ indexReplicas, dataReplicas: 2, subtables: 1, groupsPerSubtable: 2, clients });
  const keys = keysAlike(pool.config, 2);
  for (const client of pool.clients) for (const n of [0, 100]) client.warm(8, n);
  pool.clients[0].insert(keys[0], 'old').finish();
  for (const client of pool.clients) client.search(keys[0]).finish();
  const { slot } = pool.clients[0].cx.client.cache;
  const replicas = (): unknown[] => Array.from({ length: indexReplicas }, (_, r) => pool.slotWord(slot, r));
  const usedBit = (cell: number, r: number): number => {
    const byte = new Uint8Array(1);
    const at = pool.view.dataOffset(cell, r) + LINE_BYTES + LogField.OPERATION;
    pool.nodes.read(pool.view.dataMn(cell, r), at, byte, 0, 1);
    return byte[0] & 1;
  };
  return { ...pool, keys, slot, replicas, usedBits: (cell: number) => [usedBit(cell, 0), usedBit(cell, 1)] };
}

const cost = ({ ledger }: ByHand): number[] => [ledger.rtts, ledger.polls];
const read = (client: ByHand, key: string): string | Outcome => {
  const outcome = client.search(key).finish();
  return outcome === Outcome.OK ? client.value : outcome;
};

describe('an UPDATE', () => {
  it('that wins by Rule 1 leaves the loser its write, its CAS, its polls and its reset', () => {
    const { clients, keys, replicas, usedBits } = contest(3);
    const [a, b] = clients;
    b.update(keys[0], 'theirs').step();
    expect(a.update(keys[0], 'mine').finish()).toBe(Outcome.OK);
    expect(cost(a)).toEqual([4, 0]);
    expect(usedBits(b.cx.cell)).toEqual([1, 1]);
    expect(b.step(2).batch?.isPoll).toBe(false);
    // The answer waits for the reset: recovery would take the object for one in flight.
    b.execute();
    expect(usedBits(b.cx.cell)).toEqual([0, 0]);
    b.answer();
    expect([b.batch, b.cx.outcome, b.cx.lostRound]).toEqual([undefined, Outcome.OK, true]);
    expect(cost(b)).toEqual([3, 1]);
    expect(b.ledger.casFailures).toBe(2);
    expect([read(a, keys[0]), read(b, keys[0])]).toEqual(['mine', 'mine']);
    expect(new Set(replicas().map((w) => JSON.stringify(w))).size).toBe(1);
    expect(usedBits(a.cx.cell)).toEqual([1, 1]);
  });

  it('costs 5 by Rule 2, with three backups of which it has two', () => {
    const { clients, keys } = contest(4);
    const [a, b] = clients;
    a.update(keys[0], 'mine').step().execute([0, 1]);
    b.update(keys[0], 'theirs').step().execute([2]);
    a.execute([2]).answer();
    b.execute([0, 1]).answer();
    expect(a.finish()).toBe(Outcome.OK);
    expect([cost(a), a.cx.write.verdict]).toEqual([[5, 0], Verdict.RULE_2]);
    expect(b.finish()).toBe(Outcome.OK);
    expect([cost(b), read(b, keys[0])]).toEqual([[3, 1], 'mine']);
  });

  it('costs 6 by Rule 3; the larger pointer loses after one round trip more', () => {
    const { clients, keys } = contest(3);
    const [a, b] = clients;
    a.update(keys[0], 'mine').step().execute([0]);
    b.update(keys[0], 'theirs').step().execute([1]);
    const isAFirst = a.cx.objectPointer < b.cx.objectPointer;
    a.execute([1]).answer();
    b.execute([0]).answer();
    const [winner, loser] = isAFirst ? [a, b] : [b, a];
    loser.step();
    expect(winner.finish()).toBe(Outcome.OK);
    expect([cost(winner), winner.cx.write.verdict]).toEqual([[6, 0], Verdict.RULE_3]);
    expect(loser.finish()).toBe(Outcome.OK);
    expect(cost(loser)).toEqual([4, 1]);
    expect(read(a, keys[0])).toBe(isAFirst ? 'mine' : 'theirs');
  });

  it('with one index replica loses by its CAS: two round trips and the reset', () => {
    const { clients, keys, usedBits } = contest(1);
    const [a, b] = clients;
    b.update(keys[0], 'theirs').step();
    expect(a.update(keys[0], 'mine').finish()).toBe(Outcome.OK);
    expect([b.finish(), cost(b), b.cx.lostRound]).toEqual([Outcome.OK, [3, 0], true]);
    expect([read(b, keys[0]), usedBits(b.cx.cell)]).toEqual(['mine', [0, 0]]);
  });

  it.each([1, 3])('that lost to a DELETE is done, and the key stays away (%i index replicas)', (ri) => {
    const { clients, keys } = contest(ri);
    const [a, b] = clients;
    b.update(keys[0], 'theirs').step();
    expect(a.delete(keys[0]).finish()).toBe(Outcome.OK);
    expect([b.finish(), read(b, keys[0]), read(a, keys[0])]).toEqual([
      Outcome.OK,
      Outcome.NOT_FOUND,
      Outcome.NOT_FOUND,
    ]);
  });

  it.each([1, 3])(
    'that lost its slot does not take the new owner for its key: another key survives (%i index replicas)',
    (ri) => {
      const { clients, keys, slot } = contest(ri, 3);
      const [a, b, c] = clients;
      b.update(keys[0], 'theirs').step();
      a.delete(keys[0]).finish();
      expect(c.insert(keys[1], 'other').finish()).toBe(Outcome.OK);
      expect(c.cx.client.cache.lookup(c.cx.place, keyMemory(Buffer.from(keys[1])), 0, 8, word())).toBe(true);
      // Only where the other key took the very slot does the trap close.
      expect(c.cx.client.cache.slot).toBe(slot);
      expect(b.finish()).toBe(Outcome.OK);
      expect(b.update(keys[0], 'again').finish()).toBe(Outcome.NOT_FOUND);
      expect(b.search(keys[0]).finish()).toBe(Outcome.NOT_FOUND);
      expect(read(c, keys[1])).toBe('other');
      expect(read(b, keys[1])).toBe('other');
    },
  );

  it('never expects the cached word: what it replaces is what it read (hazard H6)', () => {
    const { clients, keys } = contest(3);
    const [a, b] = clients;
    for (let i = 0; i < 3; i++) {
      expect(a.update(keys[0], `a${i}`).finish()).toBe(Outcome.OK);
      expect(b.update(keys[0], `b${i}`).finish()).toBe(Outcome.OK);
      expect([b.cx.lostRound, read(a, keys[0])]).toEqual([false, `b${i}`]);
    }
  });
});

describe('a DELETE', () => {
  it('leaves a tombstone that names its own log object, on every replica', () => {
    const { clients, keys, slot, slotWord } = contest(3);
    const [a] = clients;
    a.delete(keys[0]).finish();
    for (let r = 0; r < 3; r++) {
      const w = slotWord(slot, r);
      expect([isTomb(w), ownerPointer(w), w.lo & 255]).toEqual([
        true,
        a.cx.objectPointer,
        a.cx.place.fingerprint,
      ]);
    }
  });

  it.each([
    [1, [4, 0]],
    [3, [6, 1]],
  ])('that lost to an UPDATE goes again on the new value (%i index replicas, cost %j)', (ri, expected) => {
    const { clients, keys } = contest(ri);
    const [a, b] = clients;
    b.delete(keys[0]).step();
    expect(a.update(keys[0], 'x'.repeat(100)).finish()).toBe(Outcome.OK);
    expect(b.finish()).toBe(Outcome.OK);
    // B1, the lost CAS, the key check, then the round again. With backups a log commit and the primary's CAS.
    expect(cost(b)).toEqual(expected);
    expect([read(a, keys[0]), read(b, keys[0])]).toEqual([Outcome.NOT_FOUND, Outcome.NOT_FOUND]);
  });

  it.each([1, 2, 3])('that lost to a DELETE answers NOT_FOUND after its reset (%i index replicas)', (ri) => {
    const { clients, keys, usedBits } = contest(ri);
    const [a, b] = clients;
    b.delete(keys[0]).step();
    expect(a.delete(keys[0]).finish()).toBe(Outcome.OK);
    expect(b.finish()).toBe(Outcome.NOT_FOUND);
    expect(cost(b)).toEqual(ri === 1 ? [3, 0] : [3, 1]);
    expect([usedBits(b.cx.cell), usedBits(a.cx.cell)]).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });

  it.each([1, 3])(
    'that lost to another key with its fingerprint answers NOT_FOUND (%i index replicas)',
    (ri) => {
      const { clients, keys } = contest(ri, 3);
      const [a, b, c] = clients;
      b.delete(keys[0]).step();
      a.delete(keys[0]).finish();
      c.insert(keys[1], 'other').finish();
      expect(b.finish()).toBe(Outcome.NOT_FOUND);
      // One round trip more: the key check.
      expect(cost(b)).toEqual(ri === 1 ? [4, 0] : [4, 1]);
      expect(read(c, keys[1])).toBe('other');
    },
  );

  it.each([1, 3])('that lost to a DELETE and a new INSERT goes again (%i index replicas)', (ri) => {
    const { clients, keys } = contest(ri, 3);
    const [a, b, c] = clients;
    b.delete(keys[0]).step();
    a.delete(keys[0]).finish();
    expect(c.insert(keys[0], 'back').finish()).toBe(Outcome.OK);
    expect([b.finish(), b.cx.lostRound, read(a, keys[0])]).toEqual([Outcome.OK, true, Outcome.NOT_FOUND]);
  });
});

describe('a loser whose deadline passes', () => {
  it.each(['update', 'delete'] as const)('ends %s UNAVAILABLE while the winner is silent', (kind) => {
    const { clients, keys } = contest(3);
    const [a, b] = clients;
    a.update(keys[0], 'mine').step(2);
    b[kind](keys[0], 'theirs').step(3);
    expect(b.batch?.isPoll).toBe(true);
    b.cx.write.expired = true;
    b.step();
    expect([b.batch, b.cx.outcome]).toEqual([undefined, Outcome.UNAVAILABLE]);
    expect(a.finish()).toBe(Outcome.OK);
    b.cx.write.expired = false;
    expect(b.update(keys[0], 'next').finish()).toBe(Outcome.OK);
    expect(read(a, keys[0])).toBe('next');
  });

  it('ends a DELETE that would go again UNAVAILABLE', () => {
    const { clients, keys } = contest(1);
    const [a, b] = clients;
    b.delete(keys[0]).step();
    a.update(keys[0], 'mine').finish();
    b.cx.write.expired = true;
    expect([b.finish(), read(a, keys[0])]).toEqual([Outcome.UNAVAILABLE, 'mine']);
  });
});

describe('a hit whose slot now names another key', () => {
  it.each(['update', 'delete'] as const)('makes %s look in the buckets, and answer NOT_FOUND', (kind) => {
    const { clients, keys } = contest(3);
    const [a, b] = clients;
    a.delete(keys[0]).finish();
    a.insert(keys[1], 'other').finish();
    expect(b[kind](keys[0], 'x').finish()).toBe(Outcome.NOT_FOUND);
    // The slot, the object that it names now, the buckets, and that object again as a match.
    expect([cost(b), read(b, keys[1])]).toEqual([[4, 0], 'other']);
  });
});
