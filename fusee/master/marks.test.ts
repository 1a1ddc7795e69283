import { describe, expect, it } from 'vitest';
import { LocalMemory, VerbBatch, word } from '../verbs/index.js';
import { Marks, pageBytesOf } from './marks.js';

const NODES = { nodes: 3, nodeBytes: 1 << 20 };

describe('marks', () => {
  it('are of every page that a batch may change, those that it touches by a byte included', () => {
    const batch = new VerbBatch(new LocalMemory(new ArrayBuffer(4096), () => 0), 8);
    batch.read(0, 0, 0, 64);
    batch.write(1, 4096 * 3 - 8, 0, 16);
    batch.cas(2, 4096 * 7, word(), word());
    batch.faa(2, 4096 * 9 + 4088, word());
    const marks = new Marks(NODES);
    marks.add(batch);
    const marked = [0, 1, 2].map((mn) =>
      Array.from({ length: 256 }, (_, page) => page).filter((page) => marks.hasRange(mn, page * 4096, 4096)),
    );
    expect(marked).toEqual([[], [2, 3], [7, 9]]);
    expect(marks.hasRange(1, 4096 * 2 - 100, 101)).toBe(true);
    expect(marks.hasRange(1, 4096 * 2 - 100, 100)).toBe(false);
  });

  it('are told once, and are the same to who hears of them', () => {
    const [mine, its] = [new Marks(NODES), new Marks(NODES)];
    mine.addRange(1, 5 * 4096, 1);
    its.addRange(1, 6 * 4096, 1);
    const told = mine.take();
    expect([told.length, mine.take(), mine.hasRange(1, 5 * 4096, 1)]).toEqual([2, [], false]);
    expect(its.merge(told)).toBe(true);
    expect([5, 6, 7].map((page) => its.hasRange(1, page * 4096, 1))).toEqual([true, true, false]);
  });

  it('are refused when they are of another pool', () => {
    const marks = new Marks(NODES);
    expect(marks.merge(['', '', '', 'AAAA'])).toBe(false);
    expect(marks.merge(['AAAA'])).toBe(false);
    expect(marks.merge(['no base 64 of the right length'])).toBe(false);
  });

  it('of 64 nodes of any size fit a line of the control channel', () => {
    for (const nodeBytes of [4096, 1 << 28, 2 ** 34 + 64, 2 ** 47]) {
      const marks = new Marks({ nodes: 64, nodeBytes });
      for (let mn = 0; mn < 64; mn++) marks.addRange(mn, nodeBytes - 1, 1);
      expect(JSON.stringify(marks.take()).length).toBeLessThan(800_000);
      expect(Math.ceil(nodeBytes / pageBytesOf(nodeBytes))).toBeLessThanOrEqual(1 << 16);
    }
  });
});
