import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryOf, lockedEntryOf } from '../layout/index.js';
import { Directory } from './directory.js';

/** What a directory should say, by its definition: suffixes and depths alone. */
class Model {
  readonly depths = new Map<number, number>();
  readonly owners = new Map<number, number>();
  /** Old halves whose split awaits grace. */
  readonly unsettled = new Set<number>();

  constructor(depth: number) {
    for (let s = 0; s < 2 ** depth; s++) this.depths.set(s, depth);
  }

  get globalDepth(): number {
    return Math.max(...this.depths.values());
  }

  subtableOf(hash: number): number {
    const holds = [...this.depths].filter(([s, depth]) => (hash & (2 ** depth - 1)) === s);
    expect(holds).toHaveLength(1);
    return holds[0][0];
  }

  words(): Uint32Array {
    const words = new Uint32Array(2 ** (this.globalDepth + 1));
    for (const [s, depth] of this.depths) {
      const owner = this.owners.get(s) ?? 0;
      words[2 * s] = owner === 0 ? entryOf(depth) : lockedEntryOf(depth, this.unsettled.has(s), 77);
      words[2 * s + 1] = owner;
    }
    return words;
  }
}

/** Splits, each of the n-th of the subtables that there are then; some stay unsettled, some locked only. */
const histories = fc.record({
  depth: fc.nat(3),
  splits: fc.array(
    fc.record({ pick: fc.nat(1000), ends: fc.constantFrom('settled', 'unsettled', 'locked') }),
    {
      maxLength: 30,
    },
  ),
  hashes: fc.array(fc.integer(), { minLength: 20, maxLength: 20 }),
});

describe('a directory', () => {
  it('puts every hash into the one subtable whose suffix it has, and knows who may be written to', () => {
    fc.assert(
      fc.property(histories, ({ depth, splits, hashes }) => {
        const model = new Model(depth);
        const directory = new Directory(2 ** depth);
        const locked = new Set<number>();
        splits.forEach(({ pick, ends }, version) => {
          const s = [...model.depths.keys()][pick % model.depths.size];
          const d = model.depths.get(s) as number;
          if (locked.has(s) || d === 10) return;
          if (ends !== 'settled') {
            locked.add(s);
            model.owners.set(s, 5);
          }
          if (ends !== 'locked') {
            model.depths.set(s, d + 1);
            model.depths.set(s + 2 ** d, d + 1);
          }
          if (ends === 'unsettled') {
            locked.add(s + 2 ** d);
            model.unsettled.add(s);
          }
          expect(directory.load(version, model.globalDepth, model.words())).toBe(true);
        });
        expect([...directory.subtables()]).toEqual([...model.depths.keys()].sort((a, b) => a - b));
        expect(directory.subtableCount).toBe(model.depths.size);
        for (const hash of [...hashes, ...model.depths.keys()]) {
          const s = model.subtableOf(hash);
          expect(directory.subtableOf[hash & directory.mask]).toBe(s);
          expect(directory.depthOf(s)).toBe(model.depths.get(s));
          expect(directory.lockedOf[hash & directory.mask] === 1).toBe(locked.has(s));
        }
      }),
    );
  });

  it('counts a new half as locked while its old half is not seen to be deeper', () => {
    const directory = new Directory(1);
    const words = Uint32Array.of(lockedEntryOf(0, false, 3), 9, entryOf(1), 0);
    expect(directory.load(1, 1, words)).toBe(true);
    expect([...directory.subtableOf]).toEqual([0, 1]);
    expect([...directory.lockedOf]).toEqual([1, 1]);
    expect([directory.lockOf(0), directory.lockOf(1), directory.depthOf(2)]).toEqual([0, 0, -1]);
  });

  it('refuses entries that leave keys without a subtable, and stays as it was', () => {
    const directory = new Directory(2);
    const torn = Uint32Array.of(entryOf(2), 0, entryOf(1), 0, 0, 0, 0, 0);
    expect(directory.load(5, 2, torn)).toBe(false);
    // Deeper than the global depth that was read ahead of it.
    expect(directory.load(5, 1, torn.subarray(0, 4))).toBe(false);
    expect([directory.version, directory.globalDepth, ...directory.subtableOf]).toEqual([0, 1, 0, 1]);
  });

  it('passes over an older version, which another coroutine has been slower to read', () => {
    const directory = new Directory(1);
    expect(directory.load(7, 1, Uint32Array.of(entryOf(1), 0, entryOf(1), 0))).toBe(true);
    expect(directory.load(6, 0, Uint32Array.of(entryOf(0), 0))).toBe(true);
    expect([directory.version, directory.subtableCount]).toEqual([7, 2]);
  });

  it('has a power of two of subtables', () => {
    expect(() => new Directory(3)).toThrow('3 subtables: use a power of two');
  });
});

describe('a bucket header', () => {
  it('covers the hashes that end in its suffix', () => {
    expect([0, 5, 13, -3].map((hash) => Directory.covers(3, 5, hash))).toEqual([false, true, true, true]);
    expect(Directory.covers(0, 0, 12345)).toBe(true);
  });
});
