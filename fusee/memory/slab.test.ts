import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLASS_COUNT, CLASS_LINES, Geometry, LogOperation, View } from '../layout/index.js';
import { smallPool } from '../node/in-process.js';
import { Slab } from './slab.js';

const BLOCK = 1 << 14;
/** A large pool: none of the blocks that are used here is set aside. */
const geometry = new Geometry(smallPool({ blockBytes: BLOCK, regionBytes: 1 << 18, regionsPerNode: 64 }));
const view = new View(geometry);

/** Takes a cell, and opens its list ahead of the first one; 0 when the class needs another block. */
function takeOpening(slab: Slab, coroutine: number, sizeClass: number): number {
  if (!slab.isOpen(coroutine, sizeClass)) {
    if (slab.open(coroutine, sizeClass) === undefined) return 0;
    slab.opened(coroutine, sizeClass);
  }
  return slab.take(coroutine, sizeClass);
}

/** Takes a cell, with a fresh block when the class needs one: for a list's head and for its cells. */
function takeRefilling(slab: Slab, blocks: { next: number }, coroutine: number, sizeClass: number): number {
  for (let added = 0; added < 4; added++) {
    const cell = takeOpening(slab, coroutine, sizeClass);
    if (cell !== 0) return cell;
    slab.addBlock(sizeClass, BLOCK * blocks.next++);
  }
  throw new Error(`class ${sizeClass} takes block after block`);
}

