/** Recovery time and lost operations on series whose answer is known. */
import { describe, expect, it } from 'vitest';
import { faultCost } from './recovery.js';

/** Intervals of 100 ms with so many operations each. */
const seriesOf = (...operations: number[]) =>
  operations.map((count, i) => ({ tMs: i * 100, intervalMs: 100, operations: count }));
const steady = Array.from({ length: 10 }, () => 100);
const cost = (atMs: number, operations: number[], windowMs = operations.length * 100) =>
  faultCost(seriesOf(...operations), { atMs, windowMs });

describe('the cost of a fault', () => {
  it('is the time until throughput is back, and the area missing until then', () => {
    const back = [...steady, 50, 0, 30, 100, 100, 100, 100];
    expect(cost(1000, back)).toEqual({ meanBeforeOps: 1000, recoveryMs: 300, lostOperations: 220 });
    // In the middle of an interval: the half before the fault was as before.
    expect(cost(1050, back)).toEqual({ meanBeforeOps: 1000, recoveryMs: 250, lostOperations: 220 });
  });

  it('is back at 90 % and not below', () => {
    expect(cost(1000, [...steady, 10, 90, 90, 90, 90]).recoveryMs).toBe(100);
    expect(cost(1000, [...steady, 10, 89, 89, 89, 89]).recoveryMs).toBeNull();
  });

  it('never recovers when throughput stays low; what was lost counts to the end of the window', () => {
    const never = cost(1000, [...steady, 50, 50, 50, 50]);
    expect(never).toEqual({ meanBeforeOps: 1000, recoveryMs: null, lostOperations: 200 });
  });

  it('is nothing when nothing dips, and more than before is no negative loss', () => {
    expect(cost(1000, [...steady, 100, 95, 120, 91])).toMatchObject({ recoveryMs: 0, lostOperations: 0 });
    expect(cost(1000, [...steady, 300, 10, 100, 100, 100])).toMatchObject({ lostOperations: 0 });
  });

  it('does not take one lucky interval for recovery, and sees a dip that sets in late', () => {
    expect(cost(1000, [...steady, 20, 100, 20, 100, 100, 100]).recoveryMs).toBe(300);
    expect(cost(1000, [...steady, 100, 100, 20, 20, 100, 100, 100]).recoveryMs).toBe(400);
  });

  it('measures against the last second, not against a slow start', () => {
    const slowStart = [10, 10, 10, ...steady];
    expect(cost(1300, [...slowStart, 95, 95, 95]).meanBeforeOps).toBe(1000);
  });

  it('knows nothing without an interval before, and trusts none that the window cuts off', () => {
    expect(cost(50, [...steady])).toEqual({ meanBeforeOps: null, recoveryMs: null, lostOperations: null });
    // The last interval has half its operations because the window ended in it.
    const cut = [...steady, 40, 100, 100, 100, 50];
    expect(cost(1000, cut, 1450).recoveryMs).toBe(100);
    expect(cost(1000, cut, 1500).recoveryMs).toBe(100);
    expect(cost(1000, [...steady, 40, 100, 50], 1250).recoveryMs).toBe(100);
    expect(cost(1000, [...steady, 40, 100, 50], 1300).recoveryMs).toBeNull();
  });

  it('takes intervals in whatever order they come', () => {
    const shuffled = seriesOf(...steady, 50, 0, 100, 100, 100).reverse();
    expect(faultCost(shuffled, { atMs: 1000, windowMs: 1500 })).toMatchObject({ recoveryMs: 200 });
  });
});
