/** The model against the real thing: what it takes for granted, and what its reductions leave out. */
import { describe, expect, it } from 'vitest';
import { LINE_BYTES, LOG_ENTRY_BYTES } from '../../../fusee/layout/index.js';
import { word } from '../../../fusee/verbs/index.js';
import { backupsFirst, redoVariant } from '../naive/recovery.js';
import { deleteWritesZero, insertVariant } from '../naive/variants.js';
import { makeScenario, type Scenario } from '../scenario/scenario.js';
import { BASE_MIXES, CRASH_MIXES } from '../scenario/suites.js';
import { Exhaustive } from '../strategies/exhaustive.js';
import { Random } from '../strategies/seeded.js';
import { World } from '../world.js';
import type { Event } from './event.js';
import type { ModelOptions } from './states.js';
import { Unfolding } from './unfolding.js';
import { type Unit, UnitKind } from './units.js';

/** A seed of its own for every run, printed with any failure; set to repeat one. */
const SEED = Number(process.env['EXPLORER_SEED'] ?? Date.now() % 1_000_000);

/** What a unit brought, as the model numbers it. */
function resultOf(world: World, unit: Unit, before: number, isRecovery: boolean): number {
  if (unit.kind === UnitKind.WRITE) return 0;
  if (unit.kind !== UnitKind.READ_LINE) return before;
  const { view } = world.pool;
  const bytes = new Uint8Array(LINE_BYTES);
  const pointer = world.pool.pointerOf(unit);
  const replica = unit.place % world.scenario.dataReplicas;
  world.nodes.read(view.dataMn(pointer, replica), view.dataOffset(pointer, replica), bytes, 0, LINE_BYTES);
  const used = bytes[LINE_BYTES - 1] & 1;
  if (!isRecovery) bytes.fill(0, LINE_BYTES - LOG_ENTRY_BYTES).fill(used, LINE_BYTES - 1);
  return world.interner.bytes(bytes, 0, LINE_BYTES);
}

/** Runs one random schedule for real, with the model beside it; returns the number of events compared. */
function runInLockstep(scenario: Scenario, unfolding: Unfolding, random: Random): number {
  const world = new World(scenario, { pool: unfolding.pool, interner: unfolding.interner });
  const locals = [...unfolding.initial];
  const compare = (client: number, after: string): void => {
    const node = unfolding.nodeOf(locals[client]);
    const { run, units } = world.actors[client];
    const isDone = run.batch === null;
    const real = JSON.stringify([units, run.responses, run.error, isDone, run.request]);
    const model = JSON.stringify([node.units, node.responses, node.error, node.isDone, node.request]);
    if (real !== model) expect(model, after).toBe(real);
  };
  let events = 0;
  for (; !world.isOver && events < 2000; events++) {
    const enabled = world.enabled();
    const calm = enabled.filter((e) => e.type !== 'crash');
    const event: Event = random.pick(random.below(15) === 0 || calm.length === 0 ? enabled : calm);
    if (event === undefined) break;
    if (!('client' in event)) throw new Error('not asked for');
    const { client } = event;
    if (event.type === 'unit') {
      const actor = world.actors[client];
      const unit = actor.units[event.unit];
      const { replicas } = scenario;
      const w = world.slotWord(
        Math.floor(unit.place / replicas) % scenario.slots.length,
        unit.place % replicas,
        word(),
      );
      const before = world.interner.word(w.hi, w.lo);
      world.apply(event);
      locals[client] = unfolding.step(
        locals[client],
        event.unit,
        resultOf(world, unit, before, actor.isRecovery),
      );
    } else if (event.type === 'resume') {
      world.apply(event);
      locals[client] = unfolding.resume(locals[client], event.choice);
      compare(
        client,
        `${scenario.name}, r = ${scenario.replicas}: after event ${events} of client ${client}`,
      );
    } else {
      world.apply(event);
      locals[client] = unfolding.crash(locals[client]);
      compare(client, `after the death of client ${client}`);
    }
  }
  return events;
}

