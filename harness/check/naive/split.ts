/** Splits with one of their rules left out: what hazard H13 is made of. */
import { SplitResult, Splitter } from '../../../fusee/background/index.js';
import type { ClientState } from '../../../fusee/ops/index.js';

type Tick = ConstructorParameters<typeof Splitter>[1];
type Behind = 'lock' | 'publication';
type Halves = Parameters<Splitter['mover']['copy']>[0];

/** Waits for grace behind one of the two only. */
class WithOneGrace extends Splitter {
  readonly #skips: Behind;

  constructor(client: ClientState, skips: Behind, tick: Tick) {
    super(client, tick);
    this.#skips = skips;
  }

  protected override *awaitGrace(behind: Behind) {
    return behind === this.#skips ? true : yield* super.awaitGrace(behind);
  }
}

/** Takes its lock, and lets nobody know. */
class Unannounced extends Splitter {
  protected override *announceLock() {
    return true;
  }
}

/** Copies first, and locks then. */
class CopiesFirst extends Splitter {
  protected override *lock(halves: Halves) {
    if (!(yield* this.mover.copy(halves))) return SplitResult.FAILED;
    const { mover } = this;
    const { copy } = mover;
    mover.copy = function* () {
      mover.copy = copy;
      return true;
    };
    const locked = yield* super.lock(halves);
    if (locked !== SplitResult.SPLIT) mover.copy = copy;
    return locked;
  }
}

/** Waits for one growth of each word, where two are needed. */
function withOnePeriod(client: ClientState, tick: Tick): Splitter {
  const { grace } = client;
  const { hasPassed } = grace;
  grace.hasPassed = function* (mark) {
    const earlier = mark.slice();
    for (let i = 0; i + 1 < earlier.length; i += 2) if (earlier[i + 1] !== 0) earlier[i]--;
    return yield* hasPassed.call(grace, earlier);
  };
  return new Splitter(client, tick);
}

/** Ends its periods whoever is in flight. */
function withHastyPeriods(client: ClientState, tick: Tick): Splitter {
  client.grace.mayAdvance = () => true;
  return new Splitter(client, tick);
}

/** What each leaves out, and a splitter that does so. */
export const NAIVE_SPLITS: Readonly<Record<string, (client: ClientState, tick?: Tick) => Splitter>> = {
  'does not wait behind its lock': (client, tick) => new WithOneGrace(client, 'lock', tick),
  'does not wait before it cleans': (client, tick) => new WithOneGrace(client, 'publication', tick),
  'tells nobody of its lock': (client, tick) => new Unannounced(client, tick),
  'copies before it locks': (client, tick) => new CopiesFirst(client, tick),
  'waits for one period': withOnePeriod,
  'ends periods under requests': withHastyPeriods,
};
