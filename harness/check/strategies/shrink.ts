/**
 * A failing schedule made short. Exploration meets the shortest first; schedules by lots or by priorities are
 * as long as chance made them, and a person should read none of what does not matter.
 *
 * Delta debugging: a part of the schedule is left out, or moved to where the same client goes on anyway; what
 * can no longer happen is skipped, what is missing at the end is filled in by the default choice. What fails
 * in the same way and is simpler is kept. Everything follows from the schedule: no lots, no clock.
 */
import { clientOf, type Event } from '../explorer/event.js';
import type { Scenario } from '../scenario/scenario.js';
import { World } from '../world.js';
import { canHappen } from './possible.js';
import { type Outcome, runSchedule } from './strategy.js';

/** A failing schedule, as short as it became. */
export interface ShrunkSchedule {
  readonly events: readonly Event[];
  readonly wrong: string;
  /** Schedules run to get there. */
  readonly attempts: number;
}

/** Attempts after which a schedule stays as it is; those of small cases need some hundreds. */
const ATTEMPTS_MAX = 3000;

/** What sort of failure a message tells: its words without the numbers, all of linearizability alike. */
export function kindOfWrong(wrong: string): string {
  if (wrong.startsWith('no order of the requests explains')) return 'no order of the requests explains';
  return wrong.split(':')[0].replaceAll(/[0-9a-f]*\d[0-9a-f]*/g, '#');
}

/** Shrinks a schedule that failed. */
export function shrinkSchedule(
  scenario: Scenario,
  failing: Pick<Outcome, 'events'> & { readonly wrong: string },
  options: { readonly attemptsMax?: number } = {},
): ShrunkSchedule {
  return new Shrinking(scenario, failing, options.attemptsMax ?? ATTEMPTS_MAX).run();
}

class Shrinking {
  readonly #scenario: Scenario;
  readonly #shared: ReturnType<typeof World.shared>;
  readonly #kind: string;
  readonly #attemptsMax: number;
  #attempts = 0;
  #best: { readonly events: readonly Event[]; readonly wrong: string };

  constructor(
    scenario: Scenario,
    failing: { readonly events: readonly Event[]; readonly wrong: string },
    attemptsMax: number,
  ) {
    this.#scenario = scenario;
    this.#shared = World.shared(scenario);
    this.#kind = kindOfWrong(failing.wrong);
    this.#attemptsMax = attemptsMax;
    this.#best = failing;
  }

  run(): ShrunkSchedule {
    for (let isBetter = true; isBetter; ) {
      isBetter = this.#leaveOut();
      isBetter = this.#join() || isBetter;
    }
    return { ...this.#best, attempts: this.#attempts };
  }

  /** Leaves out parts, from halves down to single events. */
  #leaveOut(): boolean {
    let isBetter = false;
    for (let size = this.#best.events.length >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < this.#best.events.length; ) {
        const { events } = this.#best;
        if (this.#keeps([...events.slice(0, at), ...events.slice(at + size)])) isBetter = true;
        else at += size;
      }
    }
    return isBetter;
  }

  /** Moves what a client does to where it did something before: fewer changes from one client to another. */
  #join(): boolean {
    let isBetter = false;
    for (let later = 2; later < segmentsOf(this.#best.events).length; later++) {
      const segments = segmentsOf(this.#best.events);
      for (let earlier = later - 2; earlier >= 0; earlier--) {
        if (clientOf(segments[earlier][0]) !== clientOf(segments[later][0])) continue;
        const moved = segments.map((segment, s) =>
          s === earlier ? [...segment, ...segments[later]] : s === later ? [] : segment,
        );
        if (!this.#keeps(moved.flat())) continue;
        isBetter = true;
        later = 1;
        break;
      }
    }
    return isBetter;
  }

  /** Tries a schedule; true when it fails in the same way and is simpler: it is the best then. */
  #keeps(tried: readonly Event[]): boolean {
    if (this.#attempts === this.#attemptsMax) return false;
    this.#attempts++;
    const { events, wrong } = runSchedule(this.#scenario, guided(tried), this.#shared);
    if (wrong === undefined || kindOfWrong(wrong) !== this.#kind) return false;
    if (!isSimpler(events, this.#best.events)) return false;
    this.#best = { events, wrong };
    return true;
  }
}

/** Follows a schedule as far as it can be followed, and then the default choice: who moved last moves on. */
function guided(tried: readonly Event[]): { next(world: World, enabled: readonly Event[]): Event } {
  let at = 0;
  let last = -1;
  const choose = (world: World, enabled: readonly Event[]): Event => {
    while (at < tried.length) {
      const event = tried[at++];
      if (canHappen(world, event) && hasBudget(world, event)) return event;
    }
    const calm = enabled.filter((event) => event.type !== 'crash');
    return calm.find((event) => clientOf(event) === last) ?? calm[0];
  };
  return {
    next: (world, enabled) => {
      const event = choose(world, enabled);
      last = clientOf(event);
      return event;
    },
  };
}

/** The scenario allows one more failure of this sort. */
function hasBudget(world: World, event: Event): boolean {
  if (event.type === 'crash') return world.crashesLeft > 0;
  if (event.type === 'cut') return world.cutsLeft > 0;
  return event.type !== 'kill' || world.killsLeft > 0;
}

/** Failures of nodes, clients and links count most, then events, then changes between clients. */
function isSimpler(a: readonly Event[], b: readonly Event[]): boolean {
  const failures = (events: readonly Event[]): number =>
    events.filter((e) => e.type === 'crash' || e.type === 'cut' || e.type === 'kill').length;
  const less = failures(a) - failures(b) || a.length - b.length;
  return less !== 0 ? less < 0 : segmentsOf(a).length < segmentsOf(b).length;
}

/** The schedule in parts in which one client moves. */
function segmentsOf(events: readonly Event[]): Event[][] {
  const segments: Event[][] = [];
  for (const event of events) {
    const last = segments.at(-1);
    if (last !== undefined && clientOf(last[0]) === clientOf(event)) last.push(event);
    else segments.push([event]);
  }
  return segments;
}
