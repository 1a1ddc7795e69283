import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorruptionError } from '../verbs/index.js';
import { Ring, Thing } from './ring.js';

const idsBelow = (nodes: number): number[] => Array.from({ length: nodes }, (_, id) => id);

interface Size {
  readonly count: number;
  readonly replicas: number;
}

const place = (ids: readonly number[], size: Size): Uint8Array => new Ring(ids).place(Thing.REGION, size);

/** How many entries of `nodes` name each of `ids`. */
const countsOf = (nodes: Uint8Array, ids: readonly number[]): number[] =>
  ids.map((id) => nodes.reduce((sum, node) => sum + Number(node === id), 0));

const primariesOf = (placed: Uint8Array, { replicas }: Size): Uint8Array =>
  placed.filter((_, i) => i % replicas === 0);

/** Replicas on nodes that held none of their thing before: bytes that must be copied. */
function movedOf(before: Uint8Array, after: Uint8Array, { count, replicas }: Size): number {
  let moved = 0;
  for (let thing = 0; thing < count; thing++) {
    const held = before.subarray(thing * replicas, (thing + 1) * replicas);
    for (const node of after.subarray(thing * replicas, (thing + 1) * replicas))
      if (!held.includes(node)) moved++;
  }
  return moved;
}

const pools = fc
  .record({
    ids: fc.uniqueArray(fc.nat(255), { minLength: 1, maxLength: 64 }),
    count: fc.integer({ min: 1, max: 200 }),
    replicas: fc.nat(7),
    kind: fc.constantFrom(Thing.REGION, Thing.SUBTABLE),
  })
  .map((pool) => ({ ...pool, replicas: 1 + (pool.replicas % pool.ids.length) }));

describe('a ring', () => {
  it('is the same everywhere and for ever: these places are part of the layout', () => {
    const text = (ids: number[], kind: Thing, size: Size): string =>
      new Ring(ids).place(kind, size).join(' ');
    expect(text([0], Thing.REGION, { count: 4, replicas: 1 })).toBe('0 0 0 0');
    expect(text([0, 1, 2], Thing.REGION, { count: 6, replicas: 2 })).toBe('2 1 1 0 2 1 0 2 0 2 1 0');
    expect(text([0, 1, 2], Thing.SUBTABLE, { count: 6, replicas: 2 })).toBe('2 0 2 1 0 1 0 2 1 0 1 2');
    expect(text([0, 1, 2, 3, 4], Thing.REGION, { count: 5, replicas: 3 })).toBe(
      '2 1 3 4 1 0 3 2 0 0 4 3 1 2 4',
    );
    expect(text([200, 7, 31], Thing.SUBTABLE, { count: 4, replicas: 3 })).toBe(
      '200 7 31 31 7 200 7 31 200 7 31 200',
    );
  });

  it('depends on which nodes there are, not on their order', () => {
    fc.assert(
      fc.property(pools, ({ ids, kind, ...size }) => {
        const placed = new Ring(ids).place(kind, size);
        expect(new Ring(ids.toReversed()).place(kind, size)).toEqual(placed);
      }),
    );
  });

  it('gives every thing different nodes of the pool, and every node its share, to within one', () => {
    fc.assert(
      fc.property(pools, ({ ids, kind, ...size }) => {
        const placed = new Ring(ids).place(kind, size);
        for (let thing = 0; thing < size.count; thing++) {
          const nodes = placed.subarray(thing * size.replicas, (thing + 1) * size.replicas);
          expect(new Set(nodes).size).toBe(size.replicas);
        }
        for (const nodes of [placed, primariesOf(placed, size)]) {
          const counts = countsOf(nodes, ids);
          expect(counts.reduce((sum, n) => sum + n)).toBe(nodes.length);
          expect(Math.min(...counts)).toBe(Math.floor(nodes.length / ids.length));
          expect(Math.max(...counts)).toBe(Math.ceil(nodes.length / ids.length));
        }
      }),
    );
  });

  it('fills all shares whenever there is a node for each replica, down to the last place', () => {
    for (let nodes = 1; nodes <= 8; nodes++) {
      for (let replicas = 1; replicas <= nodes; replicas++) {
        for (let count = 1; count <= 3 * nodes; count++) {
          const counts = countsOf(place(idsBelow(nodes), { count, replicas }), idsBelow(nodes));
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
      }
    }
  });

  it.each([2, 3, 5, 8, 16, 33, 64])('is as even on %i nodes as whole numbers can be', (nodes) => {
    for (const count of [10, 30, 100, 300, 1000]) {
      const size = { count, replicas: Math.min(3, nodes) };
      const placed = place(idsBelow(nodes), size);
      for (const all of [placed, primariesOf(placed, size)]) {
        const mean = all.length / nodes;
        expect(Math.max(...countsOf(all, idsBelow(nodes))) / mean).toBe(Math.ceil(mean) / mean);
      }
    }
  });

  it('spreads what one node holds over all others, so that they share the work of replacing it', () => {
    const size = { count: 800, replicas: 2 };
    const placed = place(idsBelow(8), size);
    const partners = new Set<number>();
    for (let thing = 0; thing < size.count; thing++) {
      const nodes = [...placed.subarray(2 * thing, 2 * thing + 2)];
      if (nodes.includes(0)) partners.add(nodes[0] + nodes[1]);
    }
    expect([...partners].sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('refuses ids that are twice there or too large, and more replicas than nodes', () => {
    for (const ids of [[1, 1], [256], [-1], [0.5]]) expect(() => new Ring(ids)).toThrow(CorruptionError);
    expect(() => place([0, 1], { count: 1, replicas: 3 })).toThrow('there is a node for each replica');
  });
});

describe.each([2, 3, 4, 5, 6, 8, 12, 16, 24, 32])('when a pool of %i nodes changes', (nodes) => {
  const sizes = [1, 4, 16, 32].flatMap((perNode) =>
    [1, 2, 3].filter((r) => r < nodes).map((replicas) => ({ count: nodes * perNode, replicas })),
  );
  /** What may move besides what must; of all replicas. */
  const extraOf = ({ count, replicas }: Size): number => (count * replicas) / (2 * Math.sqrt(count / nodes));

  it.each(sizes)('a join moves little but what the new node gets, of %j', (size) => {
    const before = place(idsBelow(nodes), size);
    const moved = movedOf(before, place(idsBelow(nodes + 1), size), size);
    const must = (size.count * size.replicas) / (nodes + 1);
    expect(moved).toBeGreaterThanOrEqual(Math.floor(must));
    expect(moved).toBeLessThanOrEqual(must + extraOf(size));
  });

  it.each(sizes)('a leave moves little but what the node held, whichever it is, of %j', (size) => {
    const before = place(idsBelow(nodes), size);
    for (const gone of idsBelow(nodes)) {
      const ids = idsBelow(nodes).filter((id) => id !== gone);
      const held = countsOf(before, [gone])[0];
      const moved = movedOf(before, place(ids, size), size);
      expect(moved).toBeGreaterThanOrEqual(held);
      expect(moved).toBeLessThanOrEqual(held + extraOf(size));
    }
  });
});
