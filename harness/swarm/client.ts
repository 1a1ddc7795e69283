/**
 * A client in virtual time: its coroutines go on when their batch completes, pollers pace themselves.
 *
 * Rules of this file: nothing is allocated per round trip; every request is recorded before it begins; a
 * client that dies touches nothing afterwards.
 */
import { JANITOR_BYTES } from '../../fusee/background/index.js';
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { IndexCache } from '../../fusee/index/index.js';
import { View } from '../../fusee/layout/index.js';
import type { MasterView } from '../../fusee/master/index.js';
import { GRACE_BYTES } from '../../fusee/memory/index.js';
import {
  ClientState,
  CONTEXT_BYTES,
  type Coroutine,
  type Decisions,
  leavesHalfDone,
  makeCoroutine,
  Outcome,
  RequestKind,
} from '../../fusee/ops/index.js';
import { DONE, type OpLoop, type VerbBatch } from '../../fusee/verbs/index.js';
import { endedAs } from '../check/ended.js';
import { NO_VALUE } from '../check/linearizability/index.js';
import { BackgroundWork } from './background.js';
import { checkCost } from './bounds.js';
import { FAILOVER_BYTES, Failover } from './failover.js';
import type { Run } from './run.js';
import { tellAnswer, tellRequest } from './tell-request.js';
import type { Teller } from './trace.js';
import { valueId } from './values.js';
import { type TakenObject, watchCells } from './watch-cells.js';

/** A request that has only waited for others for so long gives up. */
export const DEADLINE_NS = 50e6;
/** First pause of a poller, or of who waits for a sibling; it doubles, up to 128 times that. */
const POLL_NS = 200;
const POLL_NS_MAX = 128 * POLL_NS;

/** What a sleeping coroutine does next. */
const BEGIN = 0;
const RESUME = 1;
const POST = 2;

/** One client of a swarm's cluster. */
export class SwarmClient {
  readonly run: Run;
  readonly cid: number;
  readonly fabric: SimFabric;
  readonly state: ClientState;
  readonly coroutines: readonly Coroutine[];
  /** What tests have in place of a coroutine's loops. */
  readonly #own: (readonly (OpLoop | undefined)[])[] = [];
  /** Requests that each coroutine has still to make. */
  readonly left: Int32Array;
  /** Row of each coroutine's open request, or -1. */
  readonly row: Int32Array;
  /** Objects of each coroutine's open, or latest, request. */
  readonly objects: TakenObject[][];
  readonly #loop: (OpLoop | null)[];
  readonly #batch: (VerbBatch | null)[];
  readonly #sleeper: number[] = [];
  readonly #next: Uint8Array;
  readonly #startNs: Float64Array;
  readonly #pollNs: Float64Array;
  readonly #kind: Uint8Array;
  /** Round trips of the request so far, its writes' number if nobody else writes, else -1. */
  readonly #rtts: Int32Array;
  readonly #quietSince: Float64Array;
  /** The directory's version when the request began. */
  readonly #version: Float64Array;
  readonly #isFinished: Uint8Array;
  readonly #tellers: readonly Teller[];
  readonly #background: BackgroundWork;
  readonly failover: Failover;
  /** Wakes to come that are not for what the coroutine does now. */
  readonly #asleep: Uint8Array;
  readonly #overslept: Uint8Array;
  readonly #firstRow: number;
  /** Batches posted so far: deaths are planned by it. */
  posted = 0;
  diesAfter = Number.POSITIVE_INFINITY;
  isDead = false;
  onDeath: () => void = () => {};

