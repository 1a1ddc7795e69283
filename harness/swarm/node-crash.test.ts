/** Memory nodes that die in the simulator, alone and with clients: nothing is lost, and nobody hangs. */
import { describe, expect, it } from 'vitest';
import { formatFailure, planOf, runPlan, type SwarmPlan } from './index.js';
import { sharedKeys } from './plan.js';

/** Few keys that share their candidate slots, so that deaths meet open rounds; one node less at the end. */
function dying(seed: number, change: Partial<SwarmPlan> = {}): SwarmPlan {
  const plan = planOf(seed);
  const indexReplicas = 2 + (seed % 2);
  const pool = {
    ...plan.pool,
    nodes: 3 + ((seed >> 1) % 2),
    indexReplicas,
    dataReplicas: 2 + ((seed >> 2) % 2),
    subtables: 1,
    subtablesMax: 1,
    groupsPerSubtable: 2,
    blockBytes: 4096,
    regionBytes: 16_384,
    regionsPerNode: 2,
  };
  return {
    ...plan,
    pool,
    keys: sharedKeys(pool, 1 + (seed % 4), seed % 3 === 0),
    clients: 4,
    coroutines: 2,
    requests: 12,
    mix: [1, 2, 1, 2, 0],
    valueBytesLeast: 8,
    valueBytesMost: 8,
    thinkNs: 0,
    cuts: 0,
    crashes: 0,
    nodeCrashes: 1,
    ...change,
  };
}

const DEATHS: readonly [what: string, change: Partial<SwarmPlan>][] = [
  ['a node', {}],
  ['a node and clients', { crashes: 2, recovererCrash: 0.3 }],
  ['two nodes, of three replicas each', { nodeCrashes: 2, crashes: 1 }],
];

describe.each(DEATHS)('%s', (_, change) => {
  it('may die at any time: histories are linearizable, memory adds up, and every request is answered', () => {
    const sums = { nodeCrashes: 0, crashes: 0, slotsDecided: 0, requests: 0 };
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 50; seed++) {
      const plan = dying(seed, change);
      const isEnough = change.nodeCrashes === 2;
      const replicas = { indexReplicas: 3, dataReplicas: 3, nodes: 4 };
      const report = runPlan(isEnough ? { ...plan, pool: { ...plan.pool, ...replicas } } : plan);
      if (report.findings.length > 0) expect.unreachable(formatFailure(report));
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += report[name];
      for (const name of Object.keys(report.outcomes)) outcomes.add(name);
    }
    expect(sums.nodeCrashes).toBeGreaterThan(40);
    expect(sums.slotsDecided).toBeGreaterThan(20);
    expect(sums.requests).toBeGreaterThan(4000);
    if (change.crashes !== undefined) expect(sums.crashes).toBeGreaterThan(20);
    // Nobody is put off for a node that has died: others have what it had.
    expect([...outcomes]).not.toContain('UNAVAILABLE');
  }, 120_000);
});
