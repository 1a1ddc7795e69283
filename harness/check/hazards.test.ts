/**
 * Where the published protocol or its public code goes wrong: each naive way is explored until it fails, and
 * ours is explored to the end on the same scenario. Numbers are those of the project's list of hazards.
 */
import { describe, expect, it } from 'vitest';
import { BOUNDED_HAZARDS } from './bounded/hazards.js';
import { explore as exploreBounded, replay } from './bounded/index.js';
import { explore, story } from './find.js';
import { hazardTable, runHazards } from './hazard-table.js';
import { ANY_HARM, CAS_FAILED, checksLate, HAZARDS, LINEARIZABLE, WAITS } from './hazards.js';
import { insertVariant, modifyVariant } from './naive/variants.js';
import { makeScenario } from './scenario/scenario.js';

describe.each(HAZARDS)('$name', ({ slots, mix, options, naive, naiveOptions, says, ours }) => {
  it('is found when done naively', () => {
    const exploration = explore(makeScenario(slots, mix, { ...options, ...naiveOptions, variant: naive }));
    expect(exploration.violation?.message).toMatch(says);
    expect(story(exploration)).toContain('replay: ');
  });

  it('does not happen in ours', () => {
    const exploration = explore(makeScenario(slots, mix, { ...options, variant: ours }));
    expect(story(exploration)).toBeUndefined();
    expect(exploration.isPartial).toBe(false);
  });
});

describe('H11: a loser that takes the slot with whatever it observed there', () => {
  it('overwrites another key', () => {
    const variant = modifyVariant('loser takes the slot', { loser: 'takes the slot' });
    const exploration = explore(makeScenario('K0', 'U | D | I1 S1', { variant }));
    expect(exploration.violation?.message).toMatch(LINEARIZABLE);
  });

  it('does not happen in ours', () => {
    const exploration = explore(makeScenario('K0', 'U | D | I1 S1'));
    expect(story(exploration)).toBeUndefined();
    expect(exploration.isPartial).toBe(false);
  });
});

describe('the controls of the duplicate check', () => {
  it('explore a rebuilt INSERT that is right when all its switches are', () => {
    const exploration = explore(makeScenario('- -', 'I | I | I', { variant: insertVariant('right', {}) }));
    expect(story(exploration)).toBeUndefined();
  });

  it.each([
    ['X3: the lower slot survives', '- -', 'I | I', { conflict: 'lower survives' }, {}, ANY_HARM],
    ['X4: a matching tombstone is ignored', '- -', 'I | I | D | S', { check: 'no tombs' }, {}, ANY_HARM],
    ['X5: primary and backup are read at once', '- -', 'I | I | D | S', { check: 'unordered' }, {}, ANY_HARM],
    ['X7: votes are whole words', '- -', 'I | I | I1', { votes: 'word' }, { replicas: 3 }, CAS_FAILED],
    ['X8: undo puts the old value back', '- -', 'I | I | I1', { undo: 'restores' }, {}, WAITS],
    ['X8: undo begins at the primary', '- -', 'I | I | I1', { undo: 'primary first' }, {}, WAITS],
    ['X8b: the READs are not behind the CAS', '- -', 'I | I', { reads: 'unordered' }, {}, ANY_HARM],
  ] as const)('find %s', (name, slots, mix, changes, options, says) => {
    const variant = insertVariant(name, changes);
    const exploration = explore(makeScenario(slots, mix, { ...options, variant }));
    expect(exploration.violation?.message).toMatch(says);
  });

  it('X6: when both yield, attempts have no bound; in ours no request needs a fifth object', () => {
    const variant = insertVariant('both yield', { conflict: 'both yield' });
    expect(explore(makeScenario('- -', 'I | I', { variant })).cuts).toBeGreaterThan(0);
    expect(explore(makeScenario('- -', 'I | I')).cuts).toBe(0);
  });

  it('X9 is right as long as no node dies: only a master cannot tell', () => {
    expect(story(explore(makeScenario('- -', 'I | I | S', { variant: checksLate })))).toBeUndefined();
  });
});

describe('recovery', () => {
  it('survives the death of the recoverer', () => {
    const exploration = explore(makeScenario('- -', 'I | I', { crashes: 2 }));
    expect(story(exploration)).toBeUndefined();
  });
});

describe('H9: half an object', () => {
  it('is nothing to recovery, whatever prefix of its WRITEs a client leaves', () => {
    expect(story(explore(makeScenario('K0', 'U | S', { crashes: 1 })))).toBeUndefined();
    expect(story(explore(makeScenario('K0', 'I S I | U', { crashes: 1 })))).toBeUndefined();
    expect(story(explore(makeScenario('-', 'D U I | I', { crashes: 1 })))).toBeUndefined();
  });
});

describe.each(BOUNDED_HAZARDS)('$name', ({ bounds, ours, naive }) => {
  it.each(naive)('is found when $name', ({ makeWorld, says }) => {
    const { failure } = exploreBounded(makeWorld, bounds);
    expect(failure?.message).toMatch(says);
    expect(failure?.told.at(-1)).toBe(failure?.message);
    expect(replay(makeWorld, failure?.schedule ?? '')).toBe(failure?.message);
  });

  it('does not happen in ours', () => {
    const found = exploreBounded(ours, bounds);
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });
});

describe('the table of hazards', () => {
  it('has those of crashes in its short form, each found and absent in ours', () => {
    const short = runHazards({ short: true });
    const table = hazardTable(short);
    for (const number of ['H7', 'H8', 'H10', 'H15', 'H17', 'H18'])
      expect(table).toMatch(
        new RegExp(`^\\| ${number}: [^|]+ \\| [^|]+ \\| found \\| \\d+ \\| clean \\|`, 'm'),
      );
    expect(short.filter(({ isHeld }) => !isHeld)).toEqual([]);
  });

  it('says so when a naive way is not found, and when ours is not clean', () => {
    const [hazard] = HAZARDS;
    const hazards = [
      { ...hazard, name: 'not found', naive: { name: 'the product' } },
      { ...hazard, name: 'not clean', ours: hazard.naive },
    ];
    const rows = runHazards({ hazards });
    expect(rows.map(({ isHeld }) => isHeld)).toEqual([false, false]);
    expect(rows[1].violations[0]).toContain('replay: fusee verify');
    expect(hazardTable(rows)).toMatch(
      /^\| not found \| the product \| NOT FOUND .*\n\| not clean .* 1 VIOLATIONS /m,
    );
  });
});
