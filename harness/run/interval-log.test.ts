import { expect, it } from 'vitest';
import { LatencyHistogram } from '../../results/histogram.js';
import { IntervalLog, mergeIntervals } from './interval-log.js';

const of = (...latenciesNs: number[]): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (const ns of latenciesNs) histogram.record(ns);
  return histogram;
};

const logOf = (intervals: number, ns: (i: number) => number): IntervalLog => {
  const log = new IntervalLog(100);
  for (let i = 0; i < intervals; i++) {
    log.begin();
    log.add('search', of(ns(i), 70e9));
  }
  return log;
};

it('keeps every interval of a short window, and wider ones of a long one, and loses nothing', () => {
  expect(logOf(64, () => 500).report()).toMatchObject({ intervalMs: 100, intervals: { length: 64 } });
  for (const count of [65, 130, 500]) {
    const { intervalMs, intervals } = logOf(count, (i) => 1000 + 10 * i).report();
    expect(intervals.length).toBeLessThanOrEqual(64);
    expect(intervals).toHaveLength(Math.ceil((100 * count) / intervalMs));
    const all = new LatencyHistogram();
    for (const [at, { search }] of intervals.entries()) {
      const one = LatencyHistogram.unpack(search!);
      // Its first latency tells which of the recorder's intervals it began with.
      expect(one.minNs).toBe(1000 + (10 * at * intervalMs) / 100);
      all.merge(one);
    }
    expect([all.count, all.overflow, all.maxNs]).toEqual([2 * count, count, 70e9]);
  }
});

it('merges clients in the widest of their intervals', () => {
  const merged = mergeIntervals([logOf(70, () => 100).report(), logOf(10, () => 200).report()]);
  expect(merged).toMatchObject({ intervalMs: 200, intervals: { length: 35 } });
  expect(LatencyHistogram.unpack(merged!.intervals[4].search!).count).toBe(8);
  expect(LatencyHistogram.unpack(merged!.intervals[5].search!).count).toBe(4);
});

it('has nothing to tell of clients of which one has no intervals', () => {
  expect(mergeIntervals([])).toBeNull();
  expect(mergeIntervals([logOf(3, () => 1).report(), { intervalMs: 100, intervals: [] }])).toBeNull();
});
