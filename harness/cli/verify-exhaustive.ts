/** `fusee verify --exhaustive` and `--scenario`: small cases, every schedule of them. */

import { type ExhaustiveRow, exhaustiveTable, runExhaustive } from '../check/exhaustive.js';
import { story } from '../check/find.js';
import { parseScenario, type Scenario } from '../check/scenario/scenario.js';
import { parseSchedule } from '../check/schedule.js';
import { Exhaustive } from '../check/strategies/exhaustive.js';
import { describeSchedule } from '../check/trace.js';

/** The flags that name one scenario; {@link scenarioFlags} writes them. */
export interface ScenarioFlags {
  scenario: string;
  r: number;
  rD: number;
  crashes: number;
  reversed: boolean;
  cached: boolean;
  oneFingerprint: boolean;
  replay?: string;
}

/** Explores all suites, printing a row each, then the table. Exit status 1 unless all is clean. */
export function verifyExhaustive(options: { short: boolean; long: boolean; json: boolean }): void {
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
  if (!options.json) process.stdout.write(`${exhaustiveTable(result)}\n`);
  if (!result.isClean) process.exitCode = 1;
}

/** Explores one scenario, or tells one schedule of it verb by verb. Exit status 1 on a violation. */
export function verifyScenario(flags: ScenarioFlags): void {
  const scenario: Scenario = parseScenario(flags.scenario, {
    replicas: flags.r,
    dataReplicas: flags.rD,
    crashes: flags.crashes,
    isReversed: flags.reversed,
    isCached: flags.cached,
    sharesFingerprint: flags.oneFingerprint,
  });
  if (flags.replay !== undefined) {
    process.stdout.write(`${describeSchedule(scenario, parseSchedule(flags.replay))}\n`);
    return;
  }
  const exploration = new Exhaustive(scenario, { countsSchedules: true }).run();
  const told = story(exploration);
  const extent = exploration.isPartial ? 'too many to explore to the end' : 'explored to the end';
  const cuts = exploration.cuts > 0 ? `, ${exploration.cuts} schedules cut` : '';
  process.stdout.write(
    `${told ?? `${scenario.name}: ${exploration.states} states, ${extent}${cuts}, no violation`}\n`,
  );
  if (told !== undefined || exploration.isPartial) process.exitCode = 1;
}
