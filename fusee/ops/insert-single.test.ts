/** INSERTs that meet each other in an index with one replica: tentative words, undo and waiting. */
import { describe, expect, it } from 'vitest';
import { candidateSlot } from '../index/index.js';
import { isKv, isTent, isTomb, ownerPointer } from '../layout/index.js';
import { type ByHand, bringToSlots, keysAlike, poolByHand, readBy } from './by-hand.js';
import { Outcome } from './index.js';

function contest(clients = 2) {
  const pool = poolByHand({ indexReplicas: 1, dataReplicas: 2, subtables: 1, groupsPerSubtable: 2, clients });
  for (const client of pool.clients) client.warm(8, 6);
  const kvs = (): number => {
    let count = 0;
    for (let slot = 0; slot < pool.geometry.subtableBytes; slot += 8) {
      if (slot % 64 === 0) continue;
      if (isTent(pool.slotWord(slot, 0))) expect(slot).toBe('not tentative at rest');
      if (isKv(pool.slotWord(slot, 0))) count++;
    }
    return count;
  };
  return { ...pool, kvs, keys: keysAlike(pool.config, 3), apart: keysAlike(pool.config, 2, false) };
}

const ended = (client: ByHand): unknown[] => [client.finish(), client.ledger.rtts, client.ledger.polls];
/** Candidates 2 and 20 in the order of their slots' addresses. */
function aims(client: ByHand, key: string): { low: number; high: number } {
  client.search(key).finish();
  const slot = (q: number): number => candidateSlot(client.cx.place, q);
  return slot(2) < slot(20) ? { low: 2, high: 20 } : { low: 20, high: 2 };
}

