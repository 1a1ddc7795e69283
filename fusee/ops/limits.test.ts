/** Requests that cannot be served: no vacancy, no memory, no answer. */
import { describe, expect, it } from 'vitest';
import { isKv, makeSlot } from '../layout/index.js';
import { word } from '../verbs/index.js';
import { type ByHand, keysAlike, poolByHand } from './by-hand.js';
import { Outcome } from './index.js';

const read = (client: ByHand, key: string): string | Outcome => {
  const outcome = client.search(key).finish();
  return outcome === Outcome.OK ? client.value : outcome;
};

describe.each([1, 3])('a key whose 28 candidates are taken (%i index replicas)', (indexReplicas) => {
  function full() {
    const pool = poolByHand({ indexReplicas, subtables: 1, groupsPerSubtable: 2, clients: 1 });
    const [a] = pool.clients;
    const keys = keysAlike(pool.config, 29, false);
    for (const key of keys.slice(0, 28)) expect(a.insert(key, 'x').finish()).toBe(Outcome.OK);
    return { ...pool, a, keys };
  }

  it('is refused with INDEX_FULL by INSERT and put, without effect on the others', () => {
    const { a, keys, geometry, slotWord } = full();
    let kvs = 0;
    for (let slot = 0; slot < geometry.subtableBytes; slot += 8) {
      if (slot % 64 !== 0 && isKv(slotWord(slot, 0))) kvs++;
    }
    expect(kvs).toBe(28);
    expect(a.insert(keys[28], 'y').finish()).toBe(Outcome.INDEX_FULL);
    expect(a.put(keys[28], 'y').finish()).toBe(Outcome.INDEX_FULL);
    expect(a.search(keys[28]).finish()).toBe(Outcome.NOT_FOUND);
    for (const key of keys.slice(0, 28)) expect(read(a, key)).toBe('x');
  });

  it("costs one round trip; its cell is handed back, and is the next object's", () => {
    const { a, keys, nodes, view } = full();
    expect([a.insert(keys[28], 'y').finish(), a.ledger.rtts]).toEqual([Outcome.INDEX_FULL, 1]);
    const { cell } = a.cx;
    const usedBit = (): number => {
      const byte = new Uint8Array(1);
      nodes.read(view.dataMn(cell, 1), view.dataOffset(cell, 1) + 63, byte, 0, 1);
      return byte[0];
    };
    expect(usedBit()).toBe(3);
    for (let i = 0; i < 3; i++) {
      expect(a.insert(keys[28], 'y').finish()).toBe(Outcome.INDEX_FULL);
      expect([a.cx.cell, a.ledger.backgroundVerbs]).toEqual([cell, 2]);
    }
    a.update(keys[0], 'z');
    // The reset rides ahead of the object that comes to the same cell.
    a.execute([0, 1]);
    expect(usedBit()).toBe(2);
    a.execute([2, 3]);
    expect(usedBit()).toBe((2 << 1) | 1);
    expect([a.execute().answer().finish(), a.cx.cell, read(a, keys[0])]).toEqual([Outcome.OK, cell, 'z']);
  });

  it('has room again after a DELETE, and the tombstone is overwritten', () => {
    const { a, keys } = full();
    expect(a.delete(keys[13]).finish()).toBe(Outcome.OK);
    expect([a.insert(keys[28], 'y').finish(), read(a, keys[28])]).toEqual([Outcome.OK, 'y']);
    expect([a.insert(keys[13], 'y').finish(), read(a, keys[13])]).toEqual([
      Outcome.INDEX_FULL,
      Outcome.NOT_FOUND,
    ]);
  });

  it('that exists is still EXISTS, and can be updated', () => {
    const { a, keys } = full();
    expect(a.insert(keys[5], 'y').finish()).toBe(Outcome.EXISTS);
    expect([a.put(keys[5], 'y').finish(), read(a, keys[5])]).toEqual([Outcome.OK, 'y']);
  });
});

