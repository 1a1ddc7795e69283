/** INSERTs that meet each other: who keeps the key, who gives way, and what it costs. */
import { describe, expect, it } from 'vitest';
import { candidateSlot } from '../index/index.js';
import { isKv, isTomb, LINE_BYTES, LogField, ownerPointer } from '../layout/index.js';
import { type ByHand, bringToSlots, keysAlike, poolByHand, readBy } from './by-hand.js';
import { Outcome } from './index.js';

/** Clients with blocks at hand; `alike` share buckets and fingerprint, `apart` the buckets only. */
function contest(indexReplicas: number, clients = 2) {
  const pool = poolByHand({ indexReplicas, dataReplicas: 2, subtables: 1, groupsPerSubtable: 2, clients });
  for (const client of pool.clients) for (const n of [0, 100]) client.warm(8, n);
  const usedBits = (pointer: number): number[] =>
    [0, 1].map((r) => {
      const byte = new Uint8Array(1);
      const at = pool.view.dataOffset(pointer, r) + LINE_BYTES + LogField.OPERATION;
      pool.nodes.read(pool.view.dataMn(pointer, r), at, byte, 0, 1);
      return byte[0] & 1;
    });
  /** Replicas agree, and exactly `visible` slots of the whole index name a KV. */
  const expectQuiescent = (visible: number): void => {
    let kvs = 0;
    for (let slot = 0; slot < pool.geometry.subtableBytes; slot += 8) {
      if (slot % 64 === 0) continue;
      const primary = pool.slotWord(slot, 0);
      if (isKv(primary)) kvs++;
      for (let r = 1; r < indexReplicas; r++) expect([slot, pool.slotWord(slot, r)]).toEqual([slot, primary]);
    }
    expect(kvs).toBe(visible);
  };
  return {
    ...pool,
    alike: keysAlike(pool.config, 3),
    apart: keysAlike(pool.config, 3, false),
    usedBits,
    expectQuiescent,
  };
}

const cost = ({ ledger }: ByHand): number[] => [ledger.rtts, ledger.polls];
const ended = (client: ByHand): unknown[] => [client.finish(), ...cost(client)];
/** Occupies slots of a client's own candidates, so that INSERTs of one key aim at different slots. */
const ownSlot = (client: ByHand, q: number): number => candidateSlot(client.cx.place, q);

describe.each([2, 3])('two INSERTs of different keys in one slot (%i index replicas)', (ri) => {
  it('the loser takes another slot with the same object: both keys are there', () => {
    const { clients, apart, expectQuiescent } = contest(ri);
    const [a, b] = clients;
    bringToSlots([a], apart[0], [3]);
    bringToSlots([b], apart[1], [3]);
    expect(ended(a)).toEqual([Outcome.OK, 4, 0]);
    const cell = b.cx.cell;
    // B1 and the lost CAS, a poll, then another attempt without a WRITE: 4 round trips.
    expect(ended(b)).toEqual([Outcome.OK, 6, 1]);
    expect([b.cx.cell, b.cx.lostRound, b.ledger.casFailures]).toEqual([cell, true, ri - 1]);
    expect([readBy(a, apart[0]), readBy(a, apart[1])]).toEqual(['from-0', 'from-0']);
    expectQuiescent(2);
  });
});

describe.each([2, 3, 4])('two INSERTs of one key in one slot (%i index replicas)', (ri) => {
  it("the loser reads the winner's object, resets its used bit, and answers EXISTS", () => {
    const { clients, alike, usedBits, expectQuiescent } = contest(ri);
    const [a, b] = clients;
    b.insert(alike[0], 'theirs').step();
    expect(ended(a.insert(alike[0], 'mine'))).toEqual([Outcome.OK, 4, 0]);
    expect(usedBits(b.cx.cell)).toEqual([1, 1]);
    // B1, the lost CAS, a poll, the winner's key, the reset.
    expect(ended(b)).toEqual([Outcome.EXISTS, 4, 1]);
    expect(usedBits(b.cx.cell)).toEqual([0, 0]);
    expect([readBy(a, alike[0]), readBy(b, alike[0])]).toEqual(['mine', 'mine']);
    expectQuiescent(1);
  });

  it('the loser to another key with its fingerprint goes on to another slot', () => {
    const { clients, alike, expectQuiescent } = contest(ri);
    const [a, b] = clients;
    bringToSlots([a], alike[0], [3]);
    bringToSlots([b], alike[1], [3]);
    a.finish();
    // One round trip more: the winner's key is read, and read again as a match of the second attempt.
    expect(ended(b)).toEqual([Outcome.OK, 8, 1]);
    expect([readBy(a, alike[0]), readBy(b, alike[1])]).toEqual(['from-0', 'from-0']);
    expectQuiescent(2);
  });
});