describe('an INSERT in an index with one replica', () => {
  it('is tentative, and to no reader visible, until its check was clean', () => {
    const { clients, keys, slotWord } = contest(3);
    const [a, b, reader] = clients;
    a.insert(keys[0], 'mine').step();
    const slot = a.cx.write.slot.offsetBytes[0] - a.cx.client.view.slotOffset(0);
    a.execute([0]);
    const tentative = slotWord(slot, 0);
    expect([isTent(tentative), ownerPointer(tentative)]).toEqual([true, a.cx.objectPointer]);
    expect([readBy(reader, keys[0]), b.update(keys[0], 'x').finish(), b.delete(keys[0]).finish()]).toEqual(
      new Array(3).fill(Outcome.NOT_FOUND),
    );
    a.execute([1, 2]).answer();
    expect(readBy(reader, keys[0])).toBe(Outcome.NOT_FOUND);
    expect([a.finish(), readBy(reader, keys[0]), isKv(slotWord(slot, 0))]).toEqual([
      Outcome.OK,
      'mine',
      true,
    ]);
  });

  it('that lost its slot to another key takes another one, with the same object', () => {
    const { clients, apart, kvs } = contest();
    const [a, b] = clients;
    bringToSlots([a], apart[0], [3]);
    bringToSlots([b], apart[1], [3]);
    expect(ended(a)).toEqual([Outcome.OK, 3, 0]);
    const { cell } = b.cx;
    expect(ended(b)).toEqual([Outcome.OK, 5, 0]);
    expect([b.cx.cell, b.cx.lostRound, kvs()]).toEqual([cell, true, 2]);
  });

  it('that lost its slot to its own key answers EXISTS after its reset', () => {
    const { clients, keys, kvs } = contest();
    const [a, b] = clients;
    b.insert(keys[0], 'theirs').step();
    expect(ended(a.insert(keys[0], 'mine'))).toEqual([Outcome.OK, 3, 0]);
    // B1, the lost CAS, B1 and the match, the reset.
    expect(ended(b)).toEqual([Outcome.EXISTS, 5, 0]);
    expect([readBy(b, keys[0]), kvs()]).toEqual(['mine', 1]);
  });

  it('that finds its key visible undoes and answers EXISTS: two round trips more', () => {
    for (const isLowFirst of [true, false]) {
      const { clients, keys, slotWord, kvs } = contest();
      const [a, b] = clients;
      const { low, high } = aims(a, keys[0]);
      bringToSlots([a, b], keys[0], isLowFirst ? [low, high] : [high, low]);
      expect(ended(a)).toEqual([Outcome.OK, 3, 0]);
      expect(ended(b)).toEqual([Outcome.EXISTS, 4, 0]);
      const left = slotWord(candidateSlot(b.cx.place, isLowFirst ? high : low), 0);
      expect([isTomb(left), ownerPointer(left), kvs()]).toEqual([true, b.cx.objectPointer, 1]);
      expect(readBy(b, keys[0])).toBe('from-0');
    }
  });

  it('that sees a tentative rival below undoes and waits for it, then looks again', () => {
    const { clients, keys, kvs } = contest();
    const [a, b] = clients;
    const { low, high } = aims(a, keys[0]);
    bringToSlots([a, b], keys[0], [low, high]);
    a.step();
    b.step(3);
    for (let i = 0; i < 3; i++) {
      expect([b.batch?.isPoll, b.batch?.count]).toEqual([true, 1]);
      b.step();
    }
    expect(ended(a)).toEqual([Outcome.OK, 3, 0]);
    expect(ended(b)).toEqual([Outcome.EXISTS, 6, 4]);
    expect([readBy(a, keys[0]), kvs()]).toEqual(['from-0', 1]);
  });

  it('that sees a tentative rival above waits until it has given way, then goes on', () => {
    const { clients, keys, kvs } = contest();
    const [a, b] = clients;
    const { low, high } = aims(a, keys[0]);
    bringToSlots([a, b], keys[0], [low, high]);
    a.execute([0]);
    b.execute([0]);
    a.execute([1, 2]).answer();
    b.execute([1, 2]).answer();
    a.step();
    for (let i = 0; i < 3; i++) {
      expect([a.batch?.isPoll, a.batch?.count]).toEqual([true, 2]);
      a.step();
    }
    b.step(2);
    expect(b.batch?.isPoll).toBe(true);
    expect(a.finish()).toBe(Outcome.OK);
    expect(b.finish()).toBe(Outcome.EXISTS);
    expect([readBy(b, keys[0]), kvs()]).toEqual(['from-0', 1]);
  });

  it('that sees a rival above which commits first undoes and answers EXISTS', () => {
    const { clients, keys, kvs } = contest();
    const [a, b] = clients;
    const { low, high } = aims(a, keys[0]);
    bringToSlots([a, b], keys[0], [low, high]);
    b.step();
    a.step(2);
    expect(a.batch?.isPoll).toBe(true);
    expect(ended(b)).toEqual([Outcome.OK, 3, 0]);
    expect(a.finish()).toBe(Outcome.EXISTS);
    expect([readBy(a, keys[0]), kvs()]).toEqual(['from-1', 1]);
  });

  it('whose deadline passes while it waits has undone itself and ends UNAVAILABLE', () => {
    for (const isLow of [true, false]) {
      const { clients, keys, kvs } = contest();
      const [a, b] = clients;
      const { low, high } = aims(a, keys[0]);
      bringToSlots([a, b], keys[0], isLow ? [high, low] : [low, high]);
      a.step();
      b.step(2);
      b.cx.write.expired = true;
      expect(b.finish()).toBe(Outcome.UNAVAILABLE);
      expect(ended(a)).toEqual([Outcome.OK, 3, 0]);
      expect([kvs(), readBy(a, keys[0])]).toEqual([1, 'from-0']);
    }
  });

  it('is not held up by a tentative rival of another key with its fingerprint', () => {
    const { clients, keys, kvs } = contest();
    const [a, b] = clients;
    const { low, high } = aims(a, keys[0]);
    bringToSlots([a], keys[0], [low]);
    bringToSlots([b], keys[1], [high]);
    a.step();
    // B1, B2, the rival's object, the CAS.
    expect(ended(b)).toEqual([Outcome.OK, 4, 0]);
    expect(a.finish()).toBe(Outcome.OK);
    expect(kvs()).toBe(2);
  });
});
