/**
 * What a master does to the pool's memory, one op at a time: repairs between two views, and recoveries. They
 * share a fabric and a coroutine, and post nothing while the master's term is not held.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { complete } from '../client/call.js';
import { View } from '../layout/index.js';
import { type Member, type Repair, Repairer } from '../master/index.js';
import { type Context, makeCoroutine } from '../ops/index.js';
import { type RecoveryStep, recoverClient } from '../recovery/index.js';
import type { Op, Word } from '../verbs/index.js';
import { type Chronicle, StepTimes } from './status.js';
import type { Seat } from './take-over.js';

/** Tries of an op that met silence, before the next look at nodes. */
const RETRY_MS = 5;

/** Whom the works of a master serve. */
export interface Employer {
  readonly isClosed: boolean;
  readonly chronicle: Chronicle;
  /** Looks for nodes that have died: one was silent. */
  lookAtNodes(): Promise<void>;
  log(line: string): void;
}

/** Repairs and recoveries of one master. */
export class Works {
  readonly #seat: Seat;
  readonly #employer: Employer;
  readonly #cx: Context;
  readonly #repairer: Repairer;
  /** CIDs whose recovery is to end as it stands. */
  readonly #halting = new Set<number>();
  #busy: Promise<void> = Promise.resolve();

  constructor(seat: Seat, employer: Employer) {
    this.#seat = seat;
    this.#employer = employer;
    this.#cx = makeCoroutine(seat.state, 0).cx;
    this.#repairer = new Repairer(this.#cx);
  }

  /** Resolves when all that waits by now is done. */
  get idle(): Promise<void> {
    return this.#busy;
  }

  /** Puts work behind all that waits. */
  queue(work: () => Promise<void>): void {
    this.#busy = this.#busy.then(async () => {
      if (!this.#employer.isClosed) await work();
    });
  }

  /** Ends a recovery as it stands; `onHalted` is called behind it. */
  halt(cid: number, onHalted: () => void): void {
    this.#halting.add(cid);
    this.queue(async () => {
      this.#halting.delete(cid);
      onHalted();
    });
  }

  /** Repairs the pool for a view; what was decided, or undefined when a node was silent. */
  async repair(repair: Repair): Promise<Map<number, Word> | undefined> {
    const { chronicle } = this.#employer;
    const { view, grace } = this.#seat.state;
    const before = new View(view.geometry, view);
    before.change(repair.before.number, repair.before.dead);
    view.change(repair.before.number, repair.before.dead);
    view.change(repair.view.number, repair.view.dead);
    grace.adoptTable(before.controlMn !== view.controlMn);
    const decided = await this.#run(this.#repairer.repair(repair, before));
    if (decided === undefined) {
      await pause(RETRY_MS);
      await this.#employer.lookAtNodes();
      return undefined;
    }
    const { number, dead } = repair.view;
    chronicle.changed(repair.view, decided.size);
    this.#employer.log(`view ${number} without nodes ${dead.join(', ')}: ${decided.size} slots decided`);
    return decided;
  }

  /** Recovers a fenced client; false: it was told to end as it stands. */
  async recover({ cid, place }: Member): Promise<boolean> {
    const { chronicle } = this.#employer;
    for (let attempts = 1; !this.#employer.isClosed && !this.#halting.has(cid); attempts++) {
      const times = new StepTimes(() => this.#seat.fabric.nowNs());
      let entries = 0;
      const onWalked = (count: number): void => {
        entries = count;
      };
      const options = { onStep: (step: RecoveryStep) => times.begin(step), onWalked };
      const recovery = recoverClient(this.#cx, { cid, index: place }, options);
      const isDone = await this.#run(recovery, () => this.#halting.has(cid));
      times.end();
      if (isDone === true) {
        chronicle.recovered(cid, times, { entries, attempts });
        this.#employer.log(`client ${cid} is recovered in ${times.totalMs.toFixed(1)} ms`);
        return true;
      }
      await pause(RETRY_MS);
      // A silent node may have died: then this recovery is halted.
      await this.#employer.lookAtNodes();
    }
    return false;
  }

  /** Runs an op to its end; undefined when it was told to end as it stands. */
  async #run<T>(steps: Op<T>, isHalted: () => boolean = () => false): Promise<T | undefined> {
    const { term, fabric } = this.#seat;
    // The op before may have been halted in the middle of a stage.
    this.#cx.arm();
    for (;;) {
      while (!term.isHeld && !this.#employer.isClosed) await pause(RETRY_MS);
      if (isHalted() || !term.isHeld) return undefined;
      const step = steps.next();
      if (step.done) return step.value;
      await complete(fabric, step.value);
    }
  }
}
