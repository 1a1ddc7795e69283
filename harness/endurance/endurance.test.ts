/**
 * The long-running checks in short, as users run them: what must hold, and not how fast it is. The limits on
 * time only end what hangs.
 */
import { describe, expect, it } from 'vitest';
import { CHECKS, isRunning, Running, regions } from '../e2e/run-fusee.js';
import type { EnduranceResult } from './endure.js';
import type { GrowthResult } from './grow.js';

/** What a check says of its one setting, and how it ended. */
async function check<R>(...args: string[]): Promise<{ status: number | null; stderr: string; result: R }> {
  const running = new Running([...args, '--json'], { main: CHECKS });
  const { status, stdout, stderr } = await running.ended;
  expect(regions(`fusee-endure-${running.pid}-`)).toEqual([]);
  expect(regions(`fusee-grow-${running.pid}-`)).toEqual([]);
  return { status, stderr, result: JSON.parse(stdout === '' ? '{}' : stdout) as R };
}

/** Small, so that little is written: a pool of 128 blocks. */
const DATA_BYTES = 4 << 20;

describe('many times its size written to a pool', () => {
  it.each([
    ['update', 1.8],
    ['churn', 2.5],
  ] as const)(
    'leaves memory flat and whole, and every value right (%s, %d times its live data)',
    async (load, slack) => {
      const args = ['-l', load, '--data', String(DATA_BYTES), '--slack', String(slack), '--times', '50'];
      const { status, result } = await check<EnduranceResult>('endurance', ...args);
      expect([status, result.failures]).toEqual([0, []]);
      expect(result.bytesWritten).toBeGreaterThanOrEqual(50 * DATA_BYTES);
      expect(Math.abs(result.inUse.growth)).toBeLessThan(0.05);
      expect([result.memory.isFlat, result.garbageBytes, result.leakedBytes]).toEqual([true, 0, 0]);
      expect(result.keysChecked).toBeGreaterThan(3000);
    },
    120_000,
  );
});

describe('an index of one subtable', () => {
  it('grows under INSERTs, none of which fails or is lost, and splits subtables that are nearly full', async () => {
    const { status, result } = await check<GrowthResult>('growth', '--keys', '1000000', '--groups', '1024');
    expect([status, result.failures]).toEqual([0, []]);
    expect(result.keysChecked).toBe(1_000_000);
    expect(result.splits).toBeGreaterThan(40);
    expect(result.load.mean).toBeGreaterThan(0.8);
    expect(result.searches).toBeGreaterThan(0);
  }, 240_000);
});

describe('a check that is interrupted', () => {
  it.each(['endurance', 'growth'])(
    'ends with 130, its processes gone and no shared memory left (%s)',
    async (name) => {
      const running = new Running([name], { main: CHECKS });
      await running.says(/loading|inserted/);
      const children = running.children();
      running.signalGroup('SIGINT');
      const { status } = await running.ended;
      expect([status, children.filter(isRunning)]).toEqual([130, []]);
      expect(children.length).toBeGreaterThan(2);
      expect(regions('fusee-').filter((region) => region.includes(`-${running.pid}-`))).toEqual([]);
    },
    60_000,
  );
});

describe('wrong usage', () => {
  it('ends with 2 and says what there is', async () => {
    const { status, stderr } = await check('endurance', '-l', 'nothing');
    expect([status, stderr]).toEqual([
      2,
      "load 'nothing' is unknown; choose from update-zipfian, update-uniform, update, churn, churn-shift\n",
    ]);
  });
});
