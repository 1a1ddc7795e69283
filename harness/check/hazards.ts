/**
 * The hazards that the explorer of single verbs knows, as data: a small case each, a naive way that must be
 * found to fail there, and ours, which must be explored to the end without. Tests and the table of
 * `fusee verify --exhaustive` go through them; those of memory and splits are in `bounded/hazards.ts`.
 */
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
import type { Scenario, Variant } from './scenario/scenario.js';

/** How a scenario departs from the plainest. */
type Options = Partial<Omit<Scenario, 'slots' | 'programs' | 'variant'>>;

/** A hazard, as a scenario in which the naive way fails. */
export interface Hazard {
  readonly name: string;
  readonly slots: string;
  readonly mix: string;
  readonly options?: Options;
  readonly naive: Variant;
  /** Options of the naive way alone. */
  readonly naiveOptions?: Options;
  /** What the naive way's violation must say. */
  readonly says: RegExp;
  /** Our way, when it is not just the product as it is. */
  readonly ours?: Variant;
}

/** What explorations say of each kind of harm. */
export const LINEARIZABLE = /no order of the requests explains/;
/** See {@link LINEARIZABLE}. */
export const WAITS = /would wait for ever/;
/** See {@link LINEARIZABLE}. */
export const CAS_FAILED = /CAS of .* failed/;
/** See {@link LINEARIZABLE}. */
export const ANY_HARM = /no order|wait for ever|failed|differ|twice/;

const LEFT_OPEN = /differ|wait for ever/;

/** X9: the duplicate check comes with the log commit. */
export const checksLate: Variant = insertVariant('a check with the commit', { check: 'with the commit' });
const redoesNowhere = redoVariant('if committed and nowhere');
const redoesUncommitted = redoVariant('if uncommitted');

/** The hazards of requests, failover and recovery, and the controls that go with them. */
export const HAZARDS: readonly Hazard[] = [
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
    name: 'H9: the slot is written beside its object, not after it, and half an object is read',
    slots: 'K0',
    mix: 'U | S',
    naive: publishesEarly,
    says: /not whole/,
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
    name: 'H10: a client that is stopped between backups and primary, and nobody recovers it',
    slots: 'K0',
    mix: 'U | U',
    options: { crashes: 1 },
    naive: { name: 'nobody is recovered' },
    naiveOptions: { recovers: false },
    says: WAITS,
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
  ...(
    [
      ['X10: reads the backups before the primary', 'K0', 'D | I S', 2, backupsFirst, LINEARIZABLE],
      ['X10 with three replicas', 'K0', 'D | I', 3, backupsFirst, LINEARIZABLE],
      ['X10b: redoes what is committed and nowhere', '-', 'I | D S', 2, redoesNowhere, LINEARIZABLE],
      ['X10c: redoes from scratch with traces left', '- -', 'I | I', 3, redoesUncommitted, LEFT_OPEN],
      ['H15: redoes an UPDATE with a new object', 'K0', 'U | U', 2, redoesUncommitted, WAITS],
      ['H15: redoes an INSERT in another slot', '- -', 'I0 | I1', 2, redoesUncommitted, LEFT_OPEN],
      [
        'H15: redoes an acknowledged UPDATE, one replica',
        'K0',
        'U | U S',
        1,
        redoVariant('always'),
        LINEARIZABLE,
      ],
    ] as const
  ).map(([name, slots, mix, replicas, naive, says]) => ({
    name,
    slots,
    mix,
    options: { replicas, crashes: 1 },
    naive,
    says,
  })),
];
