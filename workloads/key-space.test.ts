import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import {
  clientCountMax,
  coroutineCountMax,
  firstKeyOfClient,
  loadShare,
  strideKeyCount,
  strideOf,
} from './key-space.js';

describe('strideOf', () => {
  it('starts above the loaded keys and never overlaps another stride', () => {
    const strides = [];
    for (let clientIndex = 0; clientIndex < 5; clientIndex++) {
      for (let coroutine = 0; coroutine < coroutineCountMax; coroutine++) {
        strides.push(strideOf({ recordCount: 1000, clientIndex, coroutine }));
      }
    }
    expect(strides[0].first).toBe(1000);
    for (let i = 1; i < strides.length; i++) {
      expect(strides[i].first).toBe(strides[i - 1].first + strides[i - 1].count);
    }
  });

  it('keeps the last key of the last client an exact integer', () => {
    const last = strideOf({
      recordCount: 1e10,
      clientIndex: clientCountMax - 1,
      coroutine: coroutineCountMax - 1,
    });
    expect(Number.isSafeInteger(last.first + strideKeyCount - 1)).toBe(true);
  });

  it.each([
    { recordCount: -1, clientIndex: 0, coroutine: 0 },
    { recordCount: 0, clientIndex: clientCountMax, coroutine: 0 },
    { recordCount: 0, clientIndex: 0, coroutine: coroutineCountMax },
  ])('refuses %o', (owner) => {
    expect(() => strideOf(owner)).toThrow(WorkloadError);
  });

  it('of coroutine 0 begins where its client begins', () => {
    const owner = { recordCount: 7, clientIndex: 3, coroutine: 0 };
    expect(strideOf(owner).first).toBe(firstKeyOfClient(owner));
  });
});

describe('loadShare', () => {
  it('deals out every loaded key once, in parts that differ by one key at most', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 1, max: 100 }),
        (recordCount, count) => {
          let next = 0;
          for (let index = 0; index < count; index++) {
            const share = loadShare(recordCount, { index, count });
            expect(share.first).toBe(next);
            expect(Math.abs(share.count - recordCount / count)).toBeLessThan(1);
            next += share.count;
          }
          return next === recordCount;
        },
      ),
    );
  });

  it('refuses a part that does not exist', () => {
    expect(() => loadShare(10, { index: 2, count: 2 })).toThrow('index of the part is 2');
    expect(() => loadShare(10, { index: 0, count: 0 })).toThrow(WorkloadError);
    expect(() => loadShare(-1, { index: 0, count: 1 })).toThrow(WorkloadError);
  });
});
