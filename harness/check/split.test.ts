/** Hazard H13: splits under running clients. */
import { describe, expect, it } from 'vitest';
import { GrowingWorld } from './growing-world.js';

describe.each([1, 2, 3])('an index of %i replicas that grows under its clients', (indexReplicas) => {
  it.each([1, 2, 3, 4, 5, 6])('keeps what was acknowledged, at every moment (seed %i)', (seed) => {
    const world = new GrowingWorld({ seed, pool: { indexReplicas } });
    world.run();
    world.settle();
    world.readAll();
    expect(world.check()).toMatchObject({ verdict: 'ok' });
    const { findings, index } = world.walk();
    expect(findings).toEqual([]);
    expect(index.splits).toBe(world.splits);
    expect(world.splits).toBeGreaterThan(0);
  });
});