describe('the unfolded model', () => {
  const cases = [1, 2, 3].flatMap((replicas) => [
    ...BASE_MIXES.map((mix) => ({ mix, options: { replicas } })),
    ...CRASH_MIXES.map((mix) => ({ mix, options: { replicas, crashes: 2 } })),
    { mix: ['K0', 'U S | U D'] as const, options: { replicas, isCached: true } },
    { mix: ['- -', 'I0 | I1 D0 | I0'] as const, options: { replicas, sharesFingerprint: true } },
    { mix: ['K0 -', 'I1 | D0 I1 | I0'] as const, options: { replicas, sharesFingerprint: true, crashes: 1 } },
  ]);

  it(`does what the generators do, on random schedules of every mix (seed ${SEED})`, () => {
    const random = new Random(SEED);
    let events = 0;
    for (const { mix, options } of cases) {
      const scenario = makeScenario(mix[0], mix[1], options);
      const pool = World.shared(scenario);
      const unfolding = new Unfolding(pool.pool, pool.interner, { reduces: true, merges: true });
      for (let i = 0; i < 10; i++) events += runInLockstep(scenario, unfolding, random);
    }
    expect(events).toBeGreaterThan(20_000);
  }, 30_000);
});

/** Everything an exploration can end in. */
function endsOf(
  scenario: Scenario,
  options: ModelOptions,
): { ends: string[]; states: number; violation: string | undefined } {
  const ends = new Set<string>();
  const exploration = new Exhaustive(scenario, {
    ...options,
    onEnd: (model, state) => ends.add(model.describe(state)),
  }).run();
  return { ends: [...ends].sort(), states: exploration.states, violation: exploration.violation?.message };
}

describe('reduced and full exploration', () => {
  const small = [
    makeScenario('K0', 'U | U'),
    makeScenario('K0', 'U | D', { replicas: 3 }),
    makeScenario('K0', 'D S | D S'),
    makeScenario('-', 'I0 | I1'),
    makeScenario('- -', 'I | I'),
    makeScenario('- -', 'I | I', { replicas: 1 }),
    makeScenario('K0', 'D I | S', { replicas: 1 }),
    makeScenario('K0', 'U | U', { crashes: 1 }),
    makeScenario('K0', 'U | D', { crashes: 1, replicas: 3, dataReplicas: 1 }),
    makeScenario('-', 'I | D', { crashes: 1, dataReplicas: 1 }),
  ];

  it.each(small)('end alike: $name, r = $replicas, $crashes crashes', (scenario) => {
    const reduced = endsOf(scenario, {});
    const whole = endsOf(scenario, { reduces: false });
    expect(reduced.violation).toBeUndefined();
    expect(whole.violation).toBeUndefined();
    expect(reduced.ends.length).toBeGreaterThan(0);
    expect(whole.ends).toEqual(reduced.ends);
    expect(whole.states).toBeGreaterThan(reduced.states);
  });

  it.each([
    makeScenario('-', 'I0 S0 | I1 S1', { variant: insertVariant('loser says OK', { loser: 'says OK' }) }),
    makeScenario('- -', 'I | I', { variant: insertVariant('no check', { check: 'none' }) }),
    makeScenario('- -', 'I | I', {
      variant: insertVariant('READs ahead of the CAS', { reads: 'unordered' }),
    }),
    makeScenario('K0', 'D | D', { variant: deleteWritesZero }),
    makeScenario('K0', 'D | I', { variant: backupsFirst, crashes: 1, dataReplicas: 1 }),
    makeScenario('K0', 'U | U', { variant: redoVariant('if uncommitted'), crashes: 1, dataReplicas: 1 }),
  ])('both find what is wrong with $variant.name', (scenario) => {
    expect(endsOf(scenario, {}).violation).toBeDefined();
    expect(endsOf(scenario, { reduces: false }).violation).toBeDefined();
    expect(endsOf(scenario, { merges: false }).violation).toBeDefined();
  });

  it.each([
    makeScenario('K0', 'U | U', { replicas: 3 }),
    makeScenario('K0', 'D S | D S'),
    makeScenario('- -', 'I | I'),
    makeScenario('- -', 'I D | I', { replicas: 1 }),
    makeScenario('- -', 'I | I', { crashes: 1 }),
    makeScenario('- K1', 'I0 | D1 S0', { replicas: 2 }),
  ])('end alike when local states are never merged: $name, r = $replicas', (scenario) => {
    const merged = endsOf(scenario, {});
    const apart = endsOf(scenario, { merges: false });
    expect(apart.violation).toBeUndefined();
    expect(apart.ends).toEqual(merged.ends);
    expect(apart.states).toBeGreaterThanOrEqual(merged.states);
  });
});