describe('Rules 2 and 3', () => {
  it('cost an INSERT 5 and 6', () => {
    for (const [ri, mine, theirs, rtts] of [
      [4, [0, 1], [2], 5],
      [3, [0], [1], 6],
    ] as const) {
      const { clients, alike, expectQuiescent } = contest(ri);
      // The client of the lesser pointer wins the tie: the second one's blocks lie in a lesser region.
      const [b, a] = clients;
      a.insert(alike[0], 'mine').step();
      b.insert(alike[0], 'theirs').step();
      expect(a.cx.objectPointer).toBeLessThan(b.cx.objectPointer);
      a.execute(mine);
      b.execute(theirs);
      a.execute(theirs)
        .execute([ri - 1, ri])
        .answer();
      b.execute().answer();
      expect(ended(a)).toEqual([Outcome.OK, rtts, 0]);
      expect(b.finish()).toBe(Outcome.EXISTS);
      expect(readBy(b, alike[0])).toBe('mine');
      expectQuiescent(1);
    }
  });
});

describe.each([2, 3])('two INSERTs of one key in two slots (%i index replicas)', (ri) => {
  const [LOW, HIGH] = [2, 20];

  /** Slots in address order: the candidates' order is that of the two buckets, which may lie either way. */
  function aims(client: ByHand, key: string): { low: number; high: number } {
    client.search(key).finish();
    return ownSlot(client, LOW) < ownSlot(client, HIGH) ? { low: LOW, high: HIGH } : { low: HIGH, high: LOW };
  }

  it('one that finds the key visible by then undoes and answers EXISTS: four round trips more', () => {
    for (const isLowFirst of [true, false]) {
      const { clients, alike, usedBits, slotWord, expectQuiescent } = contest(ri);
      const [a, b] = clients;
      const { low, high } = aims(a, alike[0]);
      bringToSlots([a, b], alike[0], isLowFirst ? [low, high] : [high, low]);
      expect(ended(a)).toEqual([Outcome.OK, 4, 0]);
      // B1, B2, the primary with the object of the backup's word, three of the undo.
      expect(ended(b)).toEqual([Outcome.EXISTS, 6, 0]);
      const slot = ownSlot(b, isLowFirst ? high : low);
      for (let r = 0; r < ri; r++) {
        expect([isTomb(slotWord(slot, r)), ownerPointer(slotWord(slot, r))]).toEqual([
          true,
          b.cx.objectPointer,
        ]);
      }
      expect([readBy(a, alike[0]), readBy(b, alike[0])]).toEqual(['from-0', 'from-0']);
      // The tombstone names the object: a clear used bit would let recovery put it on a free list.
      expect(usedBits(ownerPointer(slotWord(slot, 0)))).toEqual([1, 1]);
      expectQuiescent(1);
    }
  });

  it('the higher that saw the lower first undoes, waits for it, and answers EXISTS', () => {
    const { clients, alike, expectQuiescent } = contest(ri);
    const [a, b] = clients;
    const { low, high } = aims(a, alike[0]);
    bringToSlots([a, b], alike[0], [low, high]);
    a.step();
    b.step(2);
    expect(b.cx.write.slot.count).toBe(ri);
    b.step(3);
    for (let i = 0; i < 3; i++) {
      expect([b.batch?.isPoll, b.batch?.count]).toEqual([true, 2]);
      b.step();
    }
    expect(ended(a)).toEqual([Outcome.OK, 4, 0]);
    // B1, B2, check, undo 3; the polls; then a new object: B1 again, and the key's object.
    expect(ended(b)).toEqual([Outcome.EXISTS, 8, 4]);
    expect(readBy(b, alike[0])).toBe('from-0');
    expectQuiescent(1);
  });

  it('the lower that saw the higher waits until the higher has undone itself, then commits', () => {
    const { clients, alike, expectQuiescent } = contest(ri);
    const [a, b] = clients;
    const { low, high } = aims(a, alike[0]);
    bringToSlots([a, b], alike[0], [low, high]);
    // Both propose before either reads, so both see each other.
    const cases = Array.from({ length: ri - 1 }, (_, i) => i);
    a.execute(cases);
    b.execute(cases);
    a.execute([ri - 1, ri]).answer();
    b.execute([ri - 1, ri]).answer();
    a.step();
    for (let i = 0; i < 2; i++) {
      expect([a.batch?.isPoll, a.batch?.count]).toEqual([true, 2]);
      a.step(2);
    }
    b.step(4);
    expect(b.batch?.isPoll).toBe(true);
    expect(a.finish()).toBe(Outcome.OK);
    expect(b.finish()).toBe(Outcome.EXISTS);
    expect([readBy(a, alike[0]), readBy(b, alike[0])]).toEqual(['from-0', 'from-0']);
    expectQuiescent(1);
  });

  it('the lower that finds the higher committed undoes and answers EXISTS', () => {
    const { clients, alike, expectQuiescent } = contest(ri);
    const [a, b] = clients;
    const { low, high } = aims(a, alike[0]);
    bringToSlots([a, b], alike[0], [low, high]);
    b.step();
    a.step(2);
    expect(a.batch?.isPoll).toBe(true);
    expect(ended(b)).toEqual([Outcome.OK, 4, 0]);
    expect(a.finish()).toBe(Outcome.EXISTS);
    expect(readBy(a, alike[0])).toBe('from-1');
    expectQuiescent(1);
  });

  it('neither is visible to a reader before it is decided, and none ever twice', () => {
    const { clients, alike } = contest(ri, 3);
    const [a, b, reader] = clients;
    const { low, high } = aims(a, alike[0]);
    bringToSlots([a, b], alike[0], [low, high]);
    const seen: (string | Outcome)[] = [];
    for (let i = 0; a.batch !== undefined || b.batch !== undefined; i++) {
      const next = i % 2 === 0 ? a : b;
      if (next.batch !== undefined) next.step();
      seen.push(readBy(reader, alike[0]));
    }
    const first = seen.findIndex((s) => s !== Outcome.NOT_FOUND);
    expect(new Set(seen.slice(first)).size).toBe(1);
    expect([a.cx.outcome, b.cx.outcome].sort()).toEqual([Outcome.OK, Outcome.EXISTS]);
  });

  it('one that waits past its deadline has undone itself and ends UNAVAILABLE', () => {
    for (const isLow of [true, false]) {
      const { clients, alike, expectQuiescent } = contest(ri);
      const [a, b] = clients;
      const { low, high } = aims(a, alike[0]);
      bringToSlots([a, b], alike[0], isLow ? [high, low] : [low, high]);
      a.step();
      b.step(3);
      b.cx.write.expired = true;
      expect(b.finish()).toBe(Outcome.UNAVAILABLE);
      b.cx.write.expired = false;
      expect(ended(a)).toEqual([Outcome.OK, 4, 0]);
      expectQuiescent(1);
    }
  });
});

