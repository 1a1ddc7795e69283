/** `fusee verify --exhaustive` and `--scenario`: small cases; every schedule of them, some, or one. */

import { UsageError } from '../../fusee/verbs/index.js';
import { type ExhaustiveRow, exhaustiveTable, runExhaustive } from '../check/exhaustive.js';
import { story, type Tried, trySchedules } from '../check/find.js';
import { parseScenario, type Scenario } from '../check/scenario/scenario.js';
import { Exhaustive } from '../check/strategies/exhaustive.js';
import { PctStrategy } from '../check/strategies/pct.js';
import { RandomStrategy } from '../check/strategies/random.js';
import { ReplayStrategy } from '../check/strategies/replay.js';
import { runSchedule } from '../check/strategies/strategy.js';
import { describeSchedule } from '../check/trace.js';

/** The flags that name one scenario; {@link scenarioFlags} writes them. */
export interface ScenarioFlags {
  scenario: string;
  r: number;
  rD: number;
  crashes: number;
  cuts: number;
  mnCrashes: number;
  dies?: number;
  reversed: boolean;
  cached: boolean;
  oneFingerprint: boolean;
  replay?: string;
  /** Schedules by lots, or by priorities, and what seeds them. */
  random?: number;
  pct?: number;
  seed?: number;
}

/** Ordering constraints that a schedule by priorities is made to meet: few bugs need more. */
const PCT_DEPTH = 4;
/** Events that one request comes to, roughly: where PCT spreads its changes. */
const EVENTS_PER_REQUEST = 15;

/**
 * Explores all suites, then the hazards, printing a row each, then the tables. Exit status 1 unless all is
 * clean, and every naive way was found.
 */
export async function verifyExhaustive(options: {
  short: boolean;
  long: boolean;
  json: boolean;
}): Promise<void> {
  const onRow = (row: ExhaustiveRow): void => {
    if (options.json) process.stdout.write(`${JSON.stringify(row)}\n`);
    else {
      const seconds = (row.milliseconds / 1000).toFixed(1);
      const verdict = row.violations.length > 0 ? `${row.violations.length} VIOLATIONS` : 'clean';
      process.stderr.write(
        `${row.suite}, r = ${row.replicas}: ${row.states} states, ${seconds} s, ${verdict}\n`,
      );
    }
    for (const told of row.violations) process.stderr.write(`${told}\n`);
  };
  const result = runExhaustive({ short: options.short, long: options.long, onRow });
  if (!options.json) process.stdout.write(`${exhaustiveTable(result)}\n\n`);
  const areHeld = await verifyHazards(options);
  if (!result.isClean || !areHeld) process.exitCode = 1;
}

/** Its worlds are made as it is loaded, which no other command waits for. */
async function verifyHazards({ short, json }: { short: boolean; json: boolean }): Promise<boolean> {
  const { hazardTable, runHazards } = await import('../check/hazard-table.js');
  const rows = runHazards({
    short,
    onRow: (row) => {
      if (json) process.stdout.write(`${JSON.stringify(row)}\n`);
      else process.stderr.write(`${row.hazard}: ${row.isHeld ? 'found, and absent in ours' : 'FAILED'}\n`);
      for (const told of row.violations) process.stderr.write(`${told}\n`);
    },
  });
  if (!json) process.stdout.write(`${hazardTable(rows)}\n`);
  return rows.every(({ isHeld }) => isHeld);
}

/**
 * Explores one scenario, or runs some schedules of it, or tells one verb by verb. Exit status 1 on a
 * violation.
 */
export function verifyScenario(flags: ScenarioFlags): void {
  const asked = (['replay', 'random', 'pct'] as const).filter((name) => flags[name] !== undefined);
  if (asked.length > 1) throw new UsageError(`both --${asked.join(' and --')} are given; give one`);
  const scenario: Scenario = parseScenario(flags.scenario, {
    replicas: flags.r,
    dataReplicas: flags.rD,
    crashes: flags.crashes,
    cuts: flags.cuts,
    ...(flags.dies === undefined ? { mnCrashes: flags.mnCrashes } : { dying: flags.dies }),
    isReversed: flags.reversed,
    isCached: flags.cached,
    sharesFingerprint: flags.oneFingerprint,
  });
  if (flags.replay !== undefined) replaySchedule(scenario, flags.replay);
  else if (asked.length > 0) trySome(scenario, flags);
  else exploreAll(scenario);
}

function exploreAll(scenario: Scenario): void {
  const exploration = new Exhaustive(scenario, { countsSchedules: true }).run();
  const told = story(exploration);
  const extent = exploration.isPartial ? 'too many to explore to the end' : 'explored to the end';
  const cuts = exploration.cuts > 0 ? `, ${exploration.cuts} schedules cut` : '';
  process.stdout.write(
    `${told ?? `${scenario.name}: ${exploration.states} states, ${extent}${cuts}, no violation`}\n`,
  );
  if (told !== undefined || exploration.isPartial) process.exitCode = 1;
}

/** A replayed schedule runs twice, as every other does, and is not shrunk: it is told as it was asked for. */
function replaySchedule(scenario: Scenario, text: string): void {
  const tried = trySchedules(scenario, new ReplayStrategy(text), { shrinks: false });
  if (tried.failure !== undefined) report(scenario, tried);
  else {
    const replay = new ReplayStrategy(text);
    replay.begin();
    process.stdout.write(`${describeSchedule(scenario, runSchedule(scenario, replay).events)}\n`);
  }
}

function trySome(scenario: Scenario, { random, pct, seed = 1 }: ScenarioFlags): void {
  const requests = scenario.programs.reduce((sum, program) => sum + program.length, 0);
  const strategy =
    random !== undefined
      ? new RandomStrategy(seed, random)
      : new PctStrategy(seed, pct ?? 0, { depth: PCT_DEPTH, events: EVENTS_PER_REQUEST * requests });
  report(scenario, trySchedules(scenario, strategy));
}

function report(scenario: Scenario, { schedules, failure }: Tried): void {
  const clean = `${scenario.name}: ${schedules} schedules, each run twice, no violation`;
  process.stdout.write(`${failure?.told ?? clean}\n`);
  if (failure !== undefined) process.exitCode = 1;
}
