/**
 * Schedules at random, for cases that are too large to explore: every choice by lots, or by random priorities
 * (PCT, Burckhardt et al., ASPLOS 2010), where a bug that needs d ordering constraints shows with a known
 * probability.
 */
import { UsageError } from '../../../fusee/verbs/index.js';
import { Random } from '../strategies/seeded.js';
import { actorOf, ChoiceKind, formatChoices, isFailure, kindOf } from './choice.js';
import { type Failure, STEPS_MAX } from './explore.js';
import { optionsOf } from './options.js';
import { Run } from './run.js';
import { tellSchedule } from './tell.js';
import type { BoundedWorld, Failures } from './world.js';

/** Which schedules to try. */
export interface RandomOptions extends Failures {
  readonly seed: number;
  readonly runs: number;
  /** Mean steps between failures, while any may happen. @default 20 */
  readonly failsOneIn?: number;
  /** Ordering constraints to look for: schedules by priorities. @default by lots */
  readonly depth?: number;
}

/** What came of them. */
export interface RandomExploration {
  readonly schedules: number;
  readonly steps: number;
  readonly milliseconds: number;
  readonly failure?: Failure;
}

interface Chooser {
  /** A new schedule begins; the last one had so many steps. */
  begin(steps: number): void;
  choose(run: Run, options: readonly number[]): number;
}

/** Tries schedules until one goes wrong; the same seed tries the same. */
export function exploreRandom(makeWorld: () => BoundedWorld, options: RandomOptions): RandomExploration {
  if (options.depth !== undefined && !(options.depth >= 1))
    throw new UsageError(`depth ${options.depth}: give 1 or more ordering constraints`);
  const random = new Random(options.seed);
  const chooser =
    options.depth === undefined ? new Lots(random, options) : new Priorities(random, options.depth);
  const startMs = performance.now();
  const path: number[] = [];
  const enabled: number[] = [];
  let steps = 0;
  for (let schedules = 1; schedules <= options.runs; schedules++) {
    chooser.begin(path.length);
    path.length = 0;
    const run = new Run(makeWorld());
    let wrong = run.wrongAtStart;
    while (wrong === undefined && !run.isOver) {
      enabled.length = 0;
      optionsOf(run, options, true, enabled);
      const choice = chooser.choose(run, enabled);
      path.push(choice);
      wrong = run.apply(choice);
      if (run.steps === STEPS_MAX) wrong ??= `still not over after ${STEPS_MAX} steps`;
    }
    steps += run.steps;
    if (wrong === undefined) continue;
    const schedule = formatChoices(path);
    const failure = { message: wrong, schedule, told: tellSchedule(makeWorld(), schedule) };
    return { schedules, steps, milliseconds: performance.now() - startMs, failure };
  }
  return { schedules: options.runs, steps, milliseconds: performance.now() - startMs };
}

class Lots implements Chooser {
  readonly #random: Random;
  readonly #failsOneIn: number;

  constructor(random: Random, { failsOneIn = 20 }: RandomOptions) {
    this.#random = random;
    this.#failsOneIn = failsOneIn;
  }

  begin(): void {}

  choose(_run: Run, options: readonly number[]): number {
    const failures = options.filter(isFailure);
    if (failures.length > 0 && this.#random.below(this.#failsOneIn) === 0) return this.#random.pick(failures);
    return this.#random.pick(options.filter((choice) => !isFailure(choice)));
  }
}

class Priorities implements Chooser {
  readonly #random: Random;
  readonly #depth: number;
  #priorities: number[] = [];
  #changes = new Set<number>();
  #lowest = 0;
  #at = 0;

  constructor(random: Random, depth: number) {
    this.#random = random;
    this.#depth = depth;
  }

  begin(steps: number): void {
    const span = Math.max(steps, 20);
    this.#changes = new Set(Array.from({ length: this.#depth - 1 }, () => this.#random.below(span)));
    this.#priorities = [];
    this.#lowest = 0;
    this.#at = 0;
  }

  choose(run: Run, options: readonly number[]): number {
    if (this.#changes.has(this.#at++)) {
      // A change is a failure or a late verb, if any may happen here, or another order of actors.
      const others = options.filter((choice) => isFailure(choice) || kindOf(choice) === ChoiceKind.DELAY);
      if (others.length > 0 && this.#random.below(2) === 0) return this.#random.pick(others);
      if (run.current >= 0) this.#priorities[run.current] = --this.#lowest;
    }
    let best = options[0];
    for (const choice of options) {
      if (isFailure(choice) || kindOf(choice) === ChoiceKind.DELAY) continue;
      if (isFailure(best) || this.#priority(actorOf(choice)) > this.#priority(actorOf(best))) best = choice;
    }
    return best;
  }

  #priority(actor: number): number {
    this.#priorities[actor] ??= 1 + this.#random.below(1_000_000);
    return this.#priorities[actor];
  }
}