describe('a DELETE in flight', () => {
  it('whose tombstone the check sees makes the INSERT look at the primary: control X4', () => {
    const { clients, alike, expectQuiescent } = contest(3, 3);
    const [a, b, d] = clients;
    a.insert(alike[0], 'old').finish();
    // b found nothing, before a's INSERT; d's DELETE has its backups, the primary still shows the key.
    bringToSlots([b], alike[0], [9]);
    d.delete(alike[0]).step(3);
    expect(b.step().batch?.count).toBe(2);
    // B1, B2, the primary, the object that only the primary names, three of the undo.
    expect(ended(b)).toEqual([Outcome.EXISTS, 7, 0]);
    expect(readBy(a, alike[0])).toBe('old');
    expect(d.finish()).toBe(Outcome.OK);
    expectQuiescent(0);
  });

  it('of another key with the fingerprint costs the INSERT one round trip', () => {
    const { clients, alike, expectQuiescent } = contest(3, 3);
    const [a, b, d] = clients;
    a.insert(alike[1], 'old').finish();
    b.insert(alike[0], 'new').step(2);
    d.delete(alike[1]).step(3);
    // B1, match, B2, the primary, log commit, primary.
    expect(ended(b)).toEqual([Outcome.OK, 6, 0]);
    d.finish();
    expect([readBy(a, alike[0]), readBy(a, alike[1])]).toEqual(['new', Outcome.NOT_FOUND]);
    expectQuiescent(1);
  });
});

describe('another key of the same fingerprint, inserted meanwhile', () => {
  it('costs one round trip: the primary and its object are read together', () => {
    const { clients, alike, expectQuiescent } = contest(3);
    const [a, b] = clients;
    bringToSlots([b], alike[1], [9]);
    expect(ended(a.insert(alike[0], 'mine'))).toEqual([Outcome.OK, 4, 0]);
    b.step();
    expect(b.batch?.count).toBe(3);
    expect(ended(b)).toEqual([Outcome.OK, 5, 0]);
    expectQuiescent(2);
  });
});
