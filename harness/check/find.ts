/** Explores a scenario; the violation found, if any, told as a person reads it. */
import type { Scenario } from './scenario/scenario.js';
import { Exhaustive, type ExhaustiveOptions, type Exploration } from './strategies/exhaustive.js';
import { describeSchedule } from './trace.js';

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
