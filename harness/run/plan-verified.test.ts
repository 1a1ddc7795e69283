import { describe, expect, it } from 'vitest';
import { Geometry, MAX_PAYLOAD_BYTES } from '../../fusee/layout/index.js';
import { type CellSize, workloadDemand } from './plan.js';
import { planVerified } from './plan-verified.js';

const size = (changes: Partial<CellSize> = {}): CellSize => ({
  workload: 'ycsb-a',
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  clients: 2,
  coroutines: 8,
  records: 1000,
  requests: 40_000,
  kvBytes: 128,
  ...changes,
});

/** Cells of each class, if it had all blocks but those set aside. */
function capacity(s: CellSize): { cells: number; live: number; written: number }[] {
  const demand = workloadDemand(s);
  const geometry = new Geometry(planVerified(s));
  const { nodes, regionsPerNode } = geometry.config;
  const blocks = nodes * (regionsPerNode * geometry.blocksPerRegion - geometry.reservedPerNode);
  return [...demand.objects].map(([sizeClass, written]) => ({
    cells: blocks * geometry.cellsPerBlock(sizeClass),
    live: Math.min(written, demand.keys),
    written,
  }));
}

describe('the pool of a verified cell', () => {
  it.each([
    {},
    { kvBytes: 1024 },
    { nodes: 1, indexReplicas: 1, dataReplicas: 1 },
    { clients: 4, records: 10 },
  ])('holds what lives, with slack, and not what is written: %j', (changes) => {
    const [{ cells, live, written }] = capacity(size(changes));
    expect(cells).toBeGreaterThan(2.5 * live);
    expect(cells).toBeLessThan(written);
  });

  it('has blocks of many cells, whatever the values', () => {
    for (const kvBytes of [48, 1024, MAX_PAYLOAD_BYTES]) {
      const s = size({ kvBytes, records: 20 });
      const geometry = new Geometry(planVerified(s));
      for (const sizeClass of workloadDemand(s).objects.keys())
        expect(geometry.cellsPerBlock(sizeClass)).toBeGreaterThanOrEqual(16);
    }
  });

  it.each([10, 1000, 60_000, 1e6])('has an index that begins small and has room for %d keys', (records) => {
    const { subtables, subtablesMax, groupsPerSubtable } = planVerified(size({ records, requests: 1000 }));
    const slots = groupsPerSubtable * 21;
    expect(subtables).toBeLessThanOrEqual(subtablesMax / 16);
    expect(slots * subtablesMax * 0.8).toBeGreaterThanOrEqual(records);
    if (records >= 1000) expect(slots * subtables).toBeLessThan(records / 4);
  });
});