  /** @param left requests of each coroutine; @param threads number of its first coroutine in the history. */
  constructor(
    run: Run,
    options: { cid: number; left: readonly number[]; thread: number; buffer?: ArrayBuffer },
  ) {
    const { plan, world } = run;
    const n = plan.coroutines;
    this.run = run;
    this.cid = options.cid;
    this.fabric = new SimFabric(world, {
      localBytes: clientBytes(n),
      localBuffer: options.buffer,
      queueCapacity: 2 * n,
      rpcTimeoutNs: plan.rpcTimeoutNs,
    });
    this.fabric.onCompleted = (batch) => this.#completed(batch);
    this.state = new ClientState({
      view: new View(run.view.geometry, run.view),
      local: this.fabric.local,
      cache: new IndexCache(plan.cache),
      cid: options.cid,
      coroutines: n,
    });
    this.state.hasMaster = plan.nodeCrashes > 0;
    this.coroutines = Array.from({ length: n }, (_, i) => makeCoroutine(this.state, i));
    this.left = Int32Array.from(options.left);
    this.row = new Int32Array(n).fill(-1);
    this.objects = this.coroutines.map(() => []);
    this.#loop = new Array<OpLoop | null>(n).fill(null);
    this.#batch = new Array<VerbBatch | null>(n).fill(null);
    this.#next = new Uint8Array(n);
    this.#startNs = new Float64Array(n);
    this.#pollNs = new Float64Array(n);
    this.#kind = new Uint8Array(n);
    this.#rtts = new Int32Array(n);
    this.#quietSince = new Float64Array(n);
    this.#version = new Float64Array(n);
    this.#isFinished = new Uint8Array(n);
    this.#tellers = this.coroutines.map((_, i) => ({
      name: `client ${options.cid}.${i}`,
      request: '',
      key: -1,
    }));
    this.#firstRow = options.thread;
    this.#background = new BackgroundWork(run, this);
    this.#asleep = new Uint8Array(n);
    this.#overslept = new Uint8Array(n);
    this.failover = new Failover(
      this,
      {
        advance: (i) => (i === n ? this.#background.completed() : this.#advance(i)),
        replace: (i, loop) => this.#replace(i, loop),
        held: (i) => this.#setDeadline(i),
        woken: (i) => this.#wakeUp(i),
      },
      (report) => run.stopped(this, report),
    );
    for (let i = 0; i < n; i++) this.#prepare(i);
  }

  #prepare(i: number): void {
    const { run } = this;
    const coroutine = this.coroutines[i];
    const own = run.hooks.loops?.(coroutine) ?? [];
    this.#own.push(own);
    watchCells(coroutine, this.objects[i], run.freeCells);
    this.#sleeper.push(run.world.sleeper(() => this.#woken(i)));
    if (this.left[i] > 0) run.active++;
    else this.#isFinished[i] = 1;
  }

  /** Lets every coroutine make its first request within `withinNs`. */
  start(withinNs: number): void {
    const { load } = this.run;
    this.#background.start(
      () => {
        this.left.forEach((left, i) => {
          if (left > 0) this.#sleep(i, BEGIN, 1 + load.random.below(withinNs + 1));
        });
      },
      () => this.run.lost(this),
    );
  }

  /** All its requests are answered. */
  get isFinished(): boolean {
    return this.#isFinished.every((is) => is !== 0);
  }

  /** It has stopped for a change of the view. */
  get isStopped(): boolean {
    return this.failover.isStopped;
  }

  /** The view changes: {@link Failover}. */
  adopt(view: MasterView, decided: Decisions, isWhole: boolean): void {
    this.failover.adopt(view, decided, isWhole);
    this.#background.goOn();
  }

  /** What the coroutine's open request is. */
  kindOf(i: number): number {
    return this.#kind[i];
  }

  /** The client dies here and now; what it had posted may still execute. */
  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.fabric.crash();
    this.run.trace?.note(`client ${this.cid} DIES`);
    this.run.world.note(0xdead + this.cid);
    for (let i = 0; i < this.left.length; i++) this.#finish(i);
    this.onDeath();
  }

  #finish(i: number): void {
    if (this.#isFinished[i] !== 0) return;
    this.#isFinished[i] = 1;
    this.run.active--;
  }

  /** When the oldest open request began; Infinity when there is none. */
  oldestNs(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.row.length; i++)
      if (this.row[i] >= 0 && this.#startNs[i] < oldest) oldest = this.#startNs[i];
    return oldest;
  }

  /** Is the coroutine's open request one that writes? */
  isWriting(i: number): boolean {
    return this.row[i] >= 0 && this.#kind[i] !== RequestKind.SEARCH;
  }

  #sleep(i: number, next: number, delayNs: number): void {
    this.#next[i] = next;
    this.#asleep[i] = 1;
    this.run.world.wake(this.#sleeper[i], delayNs);
  }

  #woken(i: number): void {
    if (this.#overslept[i] > 0) {
      this.#overslept[i]--;
      return;
    }
    this.#asleep[i] = 0;
    if (!this.isDead && !this.failover.keepsAsleep(i)) this.#wakeUp(i);
  }

  #wakeUp(i: number): void {
    if (this.isDead) return;
    if (this.#next[i] === BEGIN) {
      this.#begin(i);
      return;
    }
    if (this.run.world.nowNs - this.#startNs[i] > DEADLINE_NS) this.coroutines[i].cx.write.expired = true;
    if (this.#next[i] === RESUME) this.#advance(i);
    else this.#post(i, this.#batch[i]!);
  }

  /** A coroutine's request goes on otherwise: what it was about to do is not done. */
  #replace(i: number, loop: OpLoop): void {
    if (this.#asleep[i] !== 0) this.#overslept[i]++;
    this.#asleep[i] = 0;
    this.#loop[i] = loop;
    this.#pollNs[i] = 0;
    // It may meet writers that were not there before.
    this.#quietSince[i] = -1;
    this.#advance(i);
  }

  /** A request whose answer is held back ends at its deadline, and background work after as long. */
  #setDeadline(i: number): void {
    const { world } = this.run;
    // Background work has no row, and no start.
    const row = this.row[i];
    world.at(Math.max(world.nowNs, (this.#startNs[i] ?? world.nowNs) + DEADLINE_NS), () => {
      if (this.isDead || this.row[i] !== row) return;
      if (row !== undefined) this.coroutines[i].cx.write.expired = true;
      this.failover.giveUp(i);
    });
  }

  #begin(i: number): void {
    const { run } = this;
    const { load, world } = run;
    const { cx } = this.coroutines[i];
    this.left[i]--;
    load.drawNext(this.#firstRow + i, run.plan.requests - 1 - this.left[i]);
    const kind = load.kind;
    const { keyWords, keyStride } = load;
    const keyBytes = load.keyBytes[load.key];
    const { bytes, words } = cx.client.local;
    const from = load.key * keyStride;
    for (let w = 0, at = cx.keyAt >>> 2; w < keyStride; w++) words[at + w] = keyWords[from + w];
    cx.keyBytes = keyBytes;
    const writes = kind === RequestKind.INSERT || kind === RequestKind.UPDATE || kind === RequestKind.PUT;
    cx.valueBytes = writes ? load.valueBytes : 0;
    const value = writes ? load.values.put(bytes, cx.keyAt + keyBytes, load.valueBytes) : NO_VALUE;
    // The first verb executes later than now: a request that begins right after another does not overlap it.
    this.row[i] = run.history.begin(this.#firstRow + i, load.key, kind, value, world.nowNs + 1);
    while (this.objects[i].length > 0) this.objects[i].pop();
    cx.write.expired = false;
    this.#kind[i] = kind;
    this.#startNs[i] = world.nowNs;
    this.#rtts[i] = 0;
    this.#pollNs[i] = 0;
    this.#version[i] = this.state.directory.version;
    this.#quietSince[i] = run.writesActive === 0 ? run.writesBegun : -1;
    if (kind !== RequestKind.SEARCH) {
      run.writesActive++;
      run.writesBegun++;
      this.#quietSince[i]++;
    }
    if (run.trace !== undefined) tellRequest(run, this.#tellers[i], value);
    this.#loop[i] = this.#own[i][kind] ?? this.coroutines[i].loops[kind];
    this.#advance(i);
  }

  #advance(i: number): void {
    let batch: VerbBatch | typeof DONE;
    try {
      const result = this.#loop[i]!.next();
      if (result.done) throw new Error('driven on after an error');
      batch = result.value;
      if (batch === DONE) {
        this.#ended(i);
        return;
      }
    } catch (error) {
      this.run.trace?.note(`stops: ${(error as Error).message}`, this.#tellers[i]);
      this.run.fail('error', `client ${this.cid} coroutine ${i}: ${(error as Error).message}`);
      return;
    }
    batch.tag = i;
    this.#batch[i] = batch;
    if (batch.count === 0) this.#sleep(i, RESUME, this.#pollNs[i] + POLL_NS);
    else if (batch.isPoll && this.#pollNs[i] > 0) this.#sleep(i, POST, this.#pollNs[i]);
    else this.#post(i, batch);
    if (batch.isPoll) this.#pollNs[i] = Math.min(POLL_NS_MAX, this.#pollNs[i] * 2 + POLL_NS);
  }

  #post(i: number, batch: VerbBatch): void {
    this.run.hooks.posting?.(batch, this.coroutines[i]);
    this.run.trace?.posted(batch, this.#tellers[i]);
    this.fabric.post(batch);
    if (++this.posted === this.diesAfter) {
      const { random } = this.run.world;
      const withinNs = 3 * (this.run.plan.latency.leastNs + this.run.plan.latency.jitterNs);
      this.run.world.at(this.run.world.nowNs + random.below(withinNs), () => this.die());
    }
  }

  #completed(batch: VerbBatch): void {
    const i = batch.tag;
    this.run.trace?.completed(batch);
    if (i > this.coroutines.length) {
      this.failover.mended();
      return;
    }
    if (this.run.plan.nodeCrashes > 0 && !this.failover.admit(i, batch)) return;
    if (i === this.coroutines.length) {
      this.#background.completed();
      return;
    }
    if (!batch.isPoll) {
      this.#pollNs[i] = 0;
      // Blocks are asked for with a batch of the allocator's own.
      if (batch === this.coroutines[i].cx.batch && batch.count > batch.backgroundCount) this.#rtts[i]++;
    }
    this.#advance(i);
  }

  #ended(i: number): void {
    const { run } = this;
    const { cx } = this.coroutines[i];
    const kind = this.#kind[i] as RequestKind;
    const { outcome } = cx;
    let value = NO_VALUE;
    if (kind === RequestKind.SEARCH && outcome === Outcome.OK)
      value = valueId(cx.client.local.bytes, cx.foundAt, cx.foundBytes);
    if (run.trace !== undefined) tellAnswer(run, this.#tellers[i], { outcome, value });
    const nowNs = run.world.nowNs;
    run.history.complete(this.row[i], endedAs(outcome), value, nowNs);
    run.world.note(outcome);
    run.world.note(value);
    run.outcomes[outcome]++;
    run.lastAnswerNs = nowNs;
    this.#checkCost(i, kind);
    // Of what it may have left half done nobody else knows: it must be recovered.
    if (outcome === Outcome.UNAVAILABLE && (this.fabric.isDisturbed || leavesHalfDone(cx))) {
      run.lost(this);
      return;
    }
    this.row[i] = -1;
    if (kind !== RequestKind.SEARCH) run.writesActive--;
    if (this.left[i] === 0) this.#finish(i);
    else if (run.plan.thinkNs === 0) this.#begin(i);
    else this.#sleep(i, BEGIN, 1 + run.load.random.below(run.plan.thinkNs));
  }

  #checkCost(i: number, kind: RequestKind): void {
    // Who has waited for a split has begun more than once.
    const isSame = this.#version[i] === this.state.directory.version;
    if (this.#quietSince[i] !== this.run.writesBegun || !isSame) return;
    checkCost(this.run, { kind, cid: this.cid, rtts: this.#rtts[i] });
  }
}

/** Registered memory of a client with so many coroutines. */
export const clientBytes = (coroutines: number): number =>
  coroutines * CONTEXT_BYTES + GRACE_BYTES + JANITOR_BYTES + FAILOVER_BYTES + (1 << 14);
