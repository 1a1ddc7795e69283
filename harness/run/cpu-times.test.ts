import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { sampleConditions } from '../../results/conditions-sample.js';
import { type CpuTimes, foreignCores, readCpuTimes, stolenShare } from './cpu-times.js';
import { FOREIGN_CORES_MAX, judge } from './trust.js';

const hogs: ChildProcess[] = [];
afterEach(() => {
  for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
});

/** A process that does nothing but run, and ends by itself if nobody ends it. */
function startHog(): number {
  const hog = spawn(process.execPath, ['-e', 'for (const end = Date.now() + 20_000; Date.now() < end; );']);
  hogs.push(hog);
  return hog.pid!;
}

const times = (changes: Partial<CpuTimes> = {}): CpuTimes => ({
  steal: 10,
  total: 1000,
  busy: 500,
  own: 400,
  cores: 4,
  ...changes,
});

describe('CPU times', () => {
  it('grow', async () => {
    const before = readCpuTimes([process.pid]);
    for (const end = performance.now() + 50; performance.now() < end; );
    await sleep(20);
    const after = readCpuTimes([process.pid]);
    expect(after.total).toBeGreaterThan(before.total);
    expect(after.busy).toBeGreaterThan(before.busy);
    expect(after.own).toBeGreaterThan(before.own);
    expect(after.steal).toBeGreaterThanOrEqual(before.steal);
    expect(after.cores).toBeGreaterThan(0);
  });

  it('of a process that is gone are none', () => {
    expect(readCpuTimes([2 ** 22 - 1]).own).toBe(0);
  });

  it('tell what the hypervisor took, and what others took of a core', () => {
    const after = times({ steal: 60, total: 2000, busy: 1000, own: 800 });
    expect(stolenShare(times(), after)).toBe(0.05);
    // 1000 ticks of 4 cores are 250 of one; 100 of them went to others.
    expect(foreignCores(times(), after)).toBe(0.4);
    expect(foreignCores(times(), times({ total: 2000, busy: 1000, own: 920 }))).toBe(0);
  });

  it('do not mistake two readings in one tick for anything', () => {
    expect([stolenShare(times(), times()), foreignCores(times(), times())]).toEqual([0, 0]);
  });

  it('show a hog as foreign load, which makes a verdict noisy; as one of ours it is none', async () => {
    const hog = startHog();
    const before = { alien: readCpuTimes([]), own: readCpuTimes([hog]) };
    const isLong = (): boolean => readCpuTimes([hog]).own - before.own.own >= 30;
    for (const end = performance.now() + 10_000; !isLong() && performance.now() < end; ) await sleep(20);
    const after = { alien: readCpuTimes([]), own: readCpuTimes([hog]) };
    const foreign = foreignCores(before.alien, after.alien);
    expect(foreign - foreignCores(before.own, after.own)).toBeGreaterThan(0.02);
    expect(foreign).toBeGreaterThan(FOREIGN_CORES_MAX);
    const { verdict, reasons } = judge({
      busyProcesses: 1,
      cores: 2,
      collections: { count: 0, milliseconds: 0, longestMs: 0, shareOfWindow: 0 },
      conditions: sampleConditions({ foreignCores: foreign }),
      warmupMs: 1000,
      seconds: 5,
      operations: 1e6,
    });
    expect(verdict).toBe('noisy');
    expect(reasons.join('; ')).toMatch(/other processes took \d+ % of a core; up to 10 % disturbs little/);
  });
});
