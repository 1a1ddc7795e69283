/**
 * Worlds of clients that reclaim memory while others use it.
 *
 * A script says what each client does, clients apart by bars: requests as in a mix (`U0`, a letter and a key),
 * and steps of its reclaim:
 *
 *     free      sets the free bits of what its requests have replaced
 *     collect   looks for free bits in its own blocks, and begins the grace of what it has found
 *     settle    ends its own period twice, waits for the grace, and takes the cells back
 *     next      ends its period
 *     rest      gives its word in the client table up: everybody's last step, or others wait for ever
 *
 * Rules of this file:
 * - Everything ahead of `before`'s end happens in order, before the run: clients open their lists, enter the
 *   pool, and do what `before` asks, so that the explored part can be short.
 * - A dead client is recovered by the walk of its log lists, then leaves the client table.
 */
import { RECLAIM_BYTES, Reclaim } from '../../../fusee/background/reclaim.js';
import { executeVerb } from '../../../fusee/fabric/execute-verb.js';
import type { CacheOptions } from '../../../fusee/index/index.js';
import { GRACE_PERIODS } from '../../../fusee/layout/index.js';
import {
  advancePeriod,
  type Context,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  enterPool,
  type RequestKind,
} from '../../../fusee/ops/index.js';
import { Recovered, recoverRequest, retireClient, walkLogs } from '../../../fusee/recovery/index.js';
import { type Op, type OpLoop, UsageError, VerbBatch } from '../../../fusee/verbs/index.js';
import type { Contents } from '../linearizability/index.js';
import { ClientActor, Host, OpActor } from './actors.js';
import { type BoundedPool, CLIENT_BYTES } from './pool.js';
import { HistoryRecorder } from './recorder.js';
import { ContentsReader, replicasDiffer } from './request-world.js';
import { ScriptActor } from './script.js';
import type { Actor, BoundedWorld } from './world.js';

/** A cache that never bypasses an entry. */
const CACHE: CacheOptions = { bytes: 1 << 12, keyBytes: 32, threshold: 1 };

/** Registered memory of a client with a reclaim, and of one coroutine more. */
const KEEPER_BYTES: number =
  CLIENT_BYTES + RECLAIM_BYTES + DIRECTORY_READ_BYTES + (DIRECTORY_READ_VERBS + 4) * 64 + 4096 + 512;

const LETTERS = 'SIUDP';

/** A client whose background a script moves. */
export class Keeper extends Host {
  readonly reclaim: Reclaim;
  /** Requests of its scripts that have not ended. */
  requestsLeft = 0;
  readonly #room: { batch: VerbBatch; into: number };
  readonly #idle: VerbBatch;

  constructor(pool: BoundedPool, options: { cid: number; coroutines: number }) {
    const local = pool.memory(KEEPER_BYTES + (options.coroutines - 1) * CLIENT_BYTES);
    super(pool, { ...options, cache: CACHE, local });
    this.reclaim = new Reclaim(this.state);
    this.#room = {
      batch: new VerbBatch(local, DIRECTORY_READ_VERBS),
      into: local.reserve(DIRECTORY_READ_BYTES),
    };
    this.#idle = new VerbBatch(local, 2);
  }

  /** Announces that requests will begin. */
  enter(): Op<boolean> {
    return enterPool(this.state, this.#room);
  }

  /** Ends a period, if no request of an earlier one is in flight. */
  endPeriod(): Op<boolean> {
    return advancePeriod(this.state, this.#room);
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
      default:
        return undefined;
    }
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

/** Runs an operation to its end, at once and in order; `onPoll` hears of each poll. */
function runNow(pool: BoundedPool, op: Iterator<unknown>, onPoll?: () => void): void {
  for (let step = op.next(); step.done !== true && step.value !== null; step = op.next()) {
    const batch = step.value as VerbBatch;
    if (batch.isPoll) onPoll?.();
    for (let i = 0; i < batch.count; i++) executeVerb(pool.nodes, batch, i);
  }
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
    const { coroutines = 1, loops, mayCrash } = options;
    const keepers = scripts.map((_, i) => new Keeper(pool, { cid: i + 1, coroutines }));
    for (const keeper of keepers) {
      runNow(pool, keeper.enter());
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
        for (const keeper of keepers) if (keeper.cid !== cid) runNow(pool, keeper.endPeriod());
      };
      runNow(pool, { next: () => ({ done: false, value: actor.next() }) }, endPeriods);
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
      wrongAtEnd: () => replicasDiffer(pool) ?? contents.wrong(recorder) ?? options.wrongAtEnd?.(keepers),
    };
  };
}

function* recoverClient(
  cx: Context,
  dead: Keeper,
  recovery: (cx: Context, dead: Keeper) => Op<void>,
): Op<void> {
  yield* recovery(cx, dead);
  yield* retireClient(cx.batch, cx.client.view, { cid: dead.cid, index: dead.state.clientIndex });
}

/** The product's recovery of a dead client's requests, from what its log heads say. */
export function* recoverLogs(
  cx: Context,
  dead: Keeper,
  walk: ReturnType<typeof walkLogs> = walkLogs(cx, dead.pool.blocksOf(dead.cid)),
): Op<void> {
  // The newest object first: while its log entry is not there, the one before may be the one in flight.
  for (const list of (yield* walk) ?? [])
    for (const object of list) if ((yield* recoverRequest(cx, object)) !== Recovered.DROPPED) break;
}
