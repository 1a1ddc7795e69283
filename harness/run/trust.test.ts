import { describe, expect, it } from 'vitest';
import type { Conditions } from '../../results/conditions.js';
import { sampleConditions } from '../../results/conditions-sample.js';
import { judge, type Observations } from './trust.js';

const observed = (changes: Partial<Observations> = {}): Observations => ({
  busyProcesses: 2,
  cores: 4,
  collections: { count: 1, milliseconds: 0.5, longestMs: 0.5, shareOfWindow: 0.0001 },
  conditions: sampleConditions(),
  warmupMs: 1000,
  seconds: 5,
  operations: 1e6,
  ...changes,
});
const under = (changes: Partial<Conditions>): Partial<Observations> => ({
  conditions: sampleConditions(changes),
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
    ['the hypervisor stole', under({ stolenShare: 0.05 }), /^the hypervisor took 5.0 % of the CPU$/],
    [
      'others ran',
      under({ foreignCores: 0.26 }),
      /^other processes took 26 % of a core; up to 10 % disturbs little$/,
    ],
    [
      'a client had no core',
      under({ coreWaitShare: 0.31 }),
      /^a client waited for a core 31.0 % of the window$/,
    ],
    [
      'clients lost their cores',
      under({ involuntarySwitches: 2000 }),
      /^each client lost its core 200 times a second$/,
    ],
    [
      'an idle thread hiccuped',
      under({ hiccups: { count: 4000, p50Ns: 60_000, p99Ns: 3.4e6, maxNs: 9e6 } }),
      /^an idle thread woke 3.4 ms late at p99$/,
    ],
    ['the clock is coarse', under({ clockStepNs: 10_000 }), /^the clock moves in steps of 10000 ns$/],
    ['the clock is dear', under({ clockReadNs: 812.4 }), /^reading the clock costs 812 ns$/],
    [
      'the harness took much itself',
      under({ nullOperationNs: 1400 }),
      /^the harness itself takes 1400 ns of the 10000 ns that a client has for an operation$/,
    ],
    [
      'throughput fell',
      under({ isSteady: false, shift: { atMs: 2300, share: -0.124 } }),
      /^throughput fell by 12.4 % at 2.3 s of the window: it was not steady$/,
    ],
    [
      'throughput is known badly',
      under({
        throughputInterval: { lowOps: 90, highOps: 110, level: 0.95, effectiveCount: 6, correlation: 0.7 },
      }),
      /^throughput is known to within ± 10.0 % only$/,
    ],
    [
      'nobody can tell whether it was steady',
      under({ isSteady: null }),
      /^the window of 5.0 s is too short to tell whether throughput was steady$/,
    ],
    ['the warm-up was short', { warmupMs: 20 }, /^the warm-up was 20 ms, shorter than 250 ms: the window/],
    [
      'the window was short',
      { seconds: 0.15, operations: 1e4, ...under({ involuntarySwitches: 3 }) },
      /^the window is 150 ms, shorter than 200 ms$/,
    ],
  ])('is noisy when %s, and says so', (_, changes, reason) => {
    const { verdict, reasons } = judge(observed(changes));
    expect(verdict).toBe('noisy');
    expect(reasons).toEqual([expect.stringMatching(reason)]);
  });

  it('does not ask for a steady state where faults were injected, nor for what was not measured', () => {
    const nothing = under({
      nullOperationNs: null,
      clockReadNs: null,
      clockStepNs: null,
      clockBackwards: null,
      hiccups: null,
      coreWaitShare: null,
      isSteady: null,
      throughputInterval: null,
    });
    expect(judge(observed({ ...nothing, hasFaults: true })).verdict).toBe('ok');
  });

  it('is unusable when nothing was measured or time ran backwards, with that reason first', () => {
    const { verdict, reasons } = judge(observed({ operations: 0, busyProcesses: 9 }));
    expect(verdict).toBe('unusable');
    expect(reasons[0]).toBe('no operation completed in the window');
    expect(judge(observed({ seconds: 0 })).verdict).toBe('unusable');
    const back = judge(observed(under({ clockBackwards: 2 })));
    expect(back).toEqual({ verdict: 'unusable', reasons: ['the clock went back 2 times'] });
  });
});
