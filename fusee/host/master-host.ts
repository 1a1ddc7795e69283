/**
 * The master of a pool on this host, as a process runs it: the state machine (`fusee/master`), what carries
 * its effects out, and what tells it of the world.
 *
 * Rules of this file:
 * - A client that dies is fenced at once, and not when its lease ends: the kernel marks the end of its thread
 *   (shared memory), and closes its connection. A process that lives is never taken for dead on that ground:
 *   it connects again, or its lease ends.
 * - A fence is SIGKILL and the end of the threads that execute verbs, or nodes end the connections (H7).
 * - A node is dead when this master cannot reach it.
 * - What follows from a record waits until that is stored; nothing at all is done while the term is not held.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { removeFile, removeName, takeName } from '../control/channel.js';
import type { FromClient, ToldView } from '../control/messages.js';
import { type Listener, type Listening, listen, type Peer } from '../control/server.js';
import { secretPath } from '../fabric/secret.js';
import { type Effect, Master, type Repair } from '../master/index.js';
import { FabricError } from '../verbs/index.js';
import { Excuses } from './excuse.js';
import { endedOf, ends, type Fenced, fenceAtLast, isAlive, refusalOf } from './fence.js';
import { type HostOptions, isEmbedded, leaseOf } from './options.js';
import { EffectQueue, Records } from './records.js';
import { Chronicle, copyOf, lossOf, type MasterStatus } from './status.js';
import { placesToTell, type Seat, takeOver } from './take-over.js';
import { type Employer, Works } from './works.js';

const WATCH_MS = 10; // from one look at nodes and leases to the next
/** Tries of an op that met silence, before the next look at nodes. */
const RETRY_MS = 5;
/** A master that has not looked for so long cannot tell which clients were silent; see `Master.tick`. */
const SLEEP_LEAST_NS = 50e6;
/** Looks at nodes and leases, from one look at the name that clients find this master by to the next. */
const NAME_LOOKS = 50;

/** A running master; {@link MasterHost.close} ends it. */
export class MasterHost implements Listener {
  readonly leaseMs: number;
  readonly #options: HostOptions;
  readonly #works: Works;
  readonly #master: Master;
  readonly #seat: Seat;
  readonly #peers = new Map<number, Peer>();
  readonly #records: Records;
  readonly #effects: EffectQueue;
  readonly #excuses: Excuses;
  readonly #chronicle: Chronicle;
  #server: Listening | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  #isClosed = false;

