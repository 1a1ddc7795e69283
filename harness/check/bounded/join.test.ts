/**
 * Nodes that join while clients write, verb by verb; naive ways are found, and ours is clean. Bounds are such
 * that all of it takes some seconds. Clean by hand, on two cores: two writers with 1 preemption (5,360
 * schedules, 40,500 states, 9 s), the node that joins, or another, dying anywhere with 1 (some 10 s each).
 */
import { describe, expect, it } from 'vitest';
import { type Bounds, explore } from './explore.js';
import type { JoinWorldOptions } from './join-master.js';
import { joinPool, joinWorld } from './join-world.js';
import type { BoundedPool } from './pool.js';

/** One replica is left, and the place of the backup is filled, or that of the primary; or two are left. */
const POOLS: readonly (readonly [what: string, pool: BoundedPool, mn: number])[] = [
  ['the backup of one that is left', joinPool(1), 1],
  ['the primary of one that is left', joinPool(0), 0],
  ['the first backup of three', joinPool(1, { nodes: 3, indexReplicas: 3, dataReplicas: 3 }), 1],
];

type Case = readonly [
  what: string,
  mix: string,
  options: (mn: number) => Partial<JoinWorldOptions>,
  bounds: Bounds,
];

const CASES: readonly Case[] = [
  ['a client writes', 'U0 I1', () => ({}), { preemptions: 1 }],
  ['more is copied first', 'U0 I1', () => ({ stoppedBytes: 0 }), { preemptions: 1 }],
  ['two clients write', 'U0 | U0', () => ({}), { preemptions: 0 }],
  ['its writer dies anywhere', 'U0', () => ({}), { preemptions: 0, crashes: 1 }],
  ['the node that joins dies', 'U0', (mn) => ({ dies: mn }), { preemptions: 0 }],
];

describe.each(POOLS)('%s', (_, pool, mn) => {
  it.each(CASES)('joins while %s', (_what, mix, options, bounds) => {
    const found = explore(joinWorld(pool, mix, { mn, ...options(mn) }), bounds);
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });

  it.each(['nobody notes what is written to', 'nobody stops'] as const)(
    'is not the same when %s',
    (naive) => {
      const { failure } = explore(joinWorld(pool, 'U0 I1', { mn, naive }), { preemptions: 1 });
      expect(failure?.message).toMatch(/^the replicas of bucket \d slot \d \(primary\) differ at the end$/);
    },
  );
});

it('the node that joins may die anywhere', () => {
  const [, pool, mn] = POOLS[1];
  const found = explore(joinWorld(pool, 'U0', { mn, dies: mn }), { preemptions: 1 });
  expect(found.failure?.told.join('\n')).toBeUndefined();
  expect(found.complete).toBe(true);
});

it.each([0, 2])('node %i may die while another one joins, and a client writes', (dies) => {
  const [, pool, mn] = POOLS[2];
  const found = explore(joinWorld(pool, 'U0 I1', { mn, dies }), { preemptions: 0 });
  expect(found.failure?.told.join('\n')).toBeUndefined();
  expect(found.complete).toBe(true);
});
