/**
 * The scenarios that `verify` explores: small mixes of requests that between them meet every rule of the
 * protocol.
 */
import { makeScenario, type Scenario } from './scenario.js';

/** Slots at the start, and who asks for what. */
type Mix = readonly [slots: string, mix: string];

/** Whole requests without failures: 16 mixes. */
export const BASE_MIXES: readonly Mix[] = [
  ['- -', 'I | I | I'],
  ['- -', 'I S | I S'],
  ['- -', 'I D | I | S S'],
  ['- -', 'I D | I D'],
  ['- -', 'I | I | U S'],
  ['- -', 'I | I | D S'],
  ['K0 -', 'D | I | I S'],
  ['K0 -', 'D I | U | S S'],
  ['K0 -', 'D I | D I'],
  ['- -', 'I0 | I0 | I1'],
  ['- K1', 'I0 | I0 | D1 S0'],
  ['K0 -', 'D0 I0 | I1 | S0'],
  ['K0', 'U S | U | D S'],
  ['K0', 'U S | D | D S'],
  ['K0', 'D0 I0 | D0 | I1 D1'],
  ['K0', 'D0 | I0 | I1 | U0'],
];

/** Whole requests with clients that die, and their recovery: 14 mixes. */
export const CRASH_MIXES: readonly Mix[] = [
  ['K0', 'U S | U S'],
  ['K0', 'U S | D S'],
  ['K0', 'D S | D S'],
  ['K0', 'U S | U | D S'],
  ['K0', 'D0 | I0 | I1 S1'],
  ['-', 'I0 D0 | I1 D1'],
  ['- -', 'I S | I S'],
  ['- -', 'I D | I S'],
  ['- -', 'I | I | S S'],
  ['- -', 'I | I | D S'],
  ['- -', 'I0 | I0 | I1'],
  ['- -', 'I | I | I'],
  ['K0 -', 'D I | I | S'],
  ['K0 -', 'D I | U | S'],
];

/** Requests over which an MN dies, and a client too: 12 mixes. */
export const FAILOVER_MIXES: readonly Mix[] = [
  ['- -', 'I | I'],
  ['-', 'I | U S'],
  ['K0 -', 'D | I'],
  ['K0', 'D0 | I1'],
  ['K0', 'U S | D S'],
  ['K0', 'U S | U S'],
  ['-', 'I0 S0 | I1 S1'],
  ['K0 -', 'D I | U'],
  ['K0 -', 'D I | I'],
  ['- -', 'I D | I'],
  ['- -', 'I | I | S'],
  ['- -', 'I D | I D'],
];

/**
 * Two clients, INSERT, UPDATE and DELETE against each other, for an MN and a client that both die at any
 * verb: what follows shows what came of it.
 */
export const PAIR_MIXES: readonly Mix[] = [
  ['- -', 'I | I'],
  ['-', 'I0 S0 | I1 S1'],
  ['-', 'I | U S'],
  ['-', 'I | D S'],
  ['K0 -', 'D | I'],
  ['K0', 'D0 | I1'],
  ['K0', 'U S | U S'],
  ['K0', 'U S | D S'],
  ['K0', 'D S | D S'],
];

/**
 * An MN dies, with a master there: the one with that replica of the slots, see {@link Scenario.dying}.
 */
const failover = (
  dying: number,
  options: Partial<Scenario>,
  mixes: readonly Mix[] = FAILOVER_MIXES,
): Suite => {
  const { replicas = 2, crashes = 0 } = options;
  const what = dying === replicas ? 'objects only' : dying === 0 ? 'primary' : `backup ${dying}`;
  return suiteOf(`MN crash, ${what}${crashes > 0 ? ' and client' : ''}`, mixes, { ...options, dying });
};

/** Requests that begin from a warm cache: hits, and hits gone stale. */
export const CACHED_MIXES: readonly Mix[] = [
  ['K0', 'U S | U S'],
  ['K0', 'U S | D S | S S'],
  ['K0', 'D I | U | S S'],
  ['K0', 'D0 | I1 S1 | U0 S0'],
];