describe('when every block is taken', () => {
  it('what needs one answers NO_MEMORY without effect; what needs none goes on', () => {
    const { clients, geometry } = poolByHand({
      nodes: 2,
      indexReplicas: 2,
      regionsPerNode: 1,
      regionBytes: 1 << 17,
      groupsPerSubtable: 64,
      clients: 1,
    });
    const [a] = clients;
    const big = 'x'.repeat(16000);
    const stored: string[] = [];
    let outcome: Outcome = Outcome.OK;
    for (let i = 0; outcome === Outcome.OK; i++) {
      outcome = a.insert(`key-${i}`, big).finish();
      if (outcome === Outcome.OK) stored.push(`key-${i}`);
    }
    expect(outcome).toBe(Outcome.NO_MEMORY);
    // All cells but the last, which would need a successor.
    const blocks = 2 * geometry.blocksPerRegion;
    expect(stored.length).toBe(blocks * geometry.cellsPerBlock(a.cx.sizeClass) - 1);
    expect([
      a.update(stored[0], big).finish(),
      a.put(stored[0], big).finish(),
      a.put('new', big).finish(),
    ]).toEqual(new Array(3).fill(Outcome.NO_MEMORY));
    expect([a.delete(stored[0]).finish(), a.update(stored[0], 'x').finish()]).toEqual(
      new Array(2).fill(Outcome.NO_MEMORY),
    );
    for (const key of stored) expect(read(a, key) === big).toBe(true);
    expect(a.search('new').finish()).toBe(Outcome.NOT_FOUND);
  });

  it('INSERTs and UPDATEs that changed nothing do not use any up', () => {
    const { clients, geometry } = poolByHand({
      nodes: 3,
      regionsPerNode: 1,
      regionBytes: 1 << 16,
      clients: 1,
    });
    const [a] = clients;
    const big = 'x'.repeat(16000);
    a.insert('k', big).finish();
    for (let i = 0; i < 20; i++) {
      expect(a.insert('k', big).finish()).toBe(Outcome.EXISTS);
      expect(a.update('absent', big).finish()).toBe(Outcome.NOT_FOUND);
    }
    expect(geometry.blocksPerRegion).toBe(1);
    expect([a.cx.client.slab.blocks, a.cx.client.slab.cellsUsed]).toEqual([1, 2]);
    expect(read(a, 'k') === big).toBe(true);
  });
});

