/**
 * Subtables that split while memory nodes die and their places are filled, and clients die with them: locks
 * that stood on a dead primary alone, directories that some backups have, depths that only the dead one knew.
 */
import { describe, expect, it } from 'vitest';
import { formatFailure, planOf, runPlan, type SwarmPlan } from './index.js';

/** An index that must grow from one subtable of two groups for its keys. */
function growing(seed: number): SwarmPlan {
  const plan = planOf(seed);
  const indexReplicas = 2 + (seed % 2);
  const index = { indexReplicas, dataReplicas: 2, subtables: 1, subtablesMax: 8, groupsPerSubtable: 2 };
  const memory = { blockBytes: 2048, regionBytes: 8192, regionsPerNode: 24 };
  return {
    ...plan,
    pool: { ...plan.pool, nodes: indexReplicas + ((seed >> 1) % 2), ...index, ...memory },
    clients: 3,
    coroutines: 2,
    requests: 60,
    keys: Array.from({ length: 100 }, (_, k) => `k${k}`),
    mix: [1, 6, 1, 1, 0],
    skew: 1,
    valueBytesLeast: 8,
    valueBytesMost: 30,
    thinkNs: 0,
    leaseNs: 20_000,
    roundNs: 3000,
    cuts: 0,
    crashes: seed % 3 === 0 ? 2 : 0,
    nodeCrashes: 1,
    refillNs: seed % 5 < 2 ? 0 : 20_000,
    fillDeath: 0.3,
    faults: { ...plan.faults, rpcLoss: 0 },
  };
}

describe('an index that grows', () => {
  it('goes on growing when a node dies, as if it had not', () => {
    const sums = { nodeCrashes: 0, nodeJoins: 0, fillDeaths: 0, crashes: 0 };
    const outcomes = new Set<string>();
    // Where the splitter goes on over a lock that was lost, seed 38 names objects twice.
    for (let seed = 1; seed <= 60; seed++) {
      const report = runPlan(growing(seed));
      if (report.findings.length > 0) expect.unreachable(formatFailure(report));
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += report[name];
      for (const name of Object.keys(report.outcomes)) outcomes.add(name);
    }
    expect(sums.nodeCrashes).toBeGreaterThan(50);
    expect(sums.nodeJoins).toBeGreaterThan(20);
    expect(sums.fillDeaths).toBeGreaterThan(5);
    expect(sums.crashes).toBeGreaterThan(20);
    // Keys beyond what one subtable holds have found room.
    expect([...outcomes].sort()).toEqual(['EXISTS', 'NOT_FOUND', 'OK']);
  }, 120_000);
});
