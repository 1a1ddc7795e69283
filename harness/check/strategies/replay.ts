/** One schedule, as it was written down. */
import type { Event } from '../explorer/event.js';
import { parseSchedule } from '../schedule.js';
import type { Strategy } from './strategy.js';

/** A single schedule, from its text. */
export class ReplayStrategy implements Strategy {
  readonly #events: readonly Event[];
  #at = -1;

  constructor(schedule: string) {
    this.#events = parseSchedule(schedule);
  }

  begin(): boolean {
    this.#at++;
    return this.#at === 0;
  }

  next(): Event | undefined {
    return this.#events[this.#at++];
  }
}
