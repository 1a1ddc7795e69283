/** Hazard H13: splits under running clients, and what becomes of them without each of their rules. */
import { describe, expect, it } from 'vitest';
import { Outcome } from '../../fusee/ops/index.js';
import { type GrowingPlan, GrowingWorld } from './growing-world.js';
import { NAIVE_SPLITS } from './naive/split.js';

/** Runs a world to its end; what is wrong with it, or undefined. */
function harmOf(plan: GrowingPlan): { harm: string | undefined; world: GrowingWorld } {
  const world = new GrowingWorld(plan);
  const look = (): string | undefined => {
    world.run();
    world.settle();
    world.readAll();
    const { verdict, violation } = world.check();
    if (verdict !== 'ok') return `${verdict} of key ${violation?.key}`;
    if (world.actors.some(({ client }) => client.state.staleDirectories > 0))
      return 'a request met a subtable that had given its key away';
    return world.walk().findings[0]?.message;
  };
  try {
    return { harm: look(), world };
  } catch (error) {
    return { harm: (error as Error).message, world };
  }
}

describe.each([1, 2, 3])('an index of %i replicas that grows under its clients', (indexReplicas) => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('keeps what was acknowledged, at every moment (seed %i)', (seed) => {
    const { harm, world } = harmOf({ seed, pool: { indexReplicas } });
    expect(harm).toBeUndefined();
    expect(world.splits).toBeGreaterThan(0);
    expect(world.walk().index.splits).toBe(world.splits);
    expect(world.outcomes.get(Outcome.INDEX_FULL)).toBeUndefined();
  });
});

describe('H13: a split that', () => {
  it.each(Object.keys(NAIVE_SPLITS))('%s does harm', (name) => {
    const harms: string[] = [];
    for (let seed = 1; seed <= 40 && harms.length === 0; seed++) {
      const { harm } = harmOf({
        seed,
        pool: { indexReplicas: 1 + (seed % 3) },
        coroutines: 3,
        makeSplitter: NAIVE_SPLITS[name],
      });
      if (harm !== undefined) harms.push(harm);
    }
    expect(harms).toHaveLength(1);
  });
});

describe('a splitter that dies', () => {
  /** A client whose background dies after so many batches of a split; the others find its lock. */
  function dies(afterBatches: number, seed: number) {
    const world = new GrowingWorld({
      seed,
      pool: { indexReplicas: 1 + (seed % 3) },
      clients: 2,
      requests: 60,
    });
    const victim = world.join(1, 0);
    const { client } = victim;
    world.run(() => client.isReady);
    // It has no requests of its own: nothing of it is to be recovered but its split.
    let batches = 0;
    const { resume } = client.background;
    let isBegun = false;
    client.background.resume = () => {
      if (!isBegun) {
        client.state.splitsWanted.set(0, 0);
        isBegun = true;
      }
      resume();
      if (client.background.batch?.isPoll === false && client.splitter.isSplitting) batches++;
    };
    world.run(() => batches >= afterBatches || client.splitter.splits > 0);
    const isWhole = client.splitter.splits > 0;
    for (let i = world.random.below(12); i > 0; i--) world.stepOf(victim);
    world.kill(victim);
    const delay = world.events + world.random.below(3000);
    world.run(() => world.events >= delay);
    world.clear(victim);
    world.run();
    world.settle();
    world.readAll();
    expect(world.check()).toMatchObject({ verdict: 'ok' });
    expect(world.walk().findings).toEqual([]);
    return { isWhole, takeovers: world.actors.reduce((n, a) => n + a.client.splitter.takeovers, 0) };
  }

  it('at any batch is taken over, and nothing is lost', () => {
    let takeovers = 0;
    let lengths = 0;
    for (let after = 1; ; after++) {
      const ends = [1, 2].map((n) => dies(after, after * 10 + n));
      takeovers += ends.reduce((n, end) => n + end.takeovers, 0);
      lengths = after;
      if (ends.every(({ isWhole }) => isWhole)) break;
    }
    expect(lengths).toBeGreaterThan(8);
    expect(takeovers).toBeGreaterThan(lengths);
  }, 120_000);
});
