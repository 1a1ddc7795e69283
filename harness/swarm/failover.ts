/**
 * A client of the swarm while memory nodes die: it holds answers back that are failures of nobody knows whom,
 * stops when the master asks for it, and goes on in the next view.
 *
 * Rules of this file: a stopped client posts nothing; it counts as stopped when all that it had posted is
 * answered; and no generator goes on between the two.
 */
import { Marks, type MasterView, type Member, type StopReport } from '../../fusee/master/index.js';
import { NO_PERIOD } from '../../fusee/memory/index.js';
import {
  type Coroutine,
  continueRequest,
  type Decisions,
  isInterrupted,
  NO_DECISIONS,
  openRounds,
  type RequestKind,
} from '../../fusee/ops/index.js';
import { Fate, fateOf, isForLost, MEND_VERBS, mend, mended } from '../../fusee/ops/mend.js';
import { type OpLoop, VerbBatch } from '../../fusee/verbs/index.js';
import type { SwarmClient } from './client.js';

/** Registered memory that one {@link Failover} takes. */
export const FAILOVER_BYTES: number = (MEND_VERBS + 1) * 64;

/** What the client lets it do. */
export interface Resumed {
  /** A coroutine's batch is answered, and its generator may go on. */
  advance(i: number): void;
  /** A coroutine's request goes on with another loop. */
  replace(i: number, loop: OpLoop): void;
  /** A coroutine's answer is held back. */
  held(i: number): void;
  /** A sleep that ended while the client had stopped. */
  woken(i: number): void;
}

/** One client's part in changes of the view. */
export class Failover {
  isStopped = false;
  readonly #client: SwarmClient;
  readonly #resumed: Resumed;
  readonly #onStopped: (report: StopReport) => void;
  readonly #again: VerbBatch;
  /** Answers that wait for the next view, by coroutine; background work is the last. */
  readonly #held: (VerbBatch | null)[];
  /** Answers that came in while the client had stopped. */
  readonly #arrived: (VerbBatch | null)[];
  readonly #slept: Set<number> = new Set();
  /** The batch that {@link #again} mends. */
  #mending: { i: number; batch: VerbBatch } | null = null;
  readonly #bereft: { i: number; batch: VerbBatch }[] = [];
  #hasReported = true;
  #marks: Marks | null = null;

  constructor(client: SwarmClient, resumed: Resumed, onStopped: (report: StopReport) => void) {
    const n = client.coroutines.length + 1;
    this.#client = client;
    this.#resumed = resumed;
    this.#onStopped = onStopped;
    this.#again = new VerbBatch(client.fabric.local, MEND_VERBS);
    this.#again.tag = n;
    this.#held = new Array<VerbBatch | null>(n).fill(null);
    this.#arrived = new Array<VerbBatch | null>(n).fill(null);
  }

  /** This client, for the client table. */
  get member(): Member {
    const { cid, clientIndex } = this.#client.state;
    return { cid, place: clientIndex };
  }

  /** Takes an answered batch. True: its generator may go on now. */
  admit(i: number, batch: VerbBatch): boolean {
    if (this.isStopped) {
      this.#arrived[i] = batch;
      this.#report();
      return false;
    }
    return this.#admit(i, batch);
  }

  /** The answer to what was posted once more. */
  mended(): void {
    const { i, batch } = this.#mending as { i: number; batch: VerbBatch };
    this.#mending = null;
    mended(batch, this.#client.state.view, this.#again);
    if (this.isStopped) for (const other of this.#bereft.splice(0)) this.#arrived[other.i] = other.batch;
    // Another node may have died meanwhile.
    if (this.admit(i, batch)) this.#resumed.advance(i);
    while (this.#mending === null && this.#bereft.length > 0) {
      const next = this.#bereft.shift() as { i: number; batch: VerbBatch };
      this.#mend(next.i, next.batch);
    }
  }

  /** Keeps a coroutine that wakes in its sleep. */
  keepsAsleep(i: number): boolean {
    if (this.isStopped) this.#slept.add(i);
    return this.isStopped;
  }

  /** The master asks the client to stop. */
  stop(): void {
    this.isStopped = true;
    this.#hasReported = false;
    this.#report();
  }

  /** What was held for too long: its request ends, unanswered. */
  giveUp(i: number): void {
    if (this.#held[i] === null || this.isStopped) return;
    this.#held[i] = null;
    this.#resumed.advance(i);
  }

  isHeld(i: number): boolean {
    return this.#held[i] !== null;
  }

  /** Notes from now on what is written to, or no more. */
  note(isFilling: boolean): void {
    if (isFilling === (this.#marks !== null)) return;
    const { fabric, state } = this.#client;
    const { config, nodeBytes } = state.view.geometry;
    const marks = isFilling ? new Marks({ nodes: config.nodes, nodeBytes }) : null;
    this.#marks = marks;
    fabric.onPost = marks === null ? null : (batch) => marks.add(batch);
  }

  /** The client goes on in another view. */
  adopt(view: MasterView, decided: Decisions, isWhole: boolean): void {
    const { state, coroutines, row } = this.#client;
    const control = state.view.controlMn;
    this.note(view.filling !== undefined);
    state.view.change(view.number, view.dead, isWhole);
    state.grace.adoptTable(control !== state.view.controlMn);
    this.isStopped = false;
    const slept = [...this.#slept];
    this.#slept.clear();
    const answers = this.#held.map((held, i) => this.#arrived[i] ?? held);
    this.#held.fill(null);
    this.#arrived.fill(null);
    coroutines.forEach((coroutine, i) => {
      if (row[i] < 0 || !isInterrupted(coroutine.cx)) return;
      answers[i] = null;
      slept.splice(0, slept.length, ...slept.filter((s) => s !== i));
      this.#interrupt(coroutine, i, decided);
    });
    answers.forEach((batch, i) => {
      if (batch !== null && this.#admit(i, batch)) this.#resumed.advance(i);
    });
    for (const i of slept) this.#resumed.woken(i);
  }

  #interrupt(coroutine: Coroutine, i: number, decided: Decisions): void {
    const kind = this.#client.kindOf(i) as RequestKind;
    this.#resumed.replace(i, continueRequest(coroutine, kind, decided));
  }

  #admit(i: number, batch: VerbBatch): boolean {
    const { view } = this.#client.state;
    const fate = fateOf(batch, view);
    if (fate === Fate.GO_ON) return true;
    const coroutine = this.#client.coroutines[i] as Coroutine | undefined;
    const isRequest = coroutine !== undefined && coroutine.cx.period !== NO_PERIOD;
    if (fate === Fate.WAIT || (isRequest && isForLost(batch, view))) {
      this.#held[i] = batch;
      this.#resumed.held(i);
    } else if (coroutine !== undefined && isRequest) this.#interrupt(coroutine, i, NO_DECISIONS);
    else this.#mend(i, batch);
    return false;
  }

  #mend(i: number, batch: VerbBatch): void {
    if (this.#mending !== null) {
      this.#bereft.push({ i, batch });
      return;
    }
    mend(batch, this.#client.state.view, this.#again);
    if (this.#again.count === 0) {
      this.#resumed.advance(i);
      return;
    }
    this.#mending = { i, batch };
    this.#client.fabric.post(this.#again);
  }

  #report(): void {
    const { fabric, state } = this.#client;
    if (this.#hasReported || fabric.outstanding > 0) return;
    this.#hasReported = true;
    const { version, globalDepth: depth } = state.directory;
    this.#onStopped({
      rounds: openRounds(state),
      word: state.grace.word,
      directory: { version, depth },
      marks: this.#marks?.take(),
    });
  }
}
