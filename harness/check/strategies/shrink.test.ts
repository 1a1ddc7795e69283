/** Failing schedules of the random and priority strategies, made short and told. */
import { describe, expect, it, vi } from 'vitest';
import { trySchedules } from '../find.js';
import { redoVariant } from '../naive/recovery.js';
import { deleteWritesZero, insertVariant, modifyVariant } from '../naive/variants.js';
import { makeScenario, type Scenario } from '../scenario/scenario.js';
import { parseSchedule } from '../schedule.js';
import { Exhaustive } from './exhaustive.js';
import { PctStrategy } from './pct.js';
import { RandomStrategy } from './random.js';
import { ReplayStrategy } from './replay.js';
import { kindOfWrong, shrinkSchedule } from './shrink.js';
import { runSchedule, type Strategy } from './strategy.js';

vi.setConfig({ testTimeout: 60_000 });

const noCheck = makeScenario('- -', 'I S I | I D | S S S', {
  variant: insertVariant('no duplicate check', { check: 'none' }),
});
const loserSaysOk = makeScenario('K0', 'U S U S | D S I S', {
  variant: modifyVariant('losing DELETE says OK', {}),
});
const zero = makeScenario('-', 'I0 D0 S0 | I1 S1 D1', { replicas: 3, variant: deleteWritesZero });
const redo = makeScenario('K0', 'U S | U S', { crashes: 2, variant: redoVariant('if uncommitted') });

const byLots = (): Strategy => new RandomStrategy(1, 5000);
const byPriorities = (): Strategy => new PctStrategy(1, 5000, { depth: 3, events: 60 });

/** The schedule in the last line of what is told. */
const replayOf = (told: string): string => /--replay '([^']*)'$/.exec(told)?.[1] ?? '';

/** The same failure met by breadth first search: no schedule is shorter by far. */
function shortest(scenario: Scenario): number {
  return new Exhaustive(scenario).run().violation?.events.length ?? 0;
}

describe.each([
  ['no duplicate check, by lots', noCheck, byLots, 'CASes slot 1 on the primary, EMPTY -> KV('],
  ['no duplicate check, by priorities', noCheck, byPriorities, 'CASes slot 1 on the primary, EMPTY -> KV('],
  ['a losing DELETE that says OK, by lots', loserSaysOk, byLots, 'FAILS, found KV('],
  ['a DELETE that writes 0, by lots', zero, byLots, '-> EMPTY: done'],
  ['a recovery that redoes, by lots', redo, byLots, 'DIES'],
] as const)('%s', (_, scenario, strategy, verb) => {
  const { failure } = trySchedules(scenario, strategy());
  const replay = replayOf(failure?.told ?? '');
  const events = parseSchedule(replay);

  it('becomes about as short as the shortest schedule that there is', () => {
    const found = failure?.outcome.events.length ?? 0;
    expect(events.length).toBeLessThanOrEqual(found);
    expect(events.length).toBeLessThanOrEqual(1.5 * shortest(scenario));
  });

  it('still fails in the same way when its text is replayed', () => {
    const strategyOfText = new ReplayStrategy(replay);
    expect(strategyOfText.begin()).toBe(true);
    const { wrong } = runSchedule(scenario, strategyOfText);
    expect(wrong).toBe(failure?.wrong);
    expect(kindOfWrong(wrong ?? '')).toBe(kindOfWrong(failure?.outcome.wrong ?? ''));
  });

  it('is told verb by verb, and names the verb that does the harm', () => {
    expect(failure?.told).toContain(verb);
    expect(failure?.told).toMatch(/^.* \(shrunk from \d+ events to \d+, in \d+ attempts\)\nscenario /);
  });

  it('comes out the same every time', () => {
    expect(trySchedules(scenario, strategy()).failure?.told).toBe(failure?.told);
  });
});

describe('shrinking', () => {
  const scenario = makeScenario('- -', 'I S | I S', { variant: noCheck.variant, crashes: 1 });
  const { failure } = trySchedules(scenario, new RandomStrategy(3, 5000, { failsOneIn: 6 }), {
    shrinks: false,
  });
  const failing = { events: failure?.outcome.events ?? [], wrong: failure?.wrong ?? '' };

  it('keeps no death that the failure does not need', () => {
    expect(failing.events.some((e) => e.type === 'crash')).toBe(true);
    expect(shrinkSchedule(scenario, failing).events.some((e) => e.type === 'crash')).toBe(false);
  });

  it('ends after so many attempts, with what it has', () => {
    const shrunk = shrinkSchedule(scenario, failing, { attemptsMax: 5 });
    expect(shrunk.attempts).toBe(5);
    expect(shrunk.events.length).toBeLessThanOrEqual(failing.events.length);
  });

  it('tells kinds of failure apart by their words, not by their numbers', () => {
    expect(kindOfWrong("no order of the requests explains that client 0's request 1 ended so")).toBe(
      kindOfWrong('no order of the requests explains the contents at the end: key 0 = 3'),
    );
    expect(kindOfWrong('key 0 is visible twice, in slots 0 and 1')).toBe(
      'key # is visible twice, in slots # and #',
    );
    expect(kindOfWrong('somebody would wait for ever')).not.toBe(
      kindOfWrong('slot 1 is tentative at the end'),
    );
  });
});

describe('every schedule runs twice', () => {
  it('so that a variant that draws lots is found by any strategy', () => {
    let lots = 0;
    const variant = {
      name: 'drawing lots',
      loops: (run: { cx: { write: { expired: boolean } } }) => {
        run.cx.write.expired = lots++ % 3 === 0;
        return [];
      },
    };
    const scenario = makeScenario('K0', 'U | U', { variant, recovers: false });
    for (const strategy of [new RandomStrategy(1, 100), new PctStrategy(1, 100, { depth: 3, events: 30 })]) {
      lots = 0;
      const { failure } = trySchedules(scenario, strategy);
      expect(failure?.told).toMatch(/^not deterministic: .* differently the second time/);
    }
  });

  it('and a sound scenario passes, all schedules run', () => {
    expect(trySchedules(makeScenario('- -', 'I D | I'), new RandomStrategy(1, 20))).toEqual({
      schedules: 20,
    });
  });
});

describe('a schedule that cannot be', () => {
  it.each(['0.0 0.0', '3.0', '0>', '0.99', 'x7', '0/5+0', '0.1'])('is refused: %s', (text) => {
    const replay = new ReplayStrategy(text);
    replay.begin();
    expect(() => runSchedule(makeScenario('K0', 'U | U'), replay)).toThrow(
      /cannot happen there in K0: U \| U/,
    );
  });
});
