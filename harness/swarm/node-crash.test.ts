/** Memory nodes that die in the simulator, alone and with clients: nothing is lost, and nobody hangs. */
import { describe, expect, it } from 'vitest';
import { crowded } from './by-hand.js';
import { formatFailure, runPlan, type SwarmPlan } from './index.js';

/** One node less at the end. */
const dying = (seed: number, change: Partial<SwarmPlan> = {}): SwarmPlan =>
  crowded(seed, { requests: 12, mix: [1, 2, 1, 2, 0], valueBytesMost: 8, ...change });

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
