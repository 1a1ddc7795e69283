/**
 * Worlds of clients that reclaim memory, or split a subtable, while others use it.
 *
 * A script says what each client does, clients apart by bars: requests as in a mix (`U0`, a letter and a
 * key), and steps of its reclaim:
 *
 *     free      sets the free bits of what its requests have replaced
 *     collect   looks for free bits in its own blocks, and begins the grace of what it has found
 *     settle    ends its own period twice, waits for the grace, and takes the cells back
 *     split     splits subtable 0
 *     tend      ends periods while who splits does and when the directory changes, and lifts locks of the
 *               dead, as long as a request of the client is left; then rests
 *     next      ends its period
 *     rest      gives its word in the client table up: everybody's last step, or others wait for ever
 *
 * Rules of this file:
 * - Everything ahead of `before`'s end happens in order, before the run: clients open their lists, enter the
 *   pool, and do what `before` asks, so that the explored part can be short.
 * - A dead client is recovered by the walk of its log lists, then leaves the client table.
 */
import { SPLITTER_BYTES, Splitter } from '../../../fusee/background/index.js';
import { RECLAIM_BYTES, Reclaim } from '../../../fusee/background/reclaim.js';
import type { CacheOptions } from '../../../fusee/index/index.js';
import {
  CLIENTS_BASE,
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  GRACE_PERIODS,
} from '../../../fusee/layout/index.js';
import {
  advancePeriod,
  type Context,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  enterPool,
  type RequestKind,
} from '../../../fusee/ops/index.js';
import {
  freeReplaced,
  recoverRequests,
  requireWhole,
  retireClient,
  walkLogs,
} from '../../../fusee/recovery/index.js';
import { type Op, type OpLoop, UsageError, VerbBatch, word } from '../../../fusee/verbs/index.js';
import type { Contents } from '../linearizability/index.js';
import { ClientActor, Host, OpActor } from './actors.js';
import { type BoundedPool, CLIENT_BYTES } from './pool.js';
import { HistoryRecorder } from './recorder.js';
import { ContentsReader, replicasDiffer } from './request-world.js';
import { runNow, ScriptActor } from './script.js';
import type { Actor, BoundedWorld } from './world.js';

/** A cache that never bypasses an entry. */
const CACHE: CacheOptions = { bytes: 1 << 12, keyBytes: 32, threshold: 1 };

/** Registered memory of a client with a reclaim, and of one coroutine more. */
const KEEPER_BYTES: number =
  CLIENT_BYTES + RECLAIM_BYTES + DIRECTORY_READ_BYTES + (DIRECTORY_READ_VERBS + 4) * 64 + 4096 + 512;

/** Clients whose periods a client looks at. */
const CLIENTS_WATCHED = 4;

const LETTERS = 'SIUDP';

type MakeSplitter = (...args: ConstructorParameters<typeof Splitter>) => Splitter;

/** A client whose background a script moves. */
export class Keeper extends Host {
  readonly reclaim: Reclaim;
  /** Where the index may grow. */
  readonly splitter: Splitter | undefined;
  /** Requests of its scripts that have not ended. */
  requestsLeft = 0;
  readonly #room: { batch: VerbBatch; into: number };
  /** Whether log heads follow their bits before a second period ends, as the janitor has it. */
  paysDebts = true;
  readonly #idle: VerbBatch;
  readonly #table: number;
  /** Periods to end for the grace that it waits for: no more than that takes, or there is no end to them. */
  #periodsOwed = 0;
  #isEnding = false;