/** Keys that only their objects tell apart. */
export const ALIKE_MIXES: readonly Mix[] = [
  ['- -', 'I0 | I1 | I0'],
  ['K0 -', 'D0 I1 | I1 | S0'],
  ['K0', 'D0 | I1 S1 | U0'],
  ['K0 K1', 'D0 S1 | D1 I0'],
];

/**
 * An INSERT that has won by Rule 2 finds its key in another slot and undoes itself, while a writer whose CAS
 * of another backup is late still counts its votes. For four replicas and more: a majority of three backups
 * can break up, one of two cannot (control X7).
 */
export const UNDONE_MIXES: readonly Mix[] = [['- -', 'I0 I1 | I0']];

/** Larger mixes, on two or three slots. */
export const bigMixes = (slots: 2 | 3): readonly Mix[] => {
  const empty = slots === 2 ? '- -' : '- - -';
  const one = slots === 2 ? 'K0 -' : 'K0 - -';
  return [
    [empty, 'I | I | I'],
    [empty, 'I | I | D | S'],
    [empty, 'I | I | U | S'],
    [empty, 'I D | I | S S'],
    [one, 'D | I | I | S'],
    [empty, 'I0 | I0 | I1 | S0'],
    [empty, 'I0 | I0 | I1 | I1'],
    [empty, 'I D | I D | I'],
  ];
};

/** A group of scenarios that the table shows under one name. */
export interface Suite {
  readonly name: string;
  readonly scenarios: readonly Scenario[];
}

/**
 * Do all clients of a mix, two or more, ask for the same? Then they differ by name only, and so do the two
 * orders of their pointers.
 */
const isSymmetric = (mix: string): boolean => {
  const [first, ...others] = mix.split('|').map((client) => client.trim());
  return others.every((client) => client === first);
};

/**
 * A suite of mixes; with more than two replicas Rule 3 is reachable, so both orders of pointers are explored,
 * where they are two.
 */
export function suiteOf(
  name: string,
  mixes: readonly Mix[],
  options: Partial<Omit<Scenario, 'slots' | 'programs'>>,
): Suite {
  const orders = (options.replicas ?? 2) > 2 ? [false, true] : [false];
  const scenarios = orders.flatMap((isReversed) =>
    mixes
      .filter(([, mix]) => !isReversed || !isSymmetric(mix))
      .map(([slots, mix]) => makeScenario(slots, mix, { ...options, isReversed })),
  );
  return { name, scenarios };
}

const BARE_2: Mix = ['K0', 'W | W'];
const BARE_3: Mix = ['K0', 'W | W | W'];

/** Minutes: what a change of the protocol must pass. */
export const FULL_SUITES: readonly Suite[] = [
  suiteOf('bare slot', [BARE_3], { replicas: 3 }),
  suiteOf('bare slot, crash', [BARE_3], { replicas: 3, crashes: 1 }),
  suiteOf('bare slot, crash', [BARE_2], { replicas: 4, crashes: 1 }),
  suiteOf('bare slot, link failure', [BARE_2], { replicas: 3, cuts: 1 }),
  suiteOf('base', BASE_MIXES, { replicas: 1 }),
  suiteOf('base', BASE_MIXES, { replicas: 2 }),
  suiteOf('base', BASE_MIXES, { replicas: 3 }),
  suiteOf('base', BASE_MIXES, { replicas: 4 }),
  suiteOf('undone votes', UNDONE_MIXES, { replicas: 4 }),
  suiteOf('warm cache', CACHED_MIXES, { replicas: 2, isCached: true }),
  suiteOf('warm cache', CACHED_MIXES, { replicas: 3, isCached: true }),
  suiteOf('one fingerprint', ALIKE_MIXES, { replicas: 2, sharesFingerprint: true }),
  suiteOf('big', bigMixes(2), { replicas: 1 }),
  suiteOf('big', bigMixes(2), { replicas: 2 }),
  suiteOf('crash', CRASH_MIXES, { replicas: 1, crashes: 1 }),
  suiteOf('crash', CRASH_MIXES, { replicas: 1, crashes: 2 }),
  suiteOf('crash', CRASH_MIXES, { replicas: 2, crashes: 1 }),
  suiteOf('link failure', CRASH_MIXES, { replicas: 2, cuts: 1 }),
  suiteOf('MN crash, answers only', BASE_MIXES, { replicas: 2, mnCrashes: 1 }),
  failover(0, { replicas: 2 }),
  failover(1, { replicas: 2 }),
  failover(2, { replicas: 2, dataReplicas: 3 }),
  failover(1, { replicas: 1 }),
  failover(0, { replicas: 3 }),
  failover(1, { replicas: 3 }),
  failover(2, { replicas: 3 }),
  failover(0, { replicas: 2, crashes: 1 }),
  failover(1, { replicas: 2, crashes: 1 }),
  failover(2, { replicas: 2, dataReplicas: 3, crashes: 1 }, PAIR_MIXES),
  failover(0, { replicas: 3, crashes: 1 }, PAIR_MIXES),
  failover(1, { replicas: 3, crashes: 1 }, PAIR_MIXES),
  failover(2, { replicas: 3, crashes: 1 }, PAIR_MIXES),
];