describe('a list of cells', () => {
  it('names, in each object, the cell that the next object of the coroutine and class will use', () => {
    const action = fc.record({
      coroutine: fc.nat(2),
      sizeClass: fc.constantFrom(0, 1, 7, 40, 50),
      isKept: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const slab = new Slab(view, 3);
        const blocks = { next: 0 };
        const promised = new Map<string, { cell: number; prev: number }>();
        const kept: { from: number; to: number }[] = [];
        for (const { coroutine, sizeClass, isKept } of actions) {
          const list = `${coroutine}/${sizeClass}`;
          const cell = takeRefilling(slab, blocks, coroutine, sizeClass);
          const expected = promised.get(list);
          if (expected !== undefined) {
            expect([cell, slab.prevOf(coroutine, sizeClass)]).toEqual([expected.cell, expected.prev]);
          } else expect(slab.prevOf(coroutine, sizeClass)).toBe(0);
          const next = slab.nextOf(coroutine, sizeClass);
          if (isKept) {
            const bytes = CLASS_LINES[sizeClass] * 64;
            kept.push({ from: cell + 64 - bytes, to: cell + 64 });
            promised.set(list, { cell: next, prev: cell });
          } else {
            promised.set(list, { cell, prev: slab.prevOf(coroutine, sizeClass) });
            slab.giveBack(coroutine, sizeClass);
          }
        }
        kept.sort((a, b) => a.from - b.from);
        kept.forEach((cell, i) => {
          if (i > 0) expect(cell.from).toBeGreaterThanOrEqual(kept[i - 1].to);
          expect(cell.from % BLOCK).toBeGreaterThanOrEqual(geometry.cellsOffset);
          expect(Math.floor(cell.from / BLOCK)).toBe(Math.floor((cell.to - 1) / BLOCK));
          expect(cell.from % 64).toBe(0);
        });
        expect(slab.blocks).toBe(blocks.next);
      }),
      { numRuns: 60 },
    );
  });

  it('hands a cell that came back out again, with the same neighbours, as often as it comes back', () => {
    const slab = new Slab(view, 1);
    slab.addBlock(3, BLOCK);
    const first = takeOpening(slab, 0, 3);
    const second = slab.nextOf(0, 3);
    for (let i = 0; i < 3; i++) {
      slab.giveBack(0, 3);
      expect([slab.take(0, 3), slab.nextOf(0, 3), slab.prevOf(0, 3)]).toEqual([first, second, 0]);
    }
    expect(slab.cellsUsed).toBe(1);
    expect([slab.take(0, 3), slab.prevOf(0, 3)]).toEqual([second, first]);
    expect(slab.cellsUsed).toBe(2);
  });

  it('carves every cell of a block: all but the last, which must have a successor, can be taken', () => {
    for (const sizeClass of [0, 5, 33, 45]) {
      const slab = new Slab(view, 1);
      slab.addBlock(sizeClass, 0);
      const cells = geometry.cellsPerBlock(sizeClass);
      const taken: number[] = [];
      for (let cell = takeOpening(slab, 0, sizeClass); cell !== 0; cell = slab.take(0, sizeClass)) {
        taken.push(cell);
      }
      const lineOfCell = (i: number): number =>
        geometry.cellsOffset + (i + 1) * CLASS_LINES[sizeClass] * 64 - 64;
      expect(taken).toEqual(Array.from({ length: cells - 1 }, (_, i) => lineOfCell(i)));
      expect(slab.take(0, sizeClass)).toBe(0);
      slab.addBlock(sizeClass, BLOCK * 3);
      expect(slab.take(0, sizeClass)).toBe(lineOfCell(cells - 1));
      expect(slab.nextOf(0, sizeClass)).toBe(BLOCK * 3 + lineOfCell(0));
    }
  });

  it('uses blocks in the order in which they came', () => {
    const slab = new Slab(view, 1);
    const sizeClass = CLASS_LINES.findIndex((_, candidate) => geometry.cellsPerBlock(candidate) === 1);
    expect(sizeClass).toBeGreaterThan(0);
    for (const block of [5, 2, 9, 1]) slab.addBlock(sizeClass, BLOCK * block);
    const cells = Array.from({ length: 4 }, () => takeOpening(slab, 0, sizeClass));
    expect(cells.map((cell) => Math.floor(cell / BLOCK))).toEqual([5, 2, 9, 0]);
    expect(cells[3]).toBe(0);
  });

  it('draws cells that are set aside for DELETEs only, and when no others are left', () => {
    const slab = new Slab(view, 1);
    const reserved = BLOCK * 2 ** 4 * geometry.regions - BLOCK;
    expect([reserved, 0].map((pointer) => view.isReserved(pointer))).toEqual([true, false]);
    for (const pointer of [reserved, 0]) slab.addBlock(3, pointer);
    const cells = geometry.cellsPerBlock(3);
    const counts = (): number[] =>
      [LogOperation.INSERT, LogOperation.DELETE].map((operation) => slab.cellsFor(3, operation));
    expect([counts(), slab.freeCells[3]]).toEqual([[cells, 2 * cells], 2 * cells]);
    for (let i = 0; i < cells - 1; i++)
      expect(view.isReserved(takeOpening(slab, 0, 3)), `cell ${i}`).toBe(false);
    expect([takeOpening(slab, 0, 3), counts()]).toEqual([0, [0, cells]]);
    slab.take(0, 3, LogOperation.DELETE);
    expect([slab.take(0, 3), counts()]).toEqual([0, [0, cells - 1]]);
    // What is set aside stays so when it is released.
    const set = slab.take(0, 3, LogOperation.DELETE);
    slab.finish(0, 3);
    slab.release(set);
    expect([view.isReserved(set), slab.take(0, 3), counts()]).toEqual([true, 0, [0, cells - 1]]);
  });

  it('never leaves its block: a class longer than a block has no cells at all', () => {
    const slab = new Slab(view, 1);
    const sizeClass = CLASS_COUNT - 1;
    expect(geometry.cellsPerBlock(sizeClass)).toBe(0);
    for (const block of [1, 2, 3]) slab.addBlock(sizeClass, BLOCK * block);
    expect(slab.open(0, sizeClass)).toBe(undefined);
    expect(slab.take(0, sizeClass)).toBe(0);
  });

  it('gives no cell to a list that is not open', () => {
    const slab = new Slab(view, 2);
    slab.addBlock(3, 0);
    expect(slab.take(0, 3)).toBe(0);
    expect(takeOpening(slab, 0, 3)).toBeGreaterThan(0);
    expect(slab.take(1, 3)).toBe(0);
  });
});