  constructor(pool: BoundedPool, options: { cid: number; coroutines: number; makeSplitter?: MakeSplitter }) {
    const splits = pool.config.subtables < pool.config.subtablesMax;
    const bytes = KEEPER_BYTES + (splits ? SPLITTER_BYTES : 0);
    const local = pool.memory(bytes + (options.coroutines - 1) * CLIENT_BYTES);
    super(pool, { ...options, cache: CACHE, local });
    this.reclaim = new Reclaim(this.state);
    this.#room = {
      batch: new VerbBatch(local, DIRECTORY_READ_VERBS),
      into: local.reserve(DIRECTORY_READ_BYTES),
    };
    this.#idle = new VerbBatch(local, 2);
    this.#table = local.reserve(CLIENTS_WATCHED * 8);
    this.splitter = splits ? this.#makeSplitter(options.makeSplitter) : undefined;
  }

  /** Announces that requests will begin. */
  enter(): Op<boolean> {
    return enterPool(this.state, this.#room);
  }

  /** Ends a period, if no request of an earlier one is in flight and no other thread is at it. */
  *endPeriod(): Op<boolean> {
    if (this.#isEnding) return false;
    this.#isEnding = true;
    const ended = yield* advancePeriod(this.state, this.#room);
    if (this.paysDebts && this.reclaim.isOwing) yield* this.reclaim.payDebts();
    this.#isEnding = false;
    return ended;
  }

  /** A step of a script, or undefined when the word names none. */
  step(name: string): Op<unknown> | undefined {
    switch (name) {
      case 'free':
        return this.reclaim.free();
      case 'collect':
        return this.reclaim.collect();
      case 'settle':
        return this.#settle();
      case 'next':
        return this.#next();
      case 'rest':
        return this.#rest();
      case 'split':
        return this.splitter?.split(0, 0);
      case 'tend':
        return this.#tend();
      default:
        return undefined;
    }
  }

  #makeSplitter(make: MakeSplitter = (client, tick) => new Splitter(client, tick)): Splitter {
    const { grace } = this.state;
    const { mark } = grace;
    grace.mark = (into) => {
      this.#periodsOwed = GRACE_PERIODS;
      return mark.call(grace, into);
    };
    return make(this.state, () => this.#tick());
  }

  *#tick(): Op<void> {
    if (this.#periodsOwed > 0 && (yield* this.endPeriod())) this.#periodsOwed--;
  }

  *#tend(): Op<void> {
    const { grace, view, directory, local } = this.state;
    // Of whoever splits: for each of its periods this client ends one of its own.
    let followed = grace.period;
    while (this.requestsLeft > 0) {
      const b = this.#wait();
      b.read(view.controlMn, CLIENTS_BASE, this.#table, CLIENTS_WATCHED * 8);
      b.read8(view.controlMn, DIRECTORY_VERSION_OFFSET);
      yield b;
      const splitter = directory.ownerOf(0);
      const at = (this.#table >>> 2) + 2 * (splitter - 1);
      const isDead = splitter !== 0 && local.words[at + 1] !== splitter;
      const isBehind = splitter !== 0 && splitter !== this.cid && local.words[at] > followed;
      if (b.foundLo(1) !== directory.version || isBehind) {
        if ((yield* this.endPeriod()) && isBehind) followed++;
      }
      if (isDead && this.state.waiting > 0) yield* this.lift();
    }
    yield* grace.rest();
  }

  /** Takes the locks of the dead over. */
  *lift(): Op<void> {
    yield* this.splitter?.liftDeadLocks() ?? [];
  }

  *#next(): Op<void> {
    while (!(yield* this.endPeriod())) yield this.#wait();
  }

  *#settle(): Op<void> {
    for (let i = 0; i < GRACE_PERIODS; i++) yield* this.#next();
    while (this.reclaim.awaiting > 0 && !(yield* this.reclaim.settle()));
  }

  *#rest(): Op<void> {
    while (this.requestsLeft > 0) yield this.#wait();
    yield* this.state.grace.rest();
  }

  #wait(): VerbBatch {
    const b = this.#idle.reset();
    b.isPoll = true;
    return b;
  }
}

/** How the clients of a script come into being. */
export interface ReclaimWorldOptions {
  /** What happens ahead of the run, in this order: `[1, 'U0 free'], [2, 'S0']`. */
  readonly before?: readonly (readonly [cid: number, script: string])[];
  /** Switches that make clients naive. */
  readonly naive?: (keeper: Keeper) => void;
  /** Splitters in place of the product's. */
  readonly makeSplitter?: MakeSplitter;
  /** Loops in place of the product's, by kind of request. */
  readonly loops?: (cx: Context) => readonly (OpLoop | undefined)[];
  /** Recovery in place of the product's. */
  readonly recovery?: (cx: Context, dead: Keeper) => Op<void>;
  /** Clients that may die. @default all */
  readonly mayCrash?: readonly number[];
  /** Coroutines of each client; the script of the second begins behind a slash: `U0 / U1`. @default 1 */
  readonly coroutines?: number;
  /** More that must hold at the end. */
  readonly wrongAtEnd?: (keepers: readonly Keeper[]) => string | undefined;
}

