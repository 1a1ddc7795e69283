/**
 * A small pool whose index grows while clients write: real clients and their backgrounds, moved verb by verb
 * by a seeded scheduler, and everything that they answered.
 *
 * Rules of this file: verbs are ordered only within one batch and node; WRITEs may land in two parts; a
 * client that dies leaves what it has posted half executed, and its word in the client table until `clear`.
 */
import { GrowingClient, Posted, type Thread } from '../../fusee/background/by-hand.js';
import type { Splitter } from '../../fusee/background/index.js';
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import type { MemoryNodes } from '../../fusee/fabric/memory-nodes.js';
import { checkPool, type PoolReport, WALK_BYTES } from '../../fusee/fsck/index.js';
import { Geometry, type PoolConfig, View } from '../../fusee/layout/index.js';
import { makeNodes, smallPool } from '../../fusee/node/in-process.js';
import { type ClientState, Outcome, RequestKind } from '../../fusee/ops/index.js';
import { endedAs } from './ended.js';
import { type CheckResult, checkHistory, History, NO_VALUE } from './linearizability/index.js';
import { Random } from './strategies/seeded.js';

/** What a world is made of. */
export interface GrowingPlan {
  readonly seed: number;
  readonly pool?: Partial<PoolConfig>;
  readonly clients?: number;
  readonly coroutines?: number;
  /** Requests of each coroutine. */
  readonly requests?: number;
  readonly keys?: readonly string[];
  /** Weights of SEARCH, INSERT, UPDATE, DELETE, PUT. */
  readonly mix?: readonly number[];
  readonly makeSplitter?: (state: ClientState) => Splitter;
}

/** Events between two freezes, and how long one may last. */
const FREEZE_ONE_IN = 400;
const FREEZE_EVENTS = 600;
const MIX = [6, 8, 2, 1, 1];

/** One client, and what each of its threads is at: the background is number 0. */
export interface Actor {
  readonly client: GrowingClient;
  readonly threads: (Thread | undefined)[];
  readonly posted: (Posted | undefined)[];
  readonly left: number[];
  /** What does not move until then: so that splits meet requests half done. */
  readonly frozenUntil: number[];
  isDead: boolean;
}

/** The world of one plan. */
export class GrowingWorld {
  readonly plan: GrowingPlan;
  readonly config: PoolConfig;
  readonly view: View;
  readonly nodes: MemoryNodes;
  readonly history = new History();
  readonly actors: Actor[] = [];
  readonly outcomes = new Map<number, number>();
  events = 0;
  /** All lots of the run. */
  readonly random: Random;
  readonly #keys: readonly string[];
  /** How much faster backgrounds are than requests. */
  readonly #haste: number;
  #values = 0;
  #cids = 0;

  constructor(plan: GrowingPlan) {
    this.plan = plan;
    const { coroutines = 2, requests = 80, clients = 3 } = plan;
    this.config = smallPool({
      nodes: 3,
      indexReplicas: 2,
      dataReplicas: 1,
      subtables: 1,
      subtablesMax: 16,
      groupsPerSubtable: 2,
      ...plan.pool,
    });
    this.nodes = makeNodes(this.config);
    this.view = new View(new Geometry(this.config));
    this.random = new Random(plan.seed);
    this.#haste = this.random.pick([0, 4, 16, 60]);
    // Some keys are longer than a line, and some than two.
    this.#keys =
      plan.keys ?? Array.from({ length: 200 }, (_, k) => `k${k}`.padEnd([4, 12, 60, 140][k % 4], '.'));
    for (let c = 0; c < clients; c++) this.join(coroutines, requests);
  }

  /** Adds a client. */
  join(coroutines: number, requests: number): Actor {
    const { makeSplitter } = this.plan;
    const client = new GrowingClient(this.nodes, {
      view: this.view,
      cid: ++this.#cids,
      coroutines,
      ...(makeSplitter === undefined ? {} : { makeSplitter }),
    });
    const actor: Actor = {
      client,
      threads: [client.background, ...new Array<undefined>(coroutines).fill(undefined)],
      posted: new Array<undefined>(coroutines + 1).fill(undefined),
      left: new Array<number>(coroutines).fill(requests),
      frozenUntil: new Array<number>(coroutines + 1).fill(0),
      isDead: false,
    };
    this.actors.push(actor);
    return actor;
  }

  /** The client dies here and now; what it has posted stays as it is. */
  kill(actor: Actor): void {
    actor.isDead = true;
    actor.left.fill(0);
    actor.threads.fill(undefined);
  }