  private constructor(options: HostOptions, seat: Seat) {
    this.#options = options;
    this.#seat = seat;
    this.leaseMs = leaseOf(options);
    this.#chronicle = new Chronicle(() => seat.fabric.nowNs());
    this.#records = new Records(seat);
    this.#effects = new EffectQueue(seat, this.#records, {
      carryOut: (effect) => this.#carryOut(effect),
      log: (line) => this.#log(line),
    });
    const leaseNs = this.leaseMs * 1e6;
    this.#excuses = new Excuses(leaseNs);
    const rules = { leaseNs, sleepNs: Math.max(leaseNs / 4, SLEEP_LEAST_NS) };
    this.#master = new Master(rules, seat.left?.record, seat.fabric.nowNs());
    this.#works = new Works(seat, this.#employer);
  }

  /**
   * Starts the master of a running pool: it resolves when this one leads.
   * @throws UsageError when the pool has a master already and this one does not stand by, or the lease is too
   *   short; FabricError when the pool does not run.
   */
  static async start(options: HostOptions): Promise<MasterHost> {
    leaseOf(options);
    const seat = await takeOver(options);
    const host = new MasterHost(options, seat);
    try {
      await seat.term.save(host.#records.state);
      const { pool, listen: address } = options;
      host.#server = await listen({ pool, secret: seat.secret }, host, address);
      takeName(options.pool);
    } catch (error) {
      await host.close();
      throw error;
    }
    host.#begin();
    return host;
  }

  /** What its works need of it. */
  get #employer(): Employer {
    return {
      isClosed: () => this.#isClosed,
      options: this.#options,
      chronicle: this.#chronicle,
      lookAtNodes: () => this.#lookAtNodes(),
      log: (line) => this.#log(line),
      master: this.#master,
      apply: (effects) => this.#apply(effects),
    };
  }

  /** What the master before has left undone goes on. */
  #begin(): void {
    void this.#seat.term.lost.then((reason) => this.#depose(reason));
    this.#apply(this.#master.begin());
    for (const [cid, { process }] of this.#records.processes) {
      this.#excuses.heard(cid, process, this.#seat.fabric.nowNs());
      // Who died while there was no master told nobody.
      if (!isAlive(process)) this.#lose(cid);
    }
    this.#watchNodes();
    this.#works.begin();
  }

  /** The number of its term. */
  get term(): number {
    return this.#seat.term.number;
  }

  /** False: another master may lead by now. */
  get isLeading(): boolean {
    return !this.#isClosed && this.#seat.term.isHeld;
  }

  /** Where clients of other hosts find it, if they do. */
  get address(): string | undefined {
    return this.#server?.address;
  }

  /** @internal The view in force, as clients are told. */
  get view(): ToldView {
    return { ...copyOf(this.#master.view), ...placesToTell(this.#seat) };
  }

  /** What it knows, and what it has done. */
  status(): MasterStatus {
    return {
      pool: this.#options.pool,
      term: this.term,
      leaseMs: this.leaseMs,
      view: copyOf(this.#master.view),
      filling: this.#works.filling.progress,
      spares: this.#master.spares.waiting,
      lost: lossOf(this.#seat.state.view, this.#seat.state.view.geometry),
      clients: this.#master.living,
      ...this.#chronicle.report,
    };
  }

  /**
   * Resolves when all that has died by now is seen to: the view stands, nobody is to be recovered, and every
   * member is in touch; who is torn stays fenced, and `status` names it. @throws FabricError when that takes longer.
   */
  async settled(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    do {
      await this.#lookAtNodes();
      await this.#works.idle;
      if (this.#master.isSettled && this.#master.living === this.#peers.size) return;
      await pause(RETRY_MS);
    } while (performance.now() < endMs);
    throw new FabricError(
      `the master of pool '${this.#options.pool}' has not settled within ${timeoutMs} ms: of ` +
        `${this.#master.living} clients alive ${this.#peers.size} are in touch; its log says what it waits for`,
    );
  }

  /**
   * Ends the master: clients go on without one, until one is there again, which finds what this one has left.
   * The secret that this host keeps goes with the last master of a pool that has no members.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const { term } = this.#seat;
    const { pool, secretFile, store } = this.#options;
    if (term.isHeld) removeName(pool);
    await this.#end();
    const { isEmpty, state } = this.#records;
    await term.resign(isEmpty ? null : state);
    // Over a network nodes need it too.
    const isOwn = secretFile === undefined && isEmbedded(store) && this.#seat.fabric.kind === 'shm';
    if (isEmpty && isOwn) removeFile(secretPath(pool));
  }

  /** Another master leads: this one ends, and leaves everything to that one. */
  async #depose(reason: string): Promise<void> {
    if (this.#isClosed) return;
    this.#log(`deposed: ${reason}`);
    this.#seat.term.abandon();
    await this.#end();
    this.#options.onDeposed?.(reason);
  }

  async #end(): Promise<void> {
    this.#isClosed = true;
    this.#effects.isClosed = true;
    clearTimeout(this.#timer);
    this.#works.close();
    await this.#server?.close();
    await this.#works.idle;
    this.#seat.fabric.close();
    await this.#seat.watch.close();
  }

  /** @internal */
  heard(peer: Peer, message: FromClient): void {
    if (!this.isLeading) peer.drop();
    if (!this.isLeading || this.#works.heard(peer, message)) return;
    const nowNs = this.#seat.fabric.nowNs();
    switch (message.type) {
      case 'join':
        this.#join(peer, message, nowNs);
        return;
      case 'renew':
        if (this.#master.renew(peer.cid, nowNs)) {
          this.#excuses.heard(peer.cid, this.#records.processes.get(peer.cid)?.process, nowNs);
          this.#chronicle.told(peer.cid, message.cache);
          peer.send({ type: 'renewed', seq: message.seq });
        } else peer.send({ type: 'expelled' });
        return;
      case 'resign':
        this.#chronicle.told(peer.cid, message.cache);
        this.#records.processes.delete(peer.cid);
        this.#lose(peer.cid);
        peer.send({ type: 'farewell' });
        return;
      case 'leave':
        this.#chronicle.told(peer.cid, message.cache);
        this.#apply(this.#master.leave(peer.cid));
        this.#forget(peer.cid);
        peer.send({ type: 'farewell' });
        return;
      case 'stopped':
        // One that has not heard of the view in force has stopped for the one before.
        if (message.view === this.#master.view.number) this.#apply(this.#master.stopped(peer.cid, message));
        return;
      case 'suspect':
        void this.#lookAtNodes();
        return;
      case 'status':
        peer.send({ type: 'status', status: this.status() });
        return;
    }
  }

  /** @internal */
  gone(peer: Peer): void {
    this.#works.gone(peer);
    if (peer.cid === 0 || this.#peers.get(peer.cid) !== peer || this.#isClosed) return;
    this.#peers.delete(peer.cid);
    const process = this.#records.processes.get(peer.cid);
    if (process !== undefined) void this.#lookAtProcess(peer.cid, process);
  }

  /** @internal */
  refused(reason: string): void {
    this.#chronicle.refused++;
    this.#log(`refused a connection: ${reason}`);
  }

  #join(peer: Peer, message: Extract<FromClient, { type: 'join' }>, nowNs: number): void {
    const { cid, place, pid, startTime, host, key } = message;
    const isBack = this.#master.knows(cid);
    const refusal = refusalOf(message, this.#master, this.#seat.fabric.kind);
    if (refusal !== undefined) {
      peer.send(refusal);
      return;
    }
    peer.cid = cid;
    this.#peers.set(cid, peer);
    const process = { pid, startTime, host };
    this.#records.processes.set(cid, { process, key: key === undefined ? undefined : BigInt(key) });
    // It was stopped when the view changed, and its master died before it could say so.
    if (isBack && message.view < this.#master.view.number) this.#adopt(cid);
    this.#excuses.heard(cid, process, nowNs);
    this.#apply(this.#master.join({ cid, place }, nowNs));
    if (!this.#master.renew(cid, nowNs)) peer.send({ type: 'expelled' });
  }

  #adopt(cid: number): void {
    const { told: decided, news } = this.#records;
    this.#peers.get(cid)?.send({ type: 'adopt', view: this.view, decided, ...news });
  }

  async #lookAtProcess(cid: number, of: Fenced): Promise<void> {
    const isOver = (): boolean =>
      this.#isClosed || this.#records.processes.get(cid) !== of || this.#peers.has(cid);
    if ((await ends(of.process, isOver)) && !isOver()) this.#lose(cid);
  }

  #lose(cid: number): void {
    if (this.#master.knows(cid)) this.#chronicle.lost(cid);
    this.#apply(this.#master.lose(cid));
  }

  #forget(cid: number): void {
    this.#excuses.forget(cid);
    this.#chronicle.gone(cid);
    this.#peers.delete(cid);
    this.#records.processes.delete(cid);
  }

  #watchNodes(): void {
    this.#timer = setTimeout(() => {
      void this.#lookAtNodes().then(async () => {
        const ended = endedOf(this.#records.processes, this.#seat.fabric);
        // Renewals and farewells that have arrived are heard ahead of any judgement.
        await new Promise((resolve) => setImmediate(resolve));
        if (this.#isClosed) return;
        if (this.isLeading) {
          const nowNs = this.#seat.fabric.nowNs();
          for (const cid of ended) this.#lose(cid);
          const isExcused = (cid: number): boolean =>
            this.#excuses.isExcused(cid, this.#records.processes.get(cid)?.process, nowNs);
          this.#apply(this.#master.tick(nowNs, isExcused));
          // One that was deposed and did not know it may have taken the name.
          if (++this.#looks % NAME_LOOKS === 0) takeName(this.#options.pool);
        }
        this.#watchNodes();
      });
    }, WATCH_MS);
  }

  async #lookAtNodes(): Promise<void> {
    for (const mn of await this.#seat.watch.deadOf(this.#master.view.dead)) {
      if (!this.isLeading) return;
      this.#log(`memory node ${mn} has died`);
      this.#works.nodeDied(mn);
      this.#apply(this.#master.nodeDied(mn));
    }
  }

  #apply(effects: readonly Effect[]): void {
    this.#effects.push(effects);
  }

  #carryOut(effect: Exclude<Effect, { do: 'store' }>): void {
    switch (effect.do) {
      case 'stop':
        this.#chronicle.stopping();
        this.#peers.get(effect.cid)?.send({ type: 'stop', out: [...effect.out] });
        return;
      case 'adopt':
        this.#adopt(effect.cid);
        return;
      case 'welcome':
        this.#peers.get(effect.cid)?.send({ type: 'in', view: this.view });
        return;
      case 'fill':
      case 'assign':
      case 'enter':
        this.#works.provide(effect);
        return;
      case 'fence':
        void this.#fence(effect.cid);
        return;
      case 'repair':
        this.#works.queue(() => this.#repair(effect.repair));
        return;
      case 'recover':
        this.#works.queueRecovery(effect.member, (cid) => this.#apply(this.#master.recovered(cid)));
        return;
      case 'halt':
        this.#works.halt(effect.cid, () => this.#apply(this.#master.halted(effect.cid)));
        return;
    }
  }

  async #fence(cid: number): Promise<void> {
    this.#chronicle.lost(cid);
    this.#peers.get(cid)?.send({ type: 'expelled' });
    const client = this.#records.processes.get(cid);
    // One that has resigned has detached: none of its verbs executes any more.
    if (client !== undefined) {
      await fenceAtLast(client, this.#options, {
        nodes: () => this.#seat.watch.living(this.#master.gone),
        isOver: () => this.#isClosed,
        onFailure: (error) => this.#log(`client ${cid} cannot be fenced yet: ${error.message}`),
      });
    }
    this.#chronicle.fenced(cid);
    this.#works.filling.lost(cid);
    this.#log(`client ${cid} is fenced`);
    this.#forget(cid);
    if (!this.#isClosed) this.#apply(this.#master.fenced(cid));
  }

  async #repair(repair: Repair): Promise<void> {
    const decided = await this.#works.repair(repair);
    const isToCopyMore = this.#records.repaired(repair, decided);
    this.#apply(this.#master.repaired(decided !== undefined, { isToCopyMore }));
  }

  #log(line: string): void {
    this.#options.log?.(line);
  }
}
