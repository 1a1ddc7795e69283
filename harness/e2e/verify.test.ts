/** `fusee bench --verify`: real processes, their histories merged, held to be linearizable. */
import { afterAll, describe, expect, it } from 'vitest';
import { resultRowSchema } from '../../results/schema.js';
import { fusee, RunFolder } from './run-fusee.js';

const folder = new RunFolder();
afterAll(() => folder.remove());

const contended = ['--records', '10', '--requests', '6400', '--kv-bytes', '64', '--verify', '--json'];

describe('contention on 10 keys by 4 processes', () => {
  it.each(['1', '2', '3'])(
    'is linearizable at r = %s',
    async (r) => {
      const { status, stdout, stderr } = await fusee(...folder.bench('-w', 'ycsb-a', '-r', r, ...contended));
      expect([status, stderr]).toEqual([0, '']);
      const row = resultRowSchema.parse(JSON.parse(stdout));
      expect([row.linearizable, row.wrongValues, row.lostKeys]).toEqual([true, 0, 0]);
      expect(Object.values(row.outcomes).flatMap(Object.keys)).not.toContain('NO_MEMORY');
    },
    60_000,
  );
});

describe('a pool that must reclaim, with an index that must grow', () => {
  it.each([
    ['ycsb-a', '1'],
    ['ycsb-d', '2'],
    ['ycsb-f', '3'],
  ])(
    'serves %s at r = %s: linearizable, nothing lost, no request without memory, every byte accounted for',
    async (workload, r) => {
      const load = ['--records', '500', '--requests', '20000', '--kv-bytes', '128', '--verify'];
      const args = folder.bench('-w', workload, '-r', r, '-c', '2', ...load, '--json');
      const { status, stdout, stderr } = await fusee(...args);
      expect([status, stderr]).toEqual([0, '']);
      const row = resultRowSchema.parse(JSON.parse(stdout));
      expect([row.linearizable, row.wrongValues, row.lostKeys]).toEqual([true, 0, 0]);
      const outcomes = Object.values(row.outcomes).flatMap(Object.keys);
      expect(outcomes.filter((o) => o === 'NO_MEMORY' || o === 'UNAVAILABLE' || o === 'INDEX_FULL')).toEqual(
        [],
      );
      expect(row.upkeep?.splits).toBeGreaterThanOrEqual(4);
      if (workload !== 'ycsb-d') expect(row.upkeep?.cellsReclaimed).toBeGreaterThan(3000);
    },
    60_000,
  );
});

describe('bench --verify', () => {
  it('accounts for every byte of the pool when nothing moves any more', async () => {
    const some = ['-c', '2', '--records', '300', '--requests', '1600', '--verify'];
    const { status, stderr } = await fusee(...folder.bench('-w', 'ycsb-d,micro-delete', '-r', '3', ...some));
    expect(status).toBe(0);
    expect(stderr.match(/every byte accounted for/g)?.length).toBe(2);
  }, 60_000);

  it('refuses values too short to name their writer', async () => {
    const args = folder.bench('-w', 'ycsb-a', '--kv-bytes', '40', '--verify');
    const { status, stderr } = await fusee(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(
      'KV size is 40 bytes; --verify needs values that name their writer: at least 48',
    );
  });
});
