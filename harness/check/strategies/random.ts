/** Schedules at random: every enabled event alike, crashes and link failures now and then. */
import type { Event } from '../explorer/event.js';
import type { World } from '../world.js';
import { Random } from './seeded.js';
import type { Strategy } from './strategy.js';

/** Schedules by lots. */
export class RandomStrategy implements Strategy {
  readonly #random: Random;
  #left: number;
  readonly #failsOneIn: number;

  /** @param options.failsOneIn mean events between failures, while any may happen. */
  constructor(seed: number, schedules: number, options: { failsOneIn?: number } = {}) {
    this.#random = new Random(seed);
    this.#left = schedules;
    this.#failsOneIn = options.failsOneIn ?? 20;
  }

  begin(): boolean {
    return this.#left-- > 0;
  }

  next(world: World, enabled: readonly Event[]): Event {
    const random = this.#random;
    const crashes = enabled.filter((e) => e.type === 'crash');
    if (crashes.length > 0 && random.below(this.#failsOneIn) === 0) return random.pick(crashes);
    if (world.killsLeft > 0 && random.below(this.#failsOneIn) === 0) {
      const mn = random.below(world.pool.config.nodes);
      if (world.mayDie(mn)) return { type: 'kill', mn };
    }
    if (world.cutsLeft > 0 && random.below(this.#failsOneIn) === 0) {
      const client = random.below(world.actors.length);
      const { isRecovery, run } = world.actors[client];
      const mn = random.below(world.pool.config.nodes);
      if (!isRecovery && run.batch !== null) return { type: 'cut', client, mn, executed: random.below(3) };
    }
    return random.pick(enabled.filter((e) => e.type !== 'crash'));
  }
}
