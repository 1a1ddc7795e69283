/**
 * The master of a pool on this host, as a process runs it: the state machine (`fusee/master`), what carries
 * its effects out, and what tells it of the world.
 *
 * Rules of this file:
 * - A client that dies closes its connection; if its process is gone it is fenced at once, and not when its
 *   lease ends. A process that lives is never taken for dead on that ground: it connects again, or its lease
 *   ends.
 * - On shared memory a fence is SIGKILL and the exit of the process (hazard H7); over a network the nodes end
 *   the client's connections.
 * - A node is dead when this master cannot reach it.
 */
import { unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { findPool } from '../client/connect.js';
import { joinPool, leavePool } from '../client/membership.js';
import { socketPath } from '../control/channel.js';
import { hasMaster } from '../control/link.js';
import type { FromClient } from '../control/messages.js';
import { type Listener, listen, type Peer } from '../control/server.js';
import { type HostFabric, openFabric } from '../fabric/open.js';
import { keepSecret, makeControlFolder, readSecret, secretPath } from '../fabric/secret.js';
import { findProcess } from '../fabric/shm-process.js';
import { IndexCache } from '../index/index.js';
import type { Geometry } from '../layout/index.js';
import {
  type Effect,
  Master,
  type MasterView,
  REPAIR_BYTES,
  type Repair,
  USHER_BYTES,
} from '../master/index.js';
import { ClientState, CONTEXT_BYTES } from '../ops/index.js';
import { FabricError, UsageError, type Word } from '../verbs/index.js';
import { type Fenced, fenceAtLast, whyUnfenceable } from './fence.js';
import { NodeWatch } from './node-watch.js';
import { checkLease, type HostOptions } from './options.js';
import { Chronicle, lossOf, type MasterStatus } from './status.js';
import { type Employer, Works } from './works.js';

/** From one look at nodes and leases to the next. */
const WATCH_MS = 10;
/** Tries of an op that met silence, before the next look at nodes. */
const RETRY_MS = 5;

/** A running master; {@link MasterHost.close} ends it. */
export class MasterHost implements Listener, Employer {
  readonly leaseMs: number;
  readonly #options: HostOptions;
  readonly #fabric: HostFabric;
  readonly #watch: NodeWatch;
  readonly #geometry: Geometry;
  readonly #state: ClientState;
  readonly #works: Works;
  readonly #master: Master;
  readonly #peers = new Map<number, Peer>();
  readonly #processes = new Map<number, Fenced>();
  /** @internal */
  readonly chronicle: Chronicle;
  #decided: ReadonlyMap<number, Word> = new Map();
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** @internal */
  isClosed = false;
  /** Who has joined by the view in force, and whether everything counts as changed by it. */
  #news: { readonly joins?: number; readonly isWhole: boolean } = { isWhole: false };

  private constructor(
    options: HostOptions,
    made: { fabric: HostFabric; watch: NodeWatch; state: ClientState },
  ) {
    this.#options = options;
    this.leaseMs = checkLease(options);
    this.#fabric = made.fabric;
    this.#watch = made.watch;
    this.#geometry = made.state.view.geometry;
    this.#state = made.state;
    this.chronicle = new Chronicle(() => made.fabric.nowNs());
    this.#master = new Master({ leaseNs: this.leaseMs * 1e6 });
    this.#works = new Works({ pool: options.pool, ...made }, this);
  }

  /** @internal */
  isDead(mn: number): boolean {
    return this.#master.view.dead.includes(mn);
  }

  /** @internal */
  offered(mn: number): void {
    this.#apply(this.#master.offer(mn));
  }

  /** @internal */
  withdrawn(mn: number): void {
    if (!this.isClosed) this.#apply(this.#master.withdraw(mn));
  }

  /** @internal */
  filled(mn: number): void {
    this.#apply(this.#master.filled(mn));
  }

  /**
   * Starts the master of a running pool.
   * @throws UsageError when it has one already, or the lease is too short; FabricError when the pool does not
   *   run.
   */
  static async start(options: HostOptions): Promise<MasterHost> {
    const { pool, secretFile } = options;
    checkLease(options);
    makeControlFolder();
    const secret = secretFile === undefined ? keepSecret(secretPath(pool)).secret : readSecret(secretFile);
    if (await hasMaster(pool))
      throw new UsageError(`pool '${pool}' has a master already; end that one first`);
    const { view, places } = await findPool(options);
    const localBytes = CONTEXT_BYTES + REPAIR_BYTES + USHER_BYTES + (1 << 20);
    const fabric = await openFabric(options, places, { localBytes, prefault: false });
    let watch: NodeWatch | undefined;
    try {
      watch = await NodeWatch.open(options, places);
      const { nodes } = view.geometry.config;
      const { cid, clientIndex } = await joinPool(fabric, { nodes, view });
      const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
      const state = new ClientState({ view, local: fabric.local, cache, cid, clientIndex, coroutines: 1 });
      const host = new MasterHost(options, { fabric, watch, state });
      host.#server = await listen(pool, secret, host);
      host.#watchNodes();
      return host;
    } catch (error) {
      fabric.close();
      watch?.close();
      throw error;
    }
  }

  /** The view in force. */
  get view(): MasterView & { dead: number[] } {
    const { view } = this.#master;
    return { ...view, dead: [...view.dead] };
  }

  /** What it knows, and what it has done. */
  status(): MasterStatus {
    return {
      pool: this.#options.pool,
      leaseMs: this.leaseMs,
      view: this.view,
      filling: this.#works.filling.progress,
      lost: lossOf(this.#state.view, this.#geometry),
      clients: this.#master.living,
      ...this.chronicle.report,
    };
  }

  /**
   * Resolves when all that has died by now is seen to: the view stands, nobody is to be recovered, and every
   * member is in touch. @throws FabricError when that takes longer.
   */
  async settled(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    do {
      await this.lookAtNodes();
      await this.#works.idle;
      if (this.#master.isSettled && this.#master.living === this.#peers.size) return;
      await pause(RETRY_MS);
    } while (performance.now() < endMs);
    throw new FabricError(
      `the master of pool '${this.#options.pool}' has not settled within ${timeoutMs} ms: of ` +
        `${this.#master.living} clients alive ${this.#peers.size} are in touch; its log says what it waits for`,
    );
  }

  /** The secret that this host keeps for the pool; gone with a master in order, unless nodes need it too. */
  get #ownSecret(): string | undefined {
    const { secretFile, fabric = 'shm', pool } = this.#options;
    return secretFile === undefined && fabric === 'shm' ? secretPath(pool) : undefined;
  }

  /** Ends the master: clients go on without one, until one is there again. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.#timer);
    this.#works.filling.close();
    for (const peer of this.#peers.values()) peer.close();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()));
    for (const path of [socketPath(this.#options.pool), this.#ownSecret]) {
      try {
        if (path !== undefined) unlinkSync(path);
      } catch (error) {
        // The server has removed its socket itself.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    await this.#works.idle;
    const { view, cid } = this.#state;
    await leavePool(this.#fabric, { nodes: this.#geometry.config.nodes, cid, view });
    this.#fabric.close();
    this.#watch.close();
  }

  /** @internal */
  heard(peer: Peer, message: FromClient): void {
    if (this.#works.filling.heard(peer, message)) return;
    const nowNs = this.#fabric.nowNs();
    switch (message.type) {
      case 'join':
        if (whyUnfenceable(message, this.#fabric.kind) !== '') {
          peer.send({ type: 'refused', reason: whyUnfenceable(message, this.#fabric.kind) });
          return;
        }
        peer.cid = message.cid;
        this.#peers.set(message.cid, peer);
        this.#processes.set(message.cid, {
          process: { pid: message.pid, startTime: message.startTime },
          key: message.key === undefined ? undefined : BigInt(message.key),
        });
        this.#apply(this.#master.join({ cid: message.cid, place: message.place }, nowNs));
        return;
      case 'renew':
        if (this.#master.renew(peer.cid, nowNs)) {
          this.chronicle.told(peer.cid, message.cache);
          peer.send({ type: 'renewed', seq: message.seq });
        } else peer.send({ type: 'expelled' });
        return;
      case 'resign':
        this.chronicle.told(peer.cid, message.cache);
        this.#processes.delete(peer.cid);
        this.chronicle.lost(peer.cid);
        this.#apply(this.#master.lose(peer.cid));
        return;
      case 'leave':
        this.chronicle.told(peer.cid, message.cache);
        this.#apply(this.#master.leave(peer.cid));
        this.#forget(peer.cid);
        return;
      case 'stopped':
        this.#apply(this.#master.stopped(peer.cid, message));
        return;
      case 'suspect':
        void this.lookAtNodes();
        return;
      case 'status':
        peer.send({ type: 'status', status: this.status() });
        return;
    }
  }

  /** @internal */
  gone(peer: Peer): void {
    this.#works.filling.gone(peer);
    if (peer.cid === 0 || this.#peers.get(peer.cid) !== peer || this.isClosed) return;
    this.#peers.delete(peer.cid);
    const process = this.#processes.get(peer.cid);
    if (process === undefined) return;
    // The kernel closes the socket of a dying process before others see it gone.
    setTimeout(() => this.#lookAtProcess(peer.cid, process, 100), 0);
  }

  /** @internal */
  refused(reason: string): void {
    this.chronicle.refused++;
    this.log(`refused a connection: ${reason}`);
  }

  #lookAtProcess(cid: number, of: Fenced, looks: number): void {
    if (this.isClosed || this.#processes.get(cid) !== of || this.#peers.has(cid)) return;
    if (findProcess(of.process.pid)?.startTime !== of.process.startTime) {
      this.chronicle.lost(cid);
      this.#apply(this.#master.lose(cid));
    } else if (looks > 0) setTimeout(() => this.#lookAtProcess(cid, of, looks - 1), 1);
  }

  #forget(cid: number): void {
    this.chronicle.gone(cid);
    this.#peers.delete(cid);
    this.#processes.delete(cid);
  }

  #watchNodes(): void {
    this.#timer = setTimeout(() => {
      void this.lookAtNodes().then(() => {
        if (!this.isClosed) this.#apply(this.#master.tick(this.#fabric.nowNs()));
        if (!this.isClosed) this.#watchNodes();
      });
    }, WATCH_MS);
  }

  /** @internal */
  async lookAtNodes(): Promise<void> {
    for (const mn of await this.#watch.deadOf(this.#master.view.dead)) {
      if (this.isClosed) return;
      this.log(`memory node ${mn} has died`);
      this.#apply(this.#master.nodeDied(mn));
    }
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    const { view } = this.#master;
    switch (effect.do) {
      case 'stop':
        this.chronicle.stopping();
        this.#peers.get(effect.cid)?.send({ type: 'stop' });
        return;
      case 'adopt': {
        const decided = [...this.#decided].map(([slot, { hi, lo }]) => ({ slot, hi, lo }));
        this.#peers.get(effect.cid)?.send({ type: 'adopt', view: this.view, decided, ...this.#news });
        return;
      }
      case 'welcome':
        this.#peers.get(effect.cid)?.send({ type: 'in', view: this.view });
        return;
      case 'fill':
        this.#works.filling.fill(effect.mn);
        return;
      case 'fence':
        void this.#fence(effect.cid);
        return;
      case 'repair':
        this.#works.queue(() => this.#repair(effect.repair));
        return;
      case 'recover':
        this.#works.queue(async () => {
          const isDone = await this.#works.recover(effect.member);
          if (isDone) this.#apply(this.#master.recovered(effect.member.cid));
        });
        return;
      case 'halt':
        this.#works.halt(effect.cid, () => this.#apply(this.#master.halted(effect.cid)));
        return;
      case 'store':
        this.log(`view ${view.number}, ${effect.record.members.length} members`);
        return;
    }
  }

  async #fence(cid: number): Promise<void> {
    this.chronicle.lost(cid);
    this.#peers.get(cid)?.send({ type: 'expelled' });
    const client = this.#processes.get(cid);
    // One that has resigned has detached: none of its verbs executes any more.
    if (client !== undefined) {
      await fenceAtLast(client, this.#options, {
        nodes: () => this.#watch.living(this.#master.view.dead),
        isOver: () => this.isClosed,
        onFailure: (error) => this.log(`client ${cid} cannot be fenced yet: ${error.message}`),
      });
    }
    this.chronicle.fenced(cid);
    this.#works.filling.lost(cid);
    this.log(`client ${cid} is fenced`);
    this.#forget(cid);
    if (!this.isClosed) this.#apply(this.#master.fenced(cid));
  }

  async #repair(repair: Repair): Promise<void> {
    const decided = await this.#works.repair(repair);
    const isToCopyMore = decided === 'more';
    if (isToCopyMore) this.#decided = new Map();
    else if (decided !== undefined) this.#decided = decided;
    const { joins, isWhole } = repair;
    this.#news = isToCopyMore ? { isWhole: false } : { joins, isWhole };
    this.#apply(this.#master.repaired(decided !== undefined, { isToCopyMore }));
  }

  /** @internal */
  log(line: string): void {
    this.#options.log?.(line);
  }
}
