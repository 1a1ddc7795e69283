import { describe, expect, it } from 'vitest';
import { exhaustiveTable, runExhaustive } from './exhaustive.js';
import { explore } from './find.js';
import { insertVariant } from './naive/variants.js';
import { makeScenario } from './scenario/scenario.js';
import { BASE_MIXES, FULL_SUITES, PAIR_MIXES, SHORT_SUITES, suiteOf } from './scenario/suites.js';

const bare = suiteOf('bare slot', [['K0', 'W | W']], { replicas: 4 });

describe('the table of explorations', () => {
  it('reaches every verdict, and is clean, on a handful of small suites', () => {
    const suites = [
      bare,
      suiteOf('bare slot, link failure', [['K0', 'W | W']], { replicas: 3, cuts: 1 }),
      suiteOf('base', BASE_MIXES.slice(12), { replicas: 3 }),
    ];
    const seen: string[] = [];
    const result = runExhaustive({ suites, onRow: (row) => seen.push(row.suite) });
    expect(result.rows.flatMap((row) => row.violations)).toEqual([]);
    expect(result.missing).toEqual([]);
    expect(result.isClean).toBe(true);
    expect(seen).toEqual(suites.map((suite) => suite.name));
    expect(exhaustiveTable(result).split('\n')).toHaveLength(2 + suites.length);
  });

  it('is not clean when a verdict is never reached', () => {
    const result = runExhaustive({ suites: [bare] });
    expect(result.missing).toEqual(['Rule 3', 'FINISH', 'FAIL']);
    expect(result.isClean).toBe(false);
    expect(exhaustiveTable(result)).toContain('Never reached: Rule 3, FINISH, FAIL.');
  });

  it('tells each violation verb by verb', () => {
    const variant = insertVariant('no duplicate check', { check: 'none' });
    const result = runExhaustive({
      suites: [{ name: 'planted', scenarios: [makeScenario('- -', 'I | I', { variant })] }],
    });
    expect(result.isClean).toBe(false);
    expect(result.rows[0].violations[0]).toContain('replay: fusee verify');
    expect(exhaustiveTable(result)).toContain('1 VIOLATIONS');
  });

  it('counts schedules as paths: as many as the verbs of two clients have orders', () => {
    const suites = [{ name: 'readers', scenarios: [makeScenario('-', 'S | S')] }];
    expect(runExhaustive({ suites }).rows[0].schedules).toBe(2);
    const three = [{ name: 'readers', scenarios: [makeScenario('-', 'S S | S')] }];
    expect(runExhaustive({ suites: three }).rows[0].schedules).toBe(3);
  });

  it('explores one order of pointers where clients differ by name only: the other has as many states', () => {
    const { scenarios } = suiteOf('pair', [['K0', 'U S | U S']], { replicas: 3 });
    expect(scenarios.map(({ isReversed }) => isReversed)).toEqual([false]);
    const [scenario] = scenarios;
    const options = { countsSchedules: true };
    const [one, other] = [false, true].map((isReversed) => explore({ ...scenario, isReversed }, options));
    expect([other.states, other.schedules]).toEqual([one.states, one.schedules]);
    const mixed = suiteOf('pair', [['K0', 'U S | D S']], { replicas: 3 }).scenarios;
    expect(mixed.map(({ isReversed }) => isReversed)).toEqual([false, true]);
  });

  it('has, in its short form, an MN and a client that die at any verb, r = 2 and 3, each replica in turn', () => {
    const both = SHORT_SUITES.flatMap(({ scenarios }) => scenarios).filter(
      ({ dying, crashes }) => dying >= 0 && crashes > 0,
    );
    for (const replicas of [2, 3]) {
      for (const victim of [0, 1, 2]) {
        const names = both
          .filter((s) => s.replicas === replicas && s.dying === victim)
          .map(({ name }) => name);
        expect(names).toEqual(expect.arrayContaining(PAIR_MIXES.slice(1).map((mix) => mix.join(': '))));
      }
    }
  });

  it('knows a short form that explores less', () => {
    expect(SHORT_SUITES.length).toBeGreaterThan(5);
    expect(SHORT_SUITES.length).toBeLessThan(FULL_SUITES.length);
  });
});
