import { describe, expect, it } from 'vitest';
import { Geometry } from '../../fusee/layout/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { poolOfMemory } from './node-command.js';

const FLAGS = {
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  memory: 256 << 20,
  keys: 100_000,
  regionSize: 1 << 23,
  blockSize: 1 << 16,
};

describe('a pool made for a memory', () => {
  it.each([
    {},
    { nodes: 5, dataReplicas: 3 },
    { regionSize: 1 << 20, blockSize: 1 << 14 },
    { regionSize: 1 << 26, blockSize: 1 << 26 },
    { memory: 64 << 20, nodes: 1, indexReplicas: 1, dataReplicas: 1 },
  ])('takes as many regions as fit each node, and no more: %j', (changes) => {
    const flags = { ...FLAGS, ...changes };
    const config = poolOfMemory(flags);
    expect(config).toMatchObject({ regionBytes: flags.regionSize, blockBytes: flags.blockSize });
    expect(new Geometry(config).nodeBytes).toBeLessThanOrEqual(flags.memory);
    const more = { ...config, regionsPerNode: config.regionsPerNode + 1 };
    expect(new Geometry(more).nodeBytes).toBeGreaterThan(flags.memory);
  });

  it.each([
    [{ regionSize: 3 << 20 }, 'region size is 3145728 bytes; it must be a power of two'],
    [
      { blockSize: 512 },
      "block size is 512 bytes; it must be a power of two from 1024 to the region's 8388608",
    ],
    [{ blockSize: 1 << 24 }, 'block size is 16777216 bytes; it must be'],
    [{ regionSize: 1 << 28 }, 'plan for fewer --keys or a smaller --region-size'],
    [
      { regionSize: 1024, blockSize: 1024, memory: 2 ** 31 },
      'use more nodes with less each, or larger regions',
    ],
  ])('is refused for %j', (changes, message) => {
    const make = (): unknown => poolOfMemory({ ...FLAGS, ...changes });
    expect(make).toThrow(UsageError);
    expect(make).toThrow(message);
  });
});