describe('when a node is dead', () => {
  /** A stored key. The index lies on nodes 0 to 2, objects of the three clients on 3 to 6. */
  function stored(indexReplicas = 3) {
    const pool = poolByHand({ nodes: 8, indexReplicas, subtables: 1, clients: 0 });
    const clients = [3, 4, 5].map((cid) => pool.client(cid).warm(1, 5));
    const [a, b] = clients;
    a.insert('k', 'value').finish();
    b.search('k').finish();
    const slot = a.cx.write.slot.offsetBytes[0] - pool.view.slotOffset(0);
    return { ...pool, clients, a, b, slot };
  }

  it('that has the index primary, every request is UNAVAILABLE', () => {
    for (const isHit of [true, false]) {
      for (const kind of ['search', 'insert', 'update', 'delete', 'put'] as const) {
        const { b, clients, nodes } = stored();
        nodes.kill(0);
        const client = isHit ? b : clients[2];
        expect({ kind, outcome: client[kind]('k', 'other').finish() }).toEqual({
          kind,
          outcome: Outcome.UNAVAILABLE,
        });
      }
    }
  });

  it('that has an index backup, SEARCH goes on, writers are UNAVAILABLE and show nothing', () => {
    for (const dead of [1, 2]) {
      for (const kind of ['insert', 'update', 'delete', 'put'] as const) {
        const { b, clients, nodes, slot, slotWord } = stored();
        const before = slotWord(slot, 0);
        nodes.kill(dead);
        expect(b.search('k').finish()).toBe(Outcome.OK);
        expect(clients[2].search('k').finish()).toBe(Outcome.OK);
        const outcome = b[kind](kind === 'insert' ? 'new' : 'k', 'other').finish();
        expect({ kind, outcome }).toEqual({ kind, outcome: Outcome.UNAVAILABLE });
        expect(slotWord(slot, 0)).toEqual(before);
        expect(clients[2].search('new').finish()).toBe(Outcome.NOT_FOUND);
      }
    }
  });

  it('that has a data replica, writers to it are UNAVAILABLE before they change a slot', () => {
    for (const replica of [0, 1]) {
      for (const kind of ['insert', 'update', 'delete'] as const) {
        const { b, nodes, view, slot, slotWord } = stored();
        const before = [0, 1, 2].map((r) => slotWord(slot, r));
        b[kind](kind === 'insert' ? 'new' : 'k', 'other');
        nodes.kill(view.dataMn(b.cx.cell, replica));
        expect({ kind, outcome: b.finish() }).toEqual({ kind, outcome: Outcome.UNAVAILABLE });
        expect([0, 1, 2].map((r) => slotWord(slot, r))).toEqual(before);
      }
    }
  });

  it('that has a data replica, the primary does not move before every log is committed', () => {
    for (const replica of [0, 1]) {
      const { b, nodes, view, slot, slotWord } = stored();
      const before = slotWord(slot, 0);
      b.update('k', 'first').step(2);
      nodes.kill(view.dataMn(b.cx.cell, replica));
      expect(b.finish()).toBe(Outcome.UNAVAILABLE);
      expect(slotWord(slot, 0)).toEqual(before);
    }
  });

  it("that has the object's primary replica, SEARCH is UNAVAILABLE, hit or miss, and never NOT_FOUND", () => {
    const { b, clients, nodes } = stored();
    nodes.kill(3);
    expect([b.search('k').finish(), clients[2].search('k').finish()]).toEqual(
      new Array(2).fill(Outcome.UNAVAILABLE),
    );
  });

  it('with one index replica, a silent slot is UNAVAILABLE at every round trip', () => {
    for (const [kind, rtts] of [
      ['insert', 3],
      ['update', 2],
      ['delete', 2],
    ] as const) {
      for (let steps = 0; steps < rtts; steps++) {
        const { b, nodes } = stored(1);
        for (const n of [0, 5]) b.warm(1, n);
        b[kind](kind === 'insert' ? 'new' : 'k', 'other').step(steps);
        nodes.kill(0);
        expect({ kind, steps, outcome: b.finish() }).toEqual({ kind, steps, outcome: Outcome.UNAVAILABLE });
      }
    }
  });

  it('no cell of a request without an answer is used again: its object may have landed', () => {
    const { b, nodes } = stored();
    b.insert('new', 'x').step();
    const { cell } = b.cx;
    nodes.kill(1);
    expect(b.finish()).toBe(Outcome.UNAVAILABLE);
    b.insert('other', 'x');
    expect(b.cx.cell).not.toBe(cell);
  });
});

describe('a slot that a split has moved', () => {
  it('is no vacancy and no match', () => {
    const pool = poolByHand({ indexReplicas: 1, subtables: 1, groupsPerSubtable: 2, clients: 1 });
    const [a] = pool.clients;
    const [key] = keysAlike(pool.config, 1);
    a.insert(key, 'x').finish();
    const moved = makeSlot(word(), 4096 + 2, 1, a.cx.place.fingerprint);
    for (let slot = 0; slot < pool.geometry.subtableBytes; slot += 8) {
      if (slot % 64 !== 0)
        pool.nodes.store(pool.view.slotMn(slot, 0), pool.view.slotOffset(slot), moved.lo, moved.hi);
    }
    expect(a.search(key).finish()).toBe(Outcome.NOT_FOUND);
    expect(a.insert(key, 'y').finish()).toBe(Outcome.INDEX_FULL);
  });
});
