/**
 * What a master does to the pool's memory, one op at a time: repairs between two views, and recoveries. They
 * share a fabric and a coroutine, and post nothing while the master's term is not held.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { complete } from '../client/call.js';
import type { FromClient } from '../control/messages.js';
import type { Peer } from '../control/server.js';
import type { HostFabric, NodeAccess } from '../fabric/open.js';
import { View } from '../layout/index.js';
import { type Effect, type Master, type Member, type Repair, Repairer } from '../master/index.js';
import { type ClientState, type Context, makeCoroutine } from '../ops/index.js';
import { type Recovered, type RecoveryStep, recoverClient } from '../recovery/index.js';
import type { Term } from '../store/index.js';
import { CorruptionError, type Op, type Word } from '../verbs/index.js';
import { Filling } from './filling.js';
import { Missing } from './missing.js';
import type { NodeWatch } from './node-watch.js';
import type { HostOptions } from './options.js';
import { rehearseRecovery } from './rehearsal.js';
import { SpareDesk } from './spare-desk.js';
import { type Chronicle, countRequest, noRequests, StepTimes } from './status.js';

/** Tries of an op that met silence, before the next look at nodes. */
const RETRY_MS = 5;

/** What a master works with. */
export interface Tools {
  readonly access: NodeAccess;
  readonly fabric: HostFabric;
  readonly watch: NodeWatch;
  readonly state: ClientState;
  readonly term: Term;
  /** Over TCP: what nodes know this master by. */
  readonly key: bigint | undefined;
}

/** Whom the works of a master serve. */
export interface Employer {
  isClosed(): boolean;
  readonly master: Master;
  /** Has effects of the master carried out. */
  apply(effects: readonly Effect[]): void;
  readonly chronicle: Chronicle;
  /** Looks for nodes that have died: one was silent. */
  lookAtNodes(): Promise<void>;
  log(line: string): void;
  readonly options: Pick<HostOptions, 'joinGraceMs' | 'rehearses'>;
}

