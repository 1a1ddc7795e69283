/** One schedule, as it was written down. */
import { UsageError } from '../../../fusee/verbs/index.js';
import type { Event } from '../explorer/event.js';
import { formatSchedule, parseSchedule } from '../schedule.js';
import type { World } from '../world.js';
import { canHappen } from './possible.js';
import type { Strategy } from './strategy.js';

/** A single schedule, from its text. */
export class ReplayStrategy implements Strategy {
  readonly #events: readonly Event[];
  #at = -1;

  /** @throws UsageError naming the word that is no event. */
  constructor(schedule: string) {
    this.#events = parseSchedule(schedule);
  }

  begin(): boolean {
    this.#at++;
    return this.#at === 0;
  }

  /** @throws UsageError when the schedule asks for what cannot happen here. */
  next(world: World): Event | undefined {
    const event = this.#events[this.#at++];
    if (event === undefined || canHappen(world, event)) return event;
    throw new UsageError(
      `event ${this.#at} of the schedule, "${formatSchedule([event])}", cannot happen there in ` +
        `${world.scenario.name}; replay with the very options of the printed command`,
    );
  }
}
