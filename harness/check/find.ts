/** Looks for a violation in a scenario; the one found, if any, is told as a person reads it. */
import type { Scenario } from './scenario/scenario.js';
import { Exhaustive, type ExhaustiveOptions, type Exploration } from './strategies/exhaustive.js';
import { shrinkSchedule } from './strategies/shrink.js';
import { compareTwice, type Outcome, runSchedule, type Strategy } from './strategies/strategy.js';
import { describeSchedule } from './trace.js';
import { World } from './world.js';

/** Explores every schedule. */
export function explore(scenario: Scenario, options?: ExhaustiveOptions): Exploration {
  return new Exhaustive(scenario, options).run();
}

/** The story of a violation; undefined when there is none. */
export function story(exploration: Exploration): string | undefined {
  const { violation, scenario } = exploration;
  if (violation === undefined) return undefined;
  return `${violation.message}\n${describeSchedule(scenario, violation.events)}`;
}

/** What came of a strategy's schedules, up to the first that went wrong. */
export interface Tried {
  /** Schedules run, each of them twice. */
  readonly schedules: number;
  /** The first failing schedule as it ran, and its kind of failure told: shrunk, verb by verb. */
  readonly failure?: { readonly outcome: Outcome; readonly wrong: string; readonly told: string };
}

/**
 * Runs the schedules of a strategy until one goes wrong. Each runs twice, and two runs that differ are a
 * failure of their own: of what is not deterministic nothing else can be said.
 * @param options.shrinks false tells a failing schedule as it was found. @default true
 */
export function trySchedules(
  scenario: Scenario,
  strategy: Strategy,
  options: { readonly shrinks?: boolean } = {},
): Tried {
  const shared = World.shared(scenario);
  let schedules = 0;
  while (strategy.begin()) {
    const outcome = runSchedule(scenario, strategy, shared);
    schedules++;
    const different = compareTwice(scenario, outcome);
    if (different !== undefined) {
      const wrong = `not deterministic: ${different}`;
      const told = `${wrong}\n${describeSchedule(scenario, outcome.events)}`;
      return { schedules, failure: { outcome, wrong, told } };
    }
    if (outcome.wrong !== undefined) return { schedules, failure: tell(scenario, outcome, options) };
  }
  return { schedules };
}

function tell(
  scenario: Scenario,
  outcome: Outcome,
  options: { readonly shrinks?: boolean },
): NonNullable<Tried['failure']> {
  const asFound = { events: outcome.events, wrong: outcome.wrong ?? '' };
  const shrunk = options.shrinks === false ? undefined : shrinkSchedule(scenario, asFound);
  const { events, wrong } = shrunk ?? asFound;
  const how =
    shrunk === undefined
      ? ''
      : ` (shrunk from ${outcome.events.length} events to ${events.length}, in ${shrunk.attempts} attempts)`;
  return { outcome, wrong, told: `${wrong}${how}\n${describeSchedule(scenario, events)}` };
}
