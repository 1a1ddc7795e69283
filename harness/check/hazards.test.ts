/**
 * Where the published protocol or its public code goes wrong: each naive way is explored until it fails, and
 * ours is explored to the end on the same scenario. Numbers are those of the project's list of hazards.
 */
import { describe, expect, it } from 'vitest';
import { BOUNDED_HAZARDS } from './bounded/hazards.js';
import { explore as exploreBounded, replay } from './bounded/index.js';
import { explore, story } from './find.js';
import {
  adoptsAlone,
  anyBackup,
  comparesWithLater,
  fencesNobody,
  otherMeansLost,
  readsBackups,
  stopsNobody,
} from './naive/failover.js';
import { backupsFirst, redoVariant } from './naive/recovery.js';
import {
  deleteWritesZero,
  expiredAtOnce,
  insertVariant,
  modifyVariant,
  publishesEarly,
  valueRecurs,
} from './naive/variants.js';
import { makeScenario, type Scenario, type Variant } from './scenario/scenario.js';

type Options = Partial<Omit<Scenario, 'slots' | 'programs' | 'variant'>>;

interface Hazard {
  readonly name: string;
  readonly slots: string;
  readonly mix: string;
  readonly options?: Options;
  readonly naive: Variant;
  /** What the naive way's violation must say. */
  readonly says: RegExp;
  /** Our way, when it is not just the product as it is. */
  readonly ours?: Variant;
}

const LINEARIZABLE = /no order of the requests explains/;
const WAITS = /would wait for ever/;
const CAS_FAILED = /CAS of .* failed/;
const ANY_HARM = /no order|wait for ever|failed|differ|twice/;

const checksLate = insertVariant('a check with the commit', { check: 'with the commit' });

const HAZARDS: readonly Hazard[] = [
  {
    name: 'H1: a losing INSERT says OK although its key is nowhere',
    slots: '-',
    mix: 'I0 S0 | I1 S1',
    naive: insertVariant('losing INSERT says OK', { loser: 'says OK', check: 'none' }),
    says: LINEARIZABLE,
  },
  {
    name: 'H1: without a duplicate check, one key goes into two slots',
    slots: '- -',
    mix: 'I | I',
    naive: insertVariant('no duplicate check', { check: 'none' }),
    says: LINEARIZABLE,
  },
  {
    name: 'H2: two DELETEs that write 0 both win',
    slots: 'K0',
    mix: 'D | D',
    naive: deleteWritesZero,
    says: CAS_FAILED,
  },
  {
    name: 'H2: 0 comes back under a delayed INSERT',
    slots: '-',
    mix: 'I0 D0 | I1',
    naive: deleteWritesZero,
    says: CAS_FAILED,
  },
  {
    name: 'H2: the same over three replicas',
    slots: '-',
    mix: 'I0 D0 | I1',
    options: { replicas: 3 },
    naive: deleteWritesZero,
    says: CAS_FAILED,
  },
  {
    name: 'H3: a DELETE that loses to an UPDATE says OK',
    slots: 'K0',
    mix: 'U S | D S',
    naive: modifyVariant('losing DELETE says OK', {}),
    says: LINEARIZABLE,
  },
  {
    name: 'H6: an UPDATE takes the cached word for the old value',
    slots: 'K0',
    mix: 'U S | U S',
    options: { isCached: true },
    naive: modifyVariant('UPDATE by the cached word', { vOld: 'cached' }),
    says: LINEARIZABLE,
  },
  {
    name: 'H8: a CAS arrives rounds late, and its old value has come back',
    slots: 'K0',
    mix: 'W W | W',
    options: { replicas: 3 },
    naive: valueRecurs,
    says: ANY_HARM,
  },
  {
    name: 'H10: an INSERT whose deadline strikes abandons its claim',
    slots: '- -',
    mix: 'I0 | I0 | I1',
    options: { recovers: false },
    naive: {
      name: 'abandons its claim',
      loops: (run) => {
        expiredAtOnce(0).loops?.(run);
        return insertVariant('', { deadline: 'abandons' }).loops?.(run) ?? [];
      },
    },
    says: WAITS,
    ours: expiredAtOnce(0),
  },
  {
    name: 'H7: a zombie, of which verbs are in flight when it is recovered',
    slots: 'K0',
    mix: 'U | U',
    options: { crashes: 1 },
    naive: fencesNobody,
    says: ANY_HARM,
  },
  {
    name: 'H7: a master that decides while clients are at work',
    slots: 'K0',
    mix: 'U | U',
    options: { replicas: 3, dying: 0 },
    naive: stopsNobody,
    says: ANY_HARM,
  },
  {
    name: 'H18: a lost link taken for a crash, so that readers see new, then old',
    slots: 'K0',
    mix: 'U | S | S',
    options: { dying: 0, mnCrashes: 0, cuts: 1 },
    naive: adoptsAlone,
    says: LINEARIZABLE,
  },
  {
    name: 'X9: a duplicate check beside the log commit, then the primary dies',
    slots: '- -',
    mix: 'I | I',
    options: { dying: 0 },
    naive: checksLate,
    says: ANY_HARM,
  },
  {
    name: 'X11: "w is other, so I lost", after the own CAS of the primary',
    slots: 'K0',
    mix: 'D0 | I1',
    options: { dying: 0 },
    naive: otherMeansLost,
    says: LINEARIZABLE,
  },
  {
    name: 'X11b: any living backup value stands',
    slots: '- -',
    mix: 'I | I',
    options: { dying: 0 },
    naive: anyBackup,
    says: ANY_HARM,
  },
  {
    name: 'X11b: the same over three replicas',
    slots: '- -',
    mix: 'I | I',
    options: { dying: 0, replicas: 3 },
    naive: anyBackup,
    says: ANY_HARM,
  },
  {
    name: 'H25: a resumed INSERT compares the backup with a later primary',
    slots: '- -',
    mix: 'I | I',
    options: { dying: 2, dataReplicas: 3 },
    naive: comparesWithLater,
    says: ANY_HARM,
  },
  {
    name: 'X12: a reader that falls back to backups before the view changes',
    slots: '- -',
    mix: 'I | I | S',
    options: { dying: 0 },
    naive: readsBackups,
    says: LINEARIZABLE,
  },
];

