/** What the model makes of a dying MN and of its master, against real clients, nodes and masters. */
import { describe, expect, it } from 'vitest';
import { formatWord, word } from '../../../fusee/verbs/index.js';
import { makeScenario, type Scenario } from '../scenario/scenario.js';
import { FAILOVER_MIXES } from '../scenario/suites.js';
import { formatSchedule } from '../schedule.js';
import { Exhaustive } from '../strategies/exhaustive.js';
import { Random } from '../strategies/seeded.js';
import { World } from '../world.js';
import type { Event } from './event.js';
import { Invariants } from './invariants.js';
import { Model } from './model.js';

const SEED = Number(process.env['EXPLORER_SEED'] ?? Date.now() % 1_000_000);
const STEPS_MAX = 300;

/** One random walk through the model, every step of it taken for real too. Returns the events it met. */
function walk(model: Model, random: Random): Event[] {
  const { scenario } = model;
  const world = new World(scenario, { pool: model.pool, interner: model.interner });
  const invariants = new Invariants(model);
  const sofar: Event[] = [];
  let state: Int32Array | undefined;
  const step = (from: (emit: Parameters<Model['start']>[0]) => void): void => {
    const found: { state: Int32Array; events: readonly Event[] }[] = [];
    from((next, violation, events) => {
      expect(violation).toBeUndefined();
      found.push({ state: next.slice(), events });
    });
    const next = random.pick(found);
    state = next.state;
    for (const event of next.events) {
      sofar.push(event);
      const wrong = world.apply(event);
      if (wrong !== undefined) expect(`${formatSchedule(sofar)}: ${wrong}`).toBeUndefined();
    }
    const words = scenario.slots.flatMap((_, slot) =>
      Array.from({ length: scenario.replicas }, (_unused, r) => formatWord(world.slotWord(slot, r, word()))),
    );
    const told = model.describe(state).split(' | ')[0];
    if (told !== words.join(' ')) expect(told, formatSchedule(sofar)).toBe(words.join(' '));
  };
  step((emit) => model.start(emit));
  for (let i = 0; i < STEPS_MAX && state !== undefined && !invariants.isFinal(state); i++) {
    const from = state;
    if (invariants.isCut(from)) return sofar;
    step((emit) => model.expand(from, emit));
  }
  if (state !== undefined && invariants.isFinal(state)) {
    expect(world.isOver, formatSchedule(sofar)).toBe(true);
    expect(world.wrongAtEnd(), formatSchedule(sofar)).toBeUndefined();
  }
  return sofar;
}

describe('the model of a dying MN', () => {
  const ways = [
    { replicas: 2, dying: 0 },
    { replicas: 2, dying: 1 },
    { replicas: 2, dying: 2, dataReplicas: 3 },
    { replicas: 1, dying: 1 },
    { replicas: 3, dying: 0 },
    { replicas: 3, dying: 1 },
  ];

  it(`does what clients, nodes and masters do, on random walks (seed ${SEED})`, () => {
    const random = new Random(SEED);
    const met = new Set<string>();
    for (const [w, way] of ways.entries()) {
      for (const [slots, mix] of FAILOVER_MIXES.filter((_, m) => m % 3 === w % 3)) {
        const model = new Model(makeScenario(slots, mix, { ...way, crashes: 1 }));
        for (let i = 0; i < 6; i++) for (const { type } of walk(model, random)) met.add(type);
      }
    }
    expect([...met].sort()).toEqual(['adopt', 'arbitrate', 'crash', 'kill', 'lose', 'resume', 'unit']);
  }, 60_000);

  const endsOf = (scenario: Scenario, options: { reduces?: boolean; merges?: boolean }): string[] => {
    const ends = new Set<string>();
    const onEnd = (model: Model, state: Int32Array): unknown => ends.add(model.describe(state));
    const { violation } = new Exhaustive(scenario, { ...options, onEnd }).run();
    expect(violation).toBeUndefined();
    return [...ends].sort();
  };

  it.each([
    makeScenario('K0', 'U | U', { dying: 0 }),
    makeScenario('K0', 'U | D', { dying: 1, replicas: 3 }),
    makeScenario('-', 'I0 | I1', { dying: 0 }),
    makeScenario('-', 'I | D', { dying: 2, dataReplicas: 3 }),
    makeScenario('-', 'I | I', { dying: 1, crashes: 1 }),
  ])(
    'ends alike, reduced or not, merged or not: $name, r = $replicas, $dying dies',
    (scenario) => {
      const reduced = endsOf(scenario, {});
      expect(reduced.length).toBeGreaterThan(0);
      expect(endsOf(scenario, { merges: false })).toEqual(reduced);
      expect(endsOf(scenario, { reduces: false })).toEqual(reduced);
    },
    60_000,
  );
});
