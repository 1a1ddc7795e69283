/**
 * Systematic exploration, bounded by the number of preemptions: every schedule with none, then every one with
 * one, and so on. So the schedule that is found first is one of the simplest there are.
 *
 * A schedule runs from the start. States that were explored with as large a budget before are not explored
 * again; that needs {@link HashedNodes}, and can be switched off.
 */
import { formatChoices } from './choice.js';
import { Digest } from './digest.js';
import { optionsOf } from './options.js';
import { Run } from './run.js';
import { Seen } from './seen.js';
import { tellSchedule } from './tell.js';
import type { BoundedWorld, Failures } from './world.js';

/** How far to explore. */
export interface Bounds extends Failures {
  /** Most preemptions of a schedule; Infinity explores everything, if it ends. */
  readonly preemptions: number;
  /** Schedules after which to give up. @default no limit */
  readonly schedulesMax?: number;
  /** False explores states again that were explored before, for tests of pruning itself. @default true */
  readonly prunes?: boolean;
}

/** A schedule that went wrong. */
export interface Failure {
  readonly message: string;
  /** Its choices, as `choice.ts` writes them: {@link replay} takes them. */
  readonly schedule: string;
  /** What happened, step by step. */
  readonly told: readonly string[];
}

/** What came of an exploration. */
export interface Exploration {
  /** Runs, those included that ended where another had been before. */
  readonly schedules: number;
  /** Different states; 0 without pruning. */
  readonly states: number;
  readonly steps: number;
  readonly milliseconds: number;
  /** Everything within the bounds was explored. */
  readonly complete: boolean;
  /** Preemptions of the failing schedule, or the largest number that was explored to the end, or -1. */
  readonly preemptions: number;
  readonly failure?: Failure;
}

/** Steps after which a run is said to go on for ever. */
export const STEPS_MAX = 5000;

const BUDGET_MAX = 254;

/**
 * Explores all schedules of a world within bounds, up to the first that goes wrong.
 * @param makeWorld makes the same world each time: it is called once for each schedule, and no world is used
 * after the next was made.
 */
export function explore(makeWorld: () => BoundedWorld, bounds: Bounds): Exploration {
  return new Explorer(makeWorld, bounds).explore();
}

/** A choice among several, somewhere in the present schedule. */
interface Fork {
  readonly depth: number;
  readonly options: readonly number[];
  at: number;
}

class Explorer {
  readonly #makeWorld: () => BoundedWorld;
  readonly #bounds: Bounds;
  readonly #seen = new Seen();
  readonly #digest = new Digest();
  readonly #path: number[] = [];
  readonly #forks: Fork[] = [];
  readonly #options: number[] = [];
  #schedules = 0;
  #steps = 0;
  #message: string | undefined;

  constructor(makeWorld: () => BoundedWorld, bounds: Bounds) {
    this.#makeWorld = makeWorld;
    this.#bounds = bounds;
  }

  explore(): Exploration {
    const startMs = performance.now();
    const { preemptions: most } = this.#bounds;
    let done = -1;
    // Without a limit there is nothing to deepen.
    for (let limit = most === Infinity ? Infinity : 0; limit <= most; limit++) {
      if (!this.#exploreWithin(limit)) break;
      done = limit;
      if (limit === Infinity) break;
    }
    const found = { schedules: this.#schedules, states: this.#seen.count, steps: this.#steps };
    const milliseconds = performance.now() - startMs;
    const complete = this.#message === undefined && done === most;
    if (this.#message === undefined) return { ...found, milliseconds, complete, preemptions: done };
    const schedule = formatChoices(this.#path);
    const failure = { message: this.#message, schedule, told: tellSchedule(this.#makeWorld(), schedule) };
    return { ...found, milliseconds, complete, preemptions: done + 1, failure };
  }

  /** False when a schedule went wrong, or there were too many. */
  #exploreWithin(limit: number): boolean {
    const { schedulesMax = Number.POSITIVE_INFINITY } = this.#bounds;
    this.#path.length = 0;
    this.#forks.length = 0;
    do {
      if (this.#schedules >= schedulesMax) return false;
      this.#schedules++;
      this.#message = this.#runOn(limit);
      if (this.#message !== undefined) return false;
    } while (this.#backtrack());
    return true;
  }

  /** Runs the path, and on from its end by the first options; what went wrong. */
  #runOn(limit: number): string | undefined {
    const run = new Run(this.#makeWorld());
    if (run.wrongAtStart !== undefined) return run.wrongAtStart;
    for (const choice of this.#path) {
      const wrong = run.apply(choice);
      if (wrong !== undefined) return wrong;
    }
    const prunes = this.#bounds.prunes !== false && run.isHashed;
    const path = this.#path;
    const options = this.#options;
    while (!run.isOver) {
      const budget = Math.min(BUDGET_MAX, limit - run.preemptions);
      if (prunes && this.#seen.covers(run.digest(this.#digest), budget)) break;
      options.length = 0;
      optionsOf(run, this.#bounds, budget > 0, options);
      if (options.length > 1) this.#forks.push({ depth: path.length, options: [...options], at: 0 });
      path.push(options[0]);
      const wrong = run.apply(options[0]);
      if (wrong !== undefined) return wrong;
      if (run.steps === STEPS_MAX) return `still not over after ${STEPS_MAX} steps`;
    }
    this.#steps += run.steps;
    return undefined;
  }

  /** Turns to the next schedule; false when there is none. */
  #backtrack(): boolean {
    const forks = this.#forks;
    while (forks.length > 0 && forks[forks.length - 1].at + 1 === forks[forks.length - 1].options.length)
      forks.pop();
    const fork = forks.at(-1);
    if (fork === undefined) return false;
    fork.at++;
    this.#path.length = fork.depth;
    this.#path.push(fork.options[fork.at]);
    return true;
  }
}