  /** Whoever recovered a dead client clears its word. */
  clear({ client: { state } }: Actor): void {
    const { view } = this;
    const offset = view.clientOffset(state.clientIndex);
    this.nodes.store(view.controlMn, offset, 7, 0);
  }

  /** Has every coroutine made all its requests? */
  get isOver(): boolean {
    return this.actors.every(
      ({ left, threads }) =>
        left.every((n) => n === 0) && threads.every((thread, i) => i === 0 || thread === undefined),
    );
  }

  /** Runs until `isDone`. @throws Error when that takes too long. */
  run(isDone: () => boolean = () => this.isOver, eventsMax = 2_000_000): void {
    for (const end = this.events + eventsMax; !isDone(); ) {
      if (this.events === end) throw new Error(`seed ${this.plan.seed}: no end after ${eventsMax} events`);
      this.step();
    }
  }

  /** Runs on until no split is under way. */
  settle(): void {
    this.run(() => this.actors.every(({ client, isDead }) => isDead || !client.splitter.isWanted));
  }

  /** One event of a random coroutine or background. */
  step(): void {
    this.stepOf(this.random.pick(this.actors));
  }

  /** One event of a client. */
  stepOf(actor: Actor): void {
    this.events++;
    this.nodes.nowNs++;
    if (actor.isDead) return;
    const lot = this.random.below(actor.threads.length + this.#haste);
    const i = lot < actor.threads.length ? lot : 0;
    if (this.random.below(FREEZE_ONE_IN) === 0) {
      actor.frozenUntil[i] = this.events + this.random.below(FREEZE_EVENTS);
    }
    if (this.events < actor.frozenUntil[i]) return;
    const thread = actor.threads[i];
    if (thread === undefined) {
      if (i > 0 && actor.left[i - 1] > 0 && actor.client.isReady) this.#begin(actor, i);
      return;
    }
    if (thread.batch === undefined) return;
    actor.posted[i] ??= new Posted(this.nodes, thread.batch);
    const posted = actor.posted[i];
    if (posted.isDone) {
      actor.posted[i] = undefined;
      thread.resume();
    } else posted.step(this.random);
  }

  #begin(actor: Actor, i: number): void {
    const { mix = MIX } = this.plan;
    actor.left[i - 1]--;
    let lot = this.random.below(mix.reduce((a, b) => a + b));
    let kind = 0;
    while (lot >= mix[kind]) lot -= mix[kind++];
    this.request(actor, i, kind as RequestKind, this.random.below(this.#keys.length));
  }

  /** Begins a request of coroutine `i`, from 1, on key number `key`. */
  request(actor: Actor, i: number, kind: RequestKind, key: number): void {
    const writes = kind === RequestKind.INSERT || kind === RequestKind.UPDATE || kind === RequestKind.PUT;
    const value = writes ? this.#values++ : NO_VALUE;
    const { history, nodes } = this;
    const text = writes ? String(value) : '';
    const { cx } = actor.client.coroutines[i - 1];
    const row = history.begin(actor.client.state.cid * 64 + i, key, kind, value, nodes.nowNs);
    actor.threads[i] = actor.client.request(i - 1, kind, this.#keys[key], text, () => {
      actor.threads[i] = undefined;
      const { bytes } = cx.client.local;
      const read = kind === RequestKind.SEARCH && cx.outcome === Outcome.OK;
      const found = read
        ? Number(Buffer.from(bytes.slice(cx.foundAt, cx.foundAt + cx.foundBytes)).toString())
        : NO_VALUE;
      this.outcomes.set(cx.outcome, (this.outcomes.get(cx.outcome) ?? 0) + 1);
      history.complete(row, endedAs(cx.outcome), found, nodes.nowNs);
    });
  }

  /** Every key is looked for once more, by a client that has seen nothing. */
  readAll(): void {
    const reader = this.join(1, 0);
    this.run(() => reader.client.isReady);
    this.#keys.forEach((_, key) => {
      this.request(reader, 1, RequestKind.SEARCH, key);
      this.run(() => reader.threads[1] === undefined);
    });
  }

  /** Is everything that was answered linearizable? */
  check(): CheckResult {
    return checkHistory(this.history);
  }

  /** Walks the memory. */
  walk(): PoolReport {
    const { local } = new MemoryFabric(this.nodes, { localBytes: WALK_BYTES });
    const walk = checkPool({ view: this.view, local, depth: 'bytes' });
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done) return step.value;
      const posted = new Posted(this.nodes, step.value);
      while (!posted.isDone) posted.step({ below: () => 0 });
    }
  }

  /** Splits made by all clients. */
  get splits(): number {
    return this.actors.reduce((sum, { client }) => sum + client.splitter.splits, 0);
  }
}
