/**
 * Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): clients have random priorities, the
 * highest that can go on does, and at `depth` - 1 random points of the schedule the running client falls to
 * the lowest priority. A bug that needs d ordering constraints is found with probability at least 1 / (n
 * k^(d-1)) per schedule of k events.
 *
 * Here a chain is a (client, MN) pair, since verbs of one client to different MNs are ordered by nobody.
 */
import type { Event } from '../explorer/event.js';
import type { World } from '../world.js';
import { Random } from './seeded.js';
import type { Strategy } from './strategy.js';

/** Schedules by random priorities. */
export class PctStrategy implements Strategy {
  readonly #random: Random;
  readonly #depth: number;
  readonly #events: number;
  #left: number;
  #priorities = new Map<string, number>();
  #changes = new Set<number>();
  #at = 0;
  #lowest = 0;

  /** @param options.events expected length of a schedule. */
  constructor(seed: number, schedules: number, options: { depth: number; events: number }) {
    this.#random = new Random(seed);
    this.#left = schedules;
    this.#depth = options.depth;
    this.#events = options.events;
  }

  begin(): boolean {
    this.#priorities = new Map();
    this.#changes = new Set(Array.from({ length: this.#depth - 1 }, () => this.#random.below(this.#events)));
    this.#at = 0;
    this.#lowest = 0;
    return this.#left-- > 0;
  }

  next(world: World, enabled: readonly Event[]): Event {
    const crashes = enabled.filter((e) => e.type === 'crash');
    // A death is one of the points at which the schedule changes.
    if (crashes.length > 0 && this.#changes.has(this.#at) && this.#random.below(2) === 0) {
      this.#changes.delete(this.#at);
      return this.#random.pick(crashes);
    }
    const ready = enabled.filter((e) => e.type !== 'crash');
    let best = ready[0];
    for (const event of ready) {
      if (this.#priority(world, event) > this.#priority(world, best)) best = event;
    }
    if (this.#changes.has(this.#at++)) this.#priorities.set(chainOf(world, best), --this.#lowest);
    // Which free slot to take is no matter of priorities.
    const alike = ready.filter(
      (e) => e.type === 'resume' && best.type === 'resume' && e.client === best.client,
    );
    return alike.length > 1 ? this.#random.pick(alike) : best;
  }

  #priority(world: World, event: Event): number {
    const chain = chainOf(world, event);
    const known = this.#priorities.get(chain);
    if (known !== undefined) return known;
    const fresh = 1 + this.#random.below(1_000_000);
    this.#priorities.set(chain, fresh);
    return fresh;
  }
}

function chainOf(world: World, event: Event): string {
  if (!('client' in event)) return event.type;
  const mn = event.type === 'unit' ? world.actors[event.client].units[event.unit].mn : 0;
  return `${event.client}/${mn}`;
}