/** Repairs and recoveries of one master. */
export class Works {
  readonly filling: Filling;
  readonly #desk: SpareDesk;
  readonly #tools: Tools;
  readonly #employer: Employer;
  readonly #cx: Context;
  readonly #repairer: Repairer;
  /** CIDs whose recovery is to end as it stands. */
  readonly #halting = new Set<number>();
  #busy: Promise<void> = Promise.resolve();
  readonly #missing: Missing;
  #lookedMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(tools: Tools, employer: Employer) {
    this.#tools = tools;
    this.#employer = employer;
    this.#cx = makeCoroutine(tools.state, 0).cx;
    this.#repairer = new Repairer(this.#cx, { onTorn: (cid, why) => this.#tellTorn(cid, why) });
    this.#missing = new Missing(employer.options.joinGraceMs);
    const { apply, master, log } = employer;
    const isDead = (mn: number): boolean => master.view.dead.includes(mn);
    this.#desk = new SpareDesk({
      ...{ config: tools.state.view.geometry.config, fabricKind: tools.fabric.kind },
      ...{ spares: master.spares, isDead, log },
      changed: () => apply(master.provide()),
    });
    this.filling = new Filling({
      ...tools,
      cx: this.#cx,
      repairer: this.#repairer,
      cid: tools.state.cid,
      run: (steps) => this.#run(steps),
      look: () => employer.lookAtNodes(),
      isDead,
      offered: (mn) => apply(master.offer(mn)),
      withdrawn: (mn) => apply(master.withdraw(mn)),
      filled: (mn) => apply(master.filled(mn)),
      bereft: (mn) => master.spares.bereft(mn),
      entered: (mn) => this.#desk.entered(mn),
      log,
    });
  }

  /** True: the message was of no client's. */
  heard(peer: Peer, message: FromClient): boolean {
    return this.#desk.heard(peer, message) || this.filling.heard(peer, message);
  }

  /** A connection has ended: maybe of a process that is to have a place. */
  gone(peer: Peer): void {
    this.filling.gone(peer);
    this.#desk.gone(peer);
  }

  /** A node is dead to the pool: nothing waits for its answers any more. */
  nodeDied(mn: number): void {
    this.#tools.fabric.cut(mn);
    this.filling.nodeDied(mn);
  }

  /** A place is to be filled, or a spare to have one. */
  provide(effect: Extract<Effect, { do: 'fill' | 'assign' | 'enter' }>): void {
    if (effect.do === 'fill') this.filling.fill(effect.mn);
    else if (effect.do === 'enter') this.filling.enter(effect.mn);
    else this.#desk.assign(effect);
  }

  /** Begins what it does without being asked. */
  begin(): void {
    this.#watchHolders();
    const { isClosed, log, options } = this.#employer;
    if (options.rehearses !== true) return;
    rehearseRecovery(isClosed).catch((error: Error) => log(`the rehearsal has failed: ${error.message}`));
  }

  /**
   * Has nodes asked again and again who holds a place, so that whoever died on its way here is missed.
   * Skipped while a view changes, and while the term is not held.
   */
  #watchHolders(): void {
    this.#timer = setTimeout(() => {
      if (!this.#employer.master.isChanging) this.queue(() => this.#lookForMissing());
      this.queue(async () => this.#watchHolders());
    }, this.#missing.lookMs).unref();
  }

  async #lookForMissing(): Promise<void> {
    const { master, apply, log } = this.#employer;
    const holders = await this.#run(this.filling.usher.holders(this.#tools.state.view.grantingMn));
    if (holders === undefined) return;
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs > 2 * this.#missing.lookMs) this.#missing.forget();
    this.#lookedMs = nowMs;
    const unknown = holders.filter(({ cid }) => !master.isHere(cid));
    for (const member of this.#missing.seen(unknown, nowMs)) {
      log(`client ${member.cid} holds place ${member.place} and has never come: it is given up`);
      apply(master.missed(member));
    }
  }

  /** No place is filled any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#desk.close();
    this.filling.close();
  }

  /** Resolves when all that waits by now is done. */
  get idle(): Promise<void> {
    return this.#busy;
  }

  /** Puts work behind all that waits. */
  queue(work: () => Promise<void>): void {
    this.#busy = this.#busy.then(async () => {
      if (!this.#employer.isClosed()) await work();
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

  /**
   * Repairs the pool for a view.
   * @returns what was decided; undefined when a node was silent; `more` when the node that is to join needs
   * to
   *   have more copied first, and nothing was done.
   */
  async repair(repair: Repair): Promise<ReadonlyMap<number, Word> | undefined | 'more'> {
    const { chronicle } = this.#employer;
    const { view, grace } = this.#tools.state;
    const before = new View(view.geometry, view);
    before.change(repair.before.number, repair.before.dead);
    view.change(repair.before.number, repair.before.dead);
    this.filling.stopped(repair);
    let decided: ReadonlyMap<number, Word> | undefined;
    if (repair.joins === undefined) {
      view.change(repair.view.number, repair.view.dead, repair.isWhole);
      decided = await this.#run(this.#repairer.repair(repair, before));
    } else {
      const outcome = await this.filling.join(repair);
      if (outcome === 'more') {
        chronicle.changed(repair.before, 0);
        return outcome;
      }
      decided = outcome;
    }
    grace.adoptTable(before.controlMn !== view.controlMn);
    if (decided === undefined) {
      await pause(RETRY_MS);
      await this.#employer.lookAtNodes();
      return undefined;
    }
    chronicle.changed(repair.view, decided.size);
    this.#employer.log(`${describe(repair)}: ${decided.size} slots decided`);
    return decided;
  }

  /** Recovers a fenced client when all that waits is done; `onRecovered` hears of its end, if it has one. */
  queueRecovery(member: Member, onRecovered: (cid: number) => void): void {
    this.queue(async () => {
      try {
        if (await this.#recover(member)) onRecovered(member.cid);
      } catch (error) {
        // The next master would meet the same: a pool with a client that keeps what it had is of more use.
        if (!(error instanceof CorruptionError)) throw error;
        this.#tellTorn(member.cid, error.message);
        this.#employer.master.torn(member.cid);
      }
    });
  }

  /** A client stays fenced and is not recovered; everybody else goes on. */
  #tellTorn(cid: number, why: string): void {
    this.#employer.chronicle.torn(cid, why);
    this.#employer.log(`client ${cid} cannot be recovered, and keeps its memory: ${why}`);
  }

  /** False: it was told to end as it stands. */
  async #recover({ cid, place }: Member): Promise<boolean> {
    const { chronicle } = this.#employer;
    for (let attempts = 1; !this.#employer.isClosed() && !this.#halting.has(cid); attempts++) {
      const times = new StepTimes(() => this.#tools.fabric.nowNs());
      let entries = 0;
      const onWalked = (count: number): void => {
        entries = count;
      };
      const requests = noRequests();
      const onRecovered = (became: Recovered): void => countRequest(requests, became);
      const options = { onStep: (step: RecoveryStep) => times.begin(step), onWalked, onRecovered };
      const recovery = recoverClient(this.#cx, { cid, index: place }, options);
      const isDone = await this.#run(recovery, () => this.#halting.has(cid));
      times.end();
      if (isDone === true) {
        chronicle.recovered(cid, times, { entries, attempts, requests });
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
    // The op before may have been halted in the middle of a stage.
    this.#cx.arm();
    for (;;) {
      while (!this.#tools.term.isHeld && !this.#employer.isClosed()) await pause(RETRY_MS);
      if (isHalted() || !this.#tools.term.isHeld) return undefined;
      const step = steps.next();
      if (step.done) return step.value;
      await complete(this.#tools.fabric, step.value);
    }
  }
}

function describe({ view: { number, dead, filling }, joins }: Repair): string {
  const without = dead.length === 0 ? 'all nodes' : `without nodes ${dead.join(', ')}`;
  const fills = filling === undefined ? '' : `, filling the place of node ${filling}`;
  return `view ${number}, ${without}${fills}${joins === undefined ? '' : `, node ${joins} has joined`}`;
}
