import { describe, expect, it } from 'vitest';
import { judge, type Observations, readCpuTimes } from './trust.js';

const observed = (changes: Partial<Observations> = {}): Observations => ({
  busyProcesses: 2,
  cores: 4,
  collections: { count: 1, milliseconds: 0.5, longestMs: 0.5, shareOfWindow: 0.0001 },
  cpuBefore: { steal: 10, total: 1000 },
  cpuAfter: { steal: 11, total: 2000 },
  seconds: 5,
  operations: 1e6,
  ...changes,
});

describe('a verdict', () => {
  it('is ok when nothing disturbed the run', () => {
    expect(judge(observed())).toEqual({ verdict: 'ok', reasons: [] });
  });

  it.each<[string, Partial<Observations>, RegExp]>([
    ['clients share cores', { busyProcesses: 5 }, /^5 busy client processes share 4 cores/],
    [
      'collections took long together',
      { collections: { count: 9, milliseconds: 90, longestMs: 0.9, shareOfWindow: 0.018 } },
      /^collections took 1.8 % of the window$/,
    ],
    [
      'one collection took long',
      { collections: { count: 1, milliseconds: 2, longestMs: 2, shareOfWindow: 0.0004 } },
      /^a collection took 2.0 ms$/,
    ],
    [
      'the hypervisor stole',
      { cpuAfter: { steal: 60, total: 2000 } },
      /^the hypervisor took 5.0 % of the CPU$/,
    ],
    ['the window was short', { seconds: 0.15 }, /^the window is 150 ms, shorter than 200 ms$/],
  ])('is noisy when %s, and says so', (_, changes, reason) => {
    const { verdict, reasons } = judge(observed(changes));
    expect(verdict).toBe('noisy');
    expect(reasons).toEqual([expect.stringMatching(reason)]);
  });

  it('is unusable when nothing was measured, with that reason first', () => {
    const { verdict, reasons } = judge(observed({ operations: 0, busyProcesses: 9 }));
    expect(verdict).toBe('unusable');
    expect(reasons[0]).toBe('no operation completed in the window');
    expect(judge(observed({ seconds: 0 })).verdict).toBe('unusable');
  });

  it('does not mistake two readings in one tick for theft', () => {
    const same = { steal: 5, total: 100 };
    expect(judge(observed({ cpuBefore: same, cpuAfter: same })).verdict).toBe('ok');
  });
});

it('CPU times grow', async () => {
  const before = readCpuTimes();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const after = readCpuTimes();
  expect(after.total).toBeGreaterThan(before.total);
  expect(after.steal).toBeGreaterThanOrEqual(before.steal);
});
