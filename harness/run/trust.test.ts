import { describe, expect, it } from 'vitest';
import type { CpuTimes } from './cpu-times.js';
import { judge, type Observations } from './trust.js';

/** Readings of a machine of four cores, about ten seconds apart; others take 1 % of a core in between. */
const before: CpuTimes = { steal: 10, total: 1000, busy: 600, own: 500, cores: 4 };
const after: CpuTimes = { steal: 11, total: 5000, busy: 3610, own: 3500, cores: 4 };

const observed = (changes: Partial<Observations> = {}): Observations => ({
  busyProcesses: 2,
  cores: 4,
  collections: { count: 1, milliseconds: 0.5, longestMs: 0.5, shareOfWindow: 0.0001 },
  cpuBefore: before,
  cpuAfter: after,
  warmupMs: 1000,
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
      { cpuAfter: { ...after, steal: 210 } },
      /^the hypervisor took 5.0 % of the CPU$/,
    ],
    [
      'others ran',
      { cpuAfter: { ...after, own: 3250 } },
      /^other processes took 26 % of a core; up to 10 % disturbs little$/,
    ],
    ['the warm-up was short', { warmupMs: 20 }, /^the warm-up was 20 ms, shorter than 250 ms: the window/],
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
});