/** Quarters of an hour, and gigabytes: before a release. */
export const LONG_SUITES: readonly Suite[] = [
  suiteOf('crash', CRASH_MIXES, { replicas: 2, crashes: 2 }),
  suiteOf('crash', CRASH_MIXES, { replicas: 3, crashes: 1 }),
  suiteOf('big', bigMixes(2), { replicas: 3 }),
  suiteOf('big', bigMixes(3), { replicas: 1 }),
  failover(2, { replicas: 2, dataReplicas: 3, crashes: 1 }),
  failover(0, { replicas: 3, crashes: 1 }),
  failover(1, { replicas: 3, crashes: 1 }),
  failover(2, { replicas: 3, crashes: 1 }),
];

/** Under two minutes: for every push. */
export const SHORT_SUITES: readonly Suite[] = [
  suiteOf('bare slot', [BARE_3], { replicas: 3 }),
  suiteOf('bare slot, crash', [BARE_2], { replicas: 4, crashes: 1 }),
  suiteOf('bare slot, link failure', [BARE_2], { replicas: 3, cuts: 1 }),
  suiteOf('base', BASE_MIXES, { replicas: 1 }),
  suiteOf('base', BASE_MIXES, { replicas: 2 }),
  suiteOf('base', BASE_MIXES.slice(12), { replicas: 3 }),
  suiteOf('undone votes', UNDONE_MIXES, { replicas: 4 }),
  suiteOf('crash', CRASH_MIXES.slice(0, 8), { replicas: 1, crashes: 1 }),
  suiteOf('crash', CRASH_MIXES.slice(0, 8), { replicas: 2, crashes: 1 }),
  failover(0, { replicas: 2 }, FAILOVER_MIXES.slice(0, 8)),
  failover(1, { replicas: 2 }, FAILOVER_MIXES.slice(0, 8)),
  failover(2, { replicas: 2, dataReplicas: 3 }, FAILOVER_MIXES.slice(0, 8)),
  failover(0, { replicas: 3 }, FAILOVER_MIXES.slice(0, 8)),
  failover(1, { replicas: 3 }, FAILOVER_MIXES.slice(0, 8)),
  failover(0, { replicas: 2, crashes: 1 }, PAIR_MIXES),
  failover(1, { replicas: 2, crashes: 1 }, PAIR_MIXES),
  failover(2, { replicas: 2, dataReplicas: 3, crashes: 1 }, PAIR_MIXES.slice(1)),
  failover(0, { replicas: 3, crashes: 1 }, PAIR_MIXES),
  failover(1, { replicas: 3, crashes: 1 }, PAIR_MIXES),
  failover(2, { replicas: 3, crashes: 1 }, PAIR_MIXES),
];
