/**
 * What a mutant has to pass, run inside its slot by a process of its own: `quick` and `rest` of the
 * explorer's scenarios, or `swarm FIRST COUNT`.
 *
 * Says on standard output what it is about to do, a line each, so that whoever watches can tell a hang; what
 * catches the mutant comes last, behind `caught`, and the exit status is 1 then.
 */
import { Verdict } from '../../fusee/replication/index.js';
import { explore } from '../check/find.js';
import type { Scenario } from '../check/scenario/scenario.js';
import {
  ALIKE_MIXES,
  BASE_MIXES,
  CACHED_MIXES,
  CRASH_MIXES,
  type Suite,
  suiteOf,
  UNDONE_MIXES,
} from '../check/scenario/suites.js';
import { runSeed } from '../swarm/seed.js';

/** States of one scenario: four times what the largest of these has. */
const STATES_MAX = 250_000;

const BARE_2 = ['K0', 'W | W'] as const;
const BARE_3 = ['K0', 'W | W | W'] as const;
/** The first eight: those with fewer states. */
const CRASH_FEW = CRASH_MIXES.slice(0, 8);

/** A second or two. */
const QUICK: readonly Suite[] = [
  suiteOf('warm cache', CACHED_MIXES, { replicas: 1, isCached: true }),
  suiteOf('warm cache', CACHED_MIXES, { replicas: 2, isCached: true }),
  suiteOf('bare slot', [BARE_3], { replicas: 3 }),
  suiteOf('bare slot, link failure', [BARE_2], { replicas: 3, cuts: 1 }),
  suiteOf('base', BASE_MIXES, { replicas: 2 }),
  suiteOf('undone votes', UNDONE_MIXES, { replicas: 4 }),
  suiteOf('base', BASE_MIXES, { replicas: 1 }),
  suiteOf('base', BASE_MIXES.slice(12), { replicas: 3 }),
];

/** Some seconds more. */
const REST: readonly Suite[] = [
  suiteOf('warm cache', CACHED_MIXES, { replicas: 3, isCached: true }),
  suiteOf('crash', CRASH_FEW, { replicas: 1, crashes: 1 }),
  suiteOf('one fingerprint', ALIKE_MIXES, { replicas: 2, sharesFingerprint: true }),
  suiteOf('one fingerprint', ALIKE_MIXES, { replicas: 1, sharesFingerprint: true }),
  suiteOf('crash', CRASH_FEW, { replicas: 2, crashes: 1 }),
  suiteOf('bare slot, crash', [BARE_2], { replicas: 4, crashes: 1 }),
  suiteOf('link failure', CRASH_FEW, { replicas: 2, cuts: 1 }),
  suiteOf('base', BASE_MIXES.slice(1, 12), { replicas: 3 }),
];

type VerdictName = keyof typeof Verdict;
/** What the larger scenarios must reach between them: who never meets Rule 3 learns nothing about it. */
const VERDICTS: readonly VerdictName[] = ['RULE_1', 'RULE_2', 'RULE_3', 'LOSE', 'FINISH', 'FAIL'];

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function nameOf(suite: Suite, scenario: Scenario): string {
  const order = scenario.isReversed ? ', reversed' : '';
  return `${suite.name}, r = ${scenario.replicas}: ${scenario.name}${order}`;
}

/** Explores suites; the reason why a mutant is caught, or undefined. */
function exploreAll(suites: readonly Suite[], required: readonly VerdictName[]): string | undefined {
  let verdicts = 0;
  for (const suite of suites) {
    for (const scenario of suite.scenarios) {
      say(nameOf(suite, scenario));
      const exploration = explore(scenario, { statesMax: STATES_MAX });
      if (exploration.violation !== undefined) return exploration.violation.message;
      if (exploration.isPartial) return `not explored to the end after ${STATES_MAX} states`;
      verdicts |= exploration.verdicts;
    }
  }
  say('all scenarios');
  const missing = required.filter((name) => ((verdicts >> Verdict[name]) & 1) === 0);
  return missing.length > 0 ? `never reached: ${missing.join(', ')}` : undefined;
}

function swarm(first: number, count: number): string | undefined {
  for (let seed = first; seed < first + count; seed++) {
    say(`swarm, seed ${seed}`);
    const [finding] = runSeed(seed).findings;
    if (finding !== undefined) return `${finding.kind}: ${finding.message}`;
  }
  return undefined;
}

function main([what, ...numbers]: readonly string[]): void {
  let reason: string | undefined;
  try {
    if (what === 'quick') reason = exploreAll(QUICK, []);
    else if (what === 'rest') reason = exploreAll(REST, VERDICTS);
    else reason = swarm(Number(numbers[0]), Number(numbers[1]));
  } catch (error) {
    reason = `${(error as Error).name}: ${(error as Error).message}`;
  }
  if (reason === undefined) return;
  say(`caught ${reason.split('\n')[0]}`);
  process.exitCode = 1;
}

main(process.argv.slice(2));
