/** How to choose the next event of a real run; each strategy is one small class. */
import type { Event } from '../explorer/event.js';
import type { Scenario } from '../scenario/scenario.js';
import { World } from '../world.js';
import { canHappen } from './possible.js';

export interface Strategy {
  /** Begins the next schedule; false when the strategy has no more. */
  begin(): boolean;
  /** The next event, one of `enabled` or any other that can happen; undefined ends the schedule here. */
  next(world: World, enabled: readonly Event[]): Event | undefined;
}

/** One schedule, and what was wrong with it. */
export interface Outcome {
  readonly events: readonly Event[];
  readonly wrong: string | undefined;
  /** What every event did, for comparison. */
  readonly prints: readonly string[];
}

/** Events after which a run is said to go on for ever. */
const EVENTS_MAX = 5000;

/** Runs one schedule for real. */
export function runSchedule(
  scenario: Scenario,
  strategy: Pick<Strategy, 'next'>,
  shared = World.shared(scenario),
): Outcome {
  const world = new World(scenario, shared);
  const events: Event[] = [];
  const prints: string[] = [];
  let wrong: string | undefined;
  while (wrong === undefined && !world.isOver) {
    const enabled = world.enabled();
    if (enabled.every((e) => e.type === 'crash')) {
      wrong = world.anyDead ? undefined : 'somebody would wait for ever';
      break;
    }
    if (events.length === EVENTS_MAX) wrong = `still not over after ${EVENTS_MAX} events`;
    const event = strategy.next(world, enabled);
    if (event === undefined) return { events, wrong, prints };
    wrong ??= world.apply(event);
    events.push(event);
    prints.push('client' in event ? world.print(event.client) : '');
  }
  return { events, wrong: wrong ?? world.wrongAtEnd(), prints };
}

/**
 * Runs a schedule a second time and compares what every event did, and how it ended: protocol code must be
 * deterministic, or neither replay nor exploration means anything.
 * @returns the first event that went differently, or undefined.
 */
export function compareTwice(scenario: Scenario, first: Outcome): string | undefined {
  let at = 0;
  const second = runSchedule(scenario, {
    next: (world) => {
      const event = first.events[at++];
      return event === undefined || canHappen(world, event) ? event : undefined;
    },
  });
  const i = first.prints.findIndex((print, e) => print !== second.prints[e]);
  if (i >= 0) {
    return `event ${i} went differently the second time:\n${first.prints[i]}\n${second.prints[i] ?? 'nothing'}`;
  }
  if (first.wrong === second.wrong) return undefined;
  const ends = [first, second].map(({ wrong }) => wrong ?? 'nothing is wrong');
  return `the schedule ended differently the second time:\n${ends.join('\n')}`;
}
