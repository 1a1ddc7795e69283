/**
 * Fresh processes take the places of memory nodes that have died, in the simulator, while clients work, die
 * and are recovered: nothing is lost, and replicas agree to the byte.
 */
import { describe, expect, it } from 'vitest';
import { crowded } from './by-hand.js';
import { formatFailure, runPlan, type SwarmPlan } from './index.js';

const refilled = (seed: number, change: Partial<SwarmPlan> = {}): SwarmPlan =>
  crowded(seed, {
    requests: 40,
    mix: [1, 2, 2, 2, 0],
    valueBytesMost: 80,
    leaseNs: 20_000,
    refillNs: 1 + (seed % 5) * 20_000,
    fillDeath: 0,
    ...change,
  });

const SEEDS = 30;

const DEATHS: readonly [what: string, change: Partial<SwarmPlan>][] = [
  ['a node', {}],
  ['a node, while clients die too', { crashes: 3, recovererCrash: 0.3 }],
  ['a node, with deaths of the one that is to have it, and of clients', { fillDeath: 0.5 }],
  ['two nodes, the other one dying while a place is filled', { fillDeath: 0.5, nodeCrashes: 2 }],
];

describe.each(DEATHS)('the place of %s', (_, change) => {
  it('is filled: histories are linearizable, memory adds up, and every request is answered', () => {
    const sums = { nodeJoins: 0, fillRounds: 0, fillDeaths: 0, crashes: 0, requests: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const plan = refilled(seed, change);
      const three = { ...plan.pool, nodes: 4, indexReplicas: 3, dataReplicas: 3 };
      const report = runPlan(change.nodeCrashes === 2 ? { ...plan, pool: three } : plan);
      if (report.findings.length > 0) expect.unreachable(formatFailure(report));
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += report[name];
    }
    expect(sums.nodeJoins).toBeGreaterThan(0.75 * SEEDS);
    expect(sums.fillRounds).toBeGreaterThan(5);
    if (change.fillDeath !== undefined) expect(sums.fillDeaths).toBeGreaterThan(5);
  }, 240_000);
});