/** Worlds of the clients 1, 2, ... of a script. */
export function reclaimWorld(
  pool: BoundedPool,
  script: string,
  options: ReclaimWorldOptions = {},
): () => BoundedWorld {
  const scripts = script.split('|').map((client) => client.split('/'));
  const contents = new ContentsReader(pool);
  const verdicts = new Map<string, string>();
  let initial: Contents | undefined;
  return () => {
    pool.begin();
    let values = 0;
    const { coroutines = 1, loops, mayCrash, makeSplitter } = options;
    const keepers = scripts.map((_, i) => new Keeper(pool, { cid: i + 1, coroutines, makeSplitter }));
    for (const keeper of keepers) {
      runNow(pool.nodes, keeper.enter());
      options.naive?.(keeper);
    }
    const actorOf = (
      keeper: Keeper,
      text: string,
      coroutine: number,
      recorder: HistoryRecorder,
    ): ScriptActor => {
      const parts = text
        .trim()
        .split(/\s+/)
        .filter(Boolean)
        .map((name): Actor => {
          const op = keeper.step(name);
          if (op !== undefined) return new OpActor({ name, op });
          const kind = LETTERS.indexOf(name[0]);
          const key = Number(name.slice(1) || 0);
          if (kind < 0 || !(key < pool.keys.length)) throw new UsageError(`"${name}" is no step of a script`);
          const program = [{ kind: kind as RequestKind, key, value: ++values }];
          keeper.requestsLeft++;
          return new ClientActor(keeper, { program, recorder, loops, coroutine });
        });
      const name = coroutines === 1 ? keeper.group : `${keeper.group}.${coroutine}`;
      const ended = (part: Actor): void => {
        if (part instanceof ClientActor) keeper.requestsLeft--;
      };
      return new ScriptActor(parts, {
        name,
        group: keeper.group,
        mayCrash: mayCrash?.includes(keeper.cid),
        ended,
      });
    };
    const past = new HistoryRecorder({ initial: pool.contents });
    for (const [cid, text] of options.before ?? []) {
      const actor = actorOf(keepers[cid - 1], text, 0, past);
      const endPeriods = (): void => {
        for (const keeper of keepers) if (keeper.cid !== cid) runNow(pool.nodes, keeper.endPeriod());
      };
      runNow(pool.nodes, { next: () => ({ done: false, value: actor.next() }) }, endPeriods);
    }
    initial ??= contents.read();
    const recorder = new HistoryRecorder({ initial, verdicts });
    const actors = keepers.flatMap((keeper, i): Actor[] => [
      ...scripts[i].map((text, coroutine) => actorOf(keeper, text, coroutine, recorder)),
    ]);
    const keeperOf = new Map(keepers.map((keeper) => [keeper.group, keeper]));
    return {
      nodes: pool.nodes,
      actors,
      forgetsEnded: options.wrongAtEnd === undefined,
      addTo: (digest) => recorder.addTo(digest),
      describe: (mn, offset) => pool.describe(mn, offset),
      onCrash: (actor) => {
        const dead = keeperOf.get(actor.group ?? '') as Keeper;
        const recoverer = new Host(pool, { cid: 100 + dead.cid });
        const { cx } = recoverer.coroutines[0];
        const recovery = new OpActor({
          name: `recovery of ${dead.group}`,
          op: recoverClient(cx, dead, options.recovery ?? recoverLogs),
          mayCrash: true,
        });
        keeperOf.set(recovery.group, dead);
        return recovery;
      },
      wrongAtEnd: () =>
        // A dead splitter's lock stays while nobody waits for it, and what it was writing stays as it was.
        (isLocked(pool) ? undefined : replicasDiffer(pool)) ??
        contents.wrong(recorder) ??
        options.wrongAtEnd?.(keepers),
    };
  };
}

/** Does anybody, dead or alive, hold the lock of subtable 0? */
const isLocked = ({ nodes, view }: BoundedPool): boolean =>
  nodes.load(view.directoryMn(0), directoryOffset(0), word()).hi !== 0;

function* recoverClient(
  cx: Context,
  dead: Keeper,
  recovery: (cx: Context, dead: Keeper) => Op<void>,
): Op<void> {
  yield* recovery(cx, dead);
  yield* retireClient(cx.batch, cx.client.view, { cid: dead.cid, index: dead.state.clientIndex });
}

/** The product's recovery of a dead client's requests and frees, from what its log heads say. */
export function* recoverLogs(
  cx: Context,
  dead: Keeper,
  walk: ReturnType<typeof walkLogs> = walkLogs(cx, dead.pool.blocksOf(dead.cid)),
): Op<void> {
  const lists = (yield* walk) ?? [];
  yield* recoverRequests(cx, lists);
  requireWhole(lists);
  yield* freeReplaced(cx, lists);
}