describe.each(HAZARDS)('$name', ({ slots, mix, options, naive, says, ours }) => {
  it('is found when done naively', () => {
    const exploration = explore(makeScenario(slots, mix, { ...options, variant: naive }));
    expect(exploration.violation?.message).toMatch(says);
    expect(story(exploration)).toContain('replay: ');
  });

  it('does not happen in ours', () => {
    const exploration = explore(makeScenario(slots, mix, { ...options, variant: ours }));
    expect(story(exploration)).toBeUndefined();
    expect(exploration.isPartial).toBe(false);
  });
});

describe('H10: a client that is stopped between backups and primary', () => {
  const mix = ['K0', 'U | U'] as const;

  it('leaves the next writer waiting when nobody recovers it', () => {
    const exploration = explore(makeScenario(...mix, { crashes: 1, recovers: false }));
    expect(exploration.violation?.message).toMatch(WAITS);
  });

  it('holds up nobody once it is recovered', () => {
    expect(story(explore(makeScenario(...mix, { crashes: 1 })))).toBeUndefined();
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
  it.each([
    ['X10: reads the backups before the primary', 'K0', 'D | I S', 2, backupsFirst, LINEARIZABLE],
    ['X10 with three replicas', 'K0', 'D | I', 3, backupsFirst, LINEARIZABLE],
    [
      'X10b: redoes what is committed and nowhere',
      '-',
      'I | D S',
      2,
      redoVariant('if committed and nowhere'),
      LINEARIZABLE,
    ],
    [
      'X10c: redoes from scratch with traces left',
      '- -',
      'I | I',
      3,
      redoVariant('if uncommitted'),
      /differ|wait for ever/,
    ],
    ['H15: redoes an UPDATE with a new object', 'K0', 'U | U', 2, redoVariant('if uncommitted'), WAITS],
    [
      'H15: redoes an INSERT in another slot',
      '- -',
      'I0 | I1',
      2,
      redoVariant('if uncommitted'),
      /differ|wait for ever/,
    ],
    [
      'H15: redoes an acknowledged UPDATE, one replica',
      'K0',
      'U | U S',
      1,
      redoVariant('always'),
      LINEARIZABLE,
    ],
  ] as const)('%s: found; ours is clean', (_, slots, mix, replicas, variant, says) => {
    const naive = explore(makeScenario(slots, mix, { replicas, crashes: 1, variant }));
    expect(naive.violation?.message).toMatch(says);
    expect(story(explore(makeScenario(slots, mix, { replicas, crashes: 1 })))).toBeUndefined();
  });

  it('survives the death of the recoverer', () => {
    const exploration = explore(makeScenario('- -', 'I | I', { crashes: 2 }));
    expect(story(exploration)).toBeUndefined();
  });
});

describe('H9: half an object', () => {
  it('reaches a reader when the slot is written beside the object, not after it', () => {
    const exploration = explore(makeScenario('K0', 'U | S', { variant: publishesEarly }));
    expect(exploration.violation?.message).toMatch(/not whole/);
  });

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
