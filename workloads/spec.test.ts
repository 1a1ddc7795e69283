import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { workloadNames, workloadSpec } from './spec.js';

describe('workloadSpec', () => {
  it.each([
    ['ycsb-a', [0.5, 0.5, 0, 0, 0], 'zipfian', 'shared'],
    ['ycsb-b', [0.95, 0.05, 0, 0, 0], 'zipfian', 'shared'],
    ['ycsb-c', [1, 0, 0, 0, 0], 'zipfian', 'shared'],
    ['ycsb-d', [0.95, 0, 0.05, 0, 0], 'latest', 'shared'],
    ['ycsb-f', [0.5, 0, 0, 0, 0.5], 'zipfian', 'shared'],
    ['micro-insert', [0, 0, 1, 0, 0], 'sequential', 'private'],
    ['micro-update', [0, 1, 0, 0, 0], 'sequential', 'private'],
    ['micro-search', [1, 0, 0, 0, 0], 'sequential', 'private'],
    ['micro-delete', [0, 0, 0, 1, 0], 'sequential', 'private'],
    ['trace', [0, 0, 0, 0, 0], 'sequential', 'trace'],
  ])('%s has the shares %j, %s over %s keys', (name, shares, distribution, keySpace) => {
    const spec = workloadSpec(name);
    const { search, update, insert, remove, readModifyWrite } = spec.shares;
    expect(spec.name).toBe(name);
    expect([search, update, insert, remove, readModifyWrite]).toEqual(shares);
    expect(spec.distribution).toBe(distribution);
    expect(spec.keySpace).toBe(keySpace);
  });

  it('mixes SEARCH and UPDATE at any ratio, both ends included', () => {
    expect(workloadSpec('mix', { searchRatio: 0 }).shares).toMatchObject({ search: 0, update: 1 });
    expect(workloadSpec('mix', { searchRatio: 0.25 }).shares).toMatchObject({ search: 0.25, update: 0.75 });
    expect(workloadSpec('mix', { searchRatio: 1, distribution: 'uniform' })).toMatchObject({
      shares: { search: 1, update: 0 },
      distribution: 'uniform',
    });
  });

  it('lets UPDATE and SEARCH of the micro workloads choose keys uniformly', () => {
    expect(workloadSpec('micro-update', { distribution: 'uniform' }).distribution).toBe('uniform');
    expect(workloadSpec('micro-search', { distribution: 'uniform' }).distribution).toBe('uniform');
  });

  it('refuses ycsb-e because a hash index has no scans', () => {
    expect(() => workloadSpec('ycsb-e')).toThrow(WorkloadError);
    expect(() => workloadSpec('ycsb-e')).toThrow('a hash index has no scans');
  });

  it('refuses an unknown name with the list of known ones', () => {
    for (const name of ['ycsb-g', '', 'YCSB-A', 'toString']) {
      expect(() => workloadSpec(name)).toThrow(
        `workload '${name}' is unknown; known: ${workloadNames.join(', ')}`,
      );
    }
  });

  it.each([undefined, -0.1, 1.1, Number.NaN])('refuses a mix with the search ratio %s', (searchRatio) => {
    expect(() => workloadSpec('mix', { searchRatio })).toThrow(
      `search ratio ${searchRatio}, but needs one from 0`,
    );
  });

  it('refuses a search ratio where the shares are fixed', () => {
    expect(() => workloadSpec('ycsb-a', { searchRatio: 0.7 })).toThrow(
      "search ratio 0.7 cannot apply: use 'mix'",
    );
  });

  it('refuses a distribution that would make the name untrue', () => {
    expect(() => workloadSpec('ycsb-a', { distribution: 'uniform' })).toThrow(
      "'ycsb-a' cannot be uniform, only zipfian",
    );
    expect(() => workloadSpec('micro-delete', { distribution: 'uniform' })).toThrow('only sequential');
    expect(() => workloadSpec('mix', { searchRatio: 0.5, distribution: 'latest' })).toThrow(
      'only zipfian or uniform',
    );
  });
});
