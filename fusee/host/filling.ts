/**
 * How a master's process fills a place (`fusee/master/fill.ts` argues why that is sound): who has offered
 * itself, the copying beside everything else, and the last steps while everybody has stopped.
 *
 * Rules of this file:
 * - Copying has a fabric of its own, where the fresh memory is one node more than the pool has.
 * - The master gives others their turn behind every batch that it copies: leases are renewed meanwhile.
 * - Whoever offered itself and cannot be brought in is refused: its process ends, and may begin anew.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { ask, complete } from '../client/call.js';
import { readNodeConfig } from '../client/connect.js';
import type { FromClient } from '../control/messages.js';
import type { Peer } from '../control/server.js';
import { openFabric } from '../fabric/open.js';
import { nextRegionName, regionName, spareRegionName } from '../fabric/shm-process.js';
import { View } from '../layout/index.js';
import {
  Filler,
  type FillProgress,
  fillBytes,
  Marks,
  pageBytesOf,
  type Repair,
  Usher,
} from '../master/index.js';
import { RpcOperation } from '../memory/index.js';
import type { Op, Word } from '../verbs/index.js';
import type { Candidate, FillingHost } from './candidate.js';
import { differenceOf } from './shape.js';

/** From one try to copy, where a node was silent, to the next. */
const RETRY_MS = 5;
/** A fresh process takes its name within this time, or does not join. */
const TAKE_MS = 5000;

/** What was decided; undefined: a node was silent; `more`: too much is still to be copied. */
export type JoinOutcome = ReadonlyMap<number, Word> | undefined | 'more';

/** Fills the places of one pool; the head of this file states its rules. */
export class Filling {
  readonly #host: FillingHost;
  readonly usher: Usher;
  readonly #candidates = new Map<number, Candidate>();
  readonly #arriving = new Set<number>(); // places for which somebody is being looked at
  readonly #gone = new WeakSet<Peer>();
  /** Who has left nothing untold. */
  readonly #told = new Set<number>();
  /** What the master writes itself. */
  readonly #marks: Marks;
  /** The place that is filled. */
  #current: Candidate | undefined;
  /** Who has its place, which is not kept yet. */
  #entering: Candidate | undefined;

  constructor(host: FillingHost) {
    const { view } = host.cx.client;
    this.#host = host;
    this.usher = new Usher({ lane: host.cx.allocator.lane, view, local: host.fabric.local });
    const { config, nodeBytes } = view.geometry;
    this.#marks = new Marks({ nodes: config.nodes, nodeBytes });
  }

  /** How it stands with the place that is filled. */
  get progress(): FillProgress | undefined {
    return this.#current?.filler.progress;
  }

  /** True: the message was of this file's concern alone. */
  heard(peer: Peer, message: FromClient): boolean {
    switch (message.type) {
      case 'offer':
        void this.#offer(peer, message);
        return true;
      case 'placed':
        void this.#confirm(peer, message);
        return true;
      case 'taken':
        for (const candidate of this.#candidates.values())
          if (candidate.peer === peer) candidate.onTaken(true);
        return true;
      case 'leave':
      case 'resign':
        if (this.#current === undefined) return false;
        if (message.marks !== undefined && this.#merge(message.marks)) this.#told.add(peer.cid);
        return false;
      default:
        return false;
    }
  }

  /** A connection has ended: maybe of a process that had offered itself. */
  gone(peer: Peer): void {
    this.#gone.add(peer);
    for (const { mn, peer: of } of this.#candidates.values())
      if (of === peer) this.#dismiss(mn, 'its process is gone');
  }

  /** A client is fenced: what it has written to since it stopped last is not known, unless it has said so. */
  lost(cid: number): void {
    if (this.#current !== undefined && !this.#told.has(cid)) this.#current.filler.startOver();
  }

  /** Copies what is to be copied, beside everything else. */
  fill(mn: number): void {
    const candidate = this.#candidates.get(mn);
    if (candidate === undefined) return;
    const { fabric, cx } = this.#host;
    if (this.#current !== candidate) {
      candidate.view.change(cx.client.view.number, cx.client.view.dead());
      this.#current = candidate;
      this.#told.clear();
      this.#marks.take();
      fabric.onPost = (batch) => this.#marks.add(batch);
    }
    if (!candidate.isCopying) void this.#copy(candidate);
  }

  /** Everybody has stopped for a change of the view: what was written to is known. */
  stopped({ reports, view }: Repair): void {
    const candidate = this.#current;
    if (candidate === undefined) return;
    for (const { marks } of reports.values()) if (marks !== undefined) this.#merge(marks);
    this.#mergeOwn();
    if (candidate.view.number < view.number && view.filling !== undefined)
      candidate.view.change(view.number, view.dead);
  }

  /**
   * Everybody has stopped, and the node is to join; {@link stopped} has been called. The state's view is the
   * one before, and becomes the next.
   */
  async join(repair: Repair): Promise<JoinOutcome> {
    const candidate = this.#current;
    if (candidate === undefined || candidate.mn !== repair.joins) return undefined;
    const { mn, filler } = candidate;
    filler.rounds++;
    if (filler.isBereft) {
      this.#dismissBereft(mn);
      return undefined;
    }
    if (!filler.isNearlyDone && !repair.isAgain) return 'more';
    const decided = await this.#bringIn(candidate, repair);
    if (decided !== undefined) this.#settle(candidate);
    return decided;
  }

  /**
   * The view in which a node has joined is kept: its process is told that it has the place, and the one
   * before it that it may end. Not before: whoever follows a master that dies ahead of that takes neither for
   * what it is not (`take-over.ts`).
   */
  enter(mn: number): void {
    const entering = this.#entering;
    if (entering?.mn !== mn) return;
    this.#entering = undefined;
    const { peer, fabric } = entering;
    peer.send({ type: 'entered' });
    this.#host.entered(mn);
    const part = ask(fabric, mn, { operation: RpcOperation.PART, cid: this.#host.cid });
    // One that was dead does not answer.
    part.catch(() => undefined).finally(() => fabric.close());
  }

  /** Nothing is waited for that it was to give. */
  nodeDied(mn: number): void {
    for (const { fabric } of this.#candidates.values()) fabric.cut(mn);
  }

  close(): void {
    this.#entering?.fabric.close();
    for (const mn of [...this.#candidates.keys()]) this.#dismiss(mn, 'the master ends');
  }

  async #offer(peer: Peer, offer: Extract<FromClient, { type: 'offer' }>): Promise<void> {
    const { mn } = offer;
    await this.#host.look();
    const refusal = this.#objection(offer);
    if (refusal !== undefined) {
      peer.send({ type: 'refused', reason: refusal });
      return;
    }
    this.#arriving.add(mn);
    try {
      const candidate = await this.#attach(offer, peer);
      // It has gone while it was looked at: nobody would ever say so again.
      if (this.#gone.has(peer)) this.#dismiss(mn, 'its process is gone');
      else if (candidate.filler.isBereft) this.#dismissBereft(mn);
      else this.#host.offered(mn);
    } catch (error) {
      this.#dismiss(mn, (error as Error).message);
      peer.send({ type: 'refused', reason: (error as Error).message.slice(0, 500) });
    } finally {
      this.#arriving.delete(mn);
    }
  }

  /** It had taken a place when the master before ended: was that kept? */
  async #confirm(peer: Peer, { mn, ...process }: Extract<FromClient, { type: 'placed' }>): Promise<void> {
    await this.#host.look();
    const isIn = !this.#host.isDead(mn) && this.#host.watch.isOf(mn, process);
    peer.send(isIn ? { type: 'entered' } : { type: 'refused', reason: `the place of node ${mn} is not its` });
  }

  #objection({ mn, isReplacing, place }: Extract<FromClient, { type: 'offer' }>): string | undefined {
    const { nodes } = this.#host.cx.client.view.geometry.config;
    const { kind } = this.#host.fabric;
    if (kind === 'verbs') return `the master reaches the pool over ${kind}, where no place can be filled yet`;
    if ((kind === 'tcp') !== (place !== undefined))
      return `the master reaches the pool over ${kind}: start the node with --fabric ${kind}`;
    if (mn >= nodes) return `the pool has nodes 0 to ${nodes - 1}`;
    if (this.#candidates.has(mn) || this.#arriving.has(mn))
      return `another process waits for the place of node ${mn} already`;
    if (!isReplacing && !this.#host.isDead(mn))
      return `node ${mn} lives; to move its place to this process, start it with --replace`;
    return undefined;
  }

  async #attach(offer: Extract<FromClient, { type: 'offer' }>, peer: Peer): Promise<Candidate> {
    const { mn, pid, isSpare, place } = offer;
    const { access, key, isDead, cx, watch } = this.#host;
    const { geometry } = cx.client.view;
    const { nodes } = geometry.config;
    const region = isSpare === true ? spareRegionName(access.pool, pid) : nextRegionName(access.pool, mn);
    const where = place ?? region;
    const places = Array.from({ length: nodes }, (_, i) => (isDead(i) ? '' : watch.places[i]));
    const pieceBytes = pageBytesOf(geometry.nodeBytes);
    const fabric = await openFabric(access, [...places, where], {
      localBytes: fillBytes(pieceBytes) + (1 << 16),
      prefault: false,
      ...(key === undefined ? {} : { clientKey: key }),
    });
    try {
      const its = await readNodeConfig(fabric, { pool: access.pool, mn: nodes });
      const difference = differenceOf(its, geometry.config);
      if (difference !== undefined) throw new Error(difference);
      const view = new View(geometry, cx.client.view);
      const filler = new Filler({ local: fabric.local, view, mn, target: nodes, pieceBytes });
      const placeTaken = place ?? regionName(access.pool, mn);
      const by = { mn, peer, place: where, placeTaken, fabric, view, filler };
      const candidate: Candidate = { ...by, isCopying: false, isTaking: false, onTaken: () => {} };
      this.#candidates.set(mn, candidate);
      return candidate;
    } catch (error) {
      fabric.close();
      throw error;
    }
  }

  #dismissBereft(mn: number): void {
    this.#host.bereft(mn);
    this.#dismiss(mn, 'of what it is to have nothing is left: start the pool anew');
  }

  #dismiss(mn: number, reason: string): void {
    const candidate = this.#candidates.get(mn);
    if (candidate === undefined) return;
    this.#candidates.delete(mn);
    if (this.#current === candidate) this.#rest();
    this.#host.log(`node ${mn} does not get its place back: ${reason}`);
    candidate.peer.send({ type: 'refused', reason });
    candidate.onTaken(false);
    // One that was stopped must not take the name when it is woken.
    const { fabric, isTaking } = candidate;
    if (isTaking && fabric.kind === 'shm') fabric.fenceNode(fabric.mnCount - 1);
    fabric.close();
    this.#host.withdrawn(mn);
  }

  #rest(): void {
    this.#current = undefined;
    this.#host.fabric.onPost = null;
  }

  async #copy(candidate: Candidate): Promise<void> {
    const { mn, filler } = candidate;
    candidate.isCopying = true;
    while (this.#candidates.get(mn) === candidate) {
      const isDone = await this.#runPolitely(candidate, filler.copy(false));
      if (isDone) break;
      if (filler.isBereft) this.#dismissBereft(mn);
      await pause(RETRY_MS);
      await this.#host.look();
    }
    candidate.isCopying = false;
    if (this.#candidates.get(mn) === candidate) this.#host.filled(mn);
  }

  #merge(told: readonly string[]): boolean {
    const { config, nodeBytes } = this.#host.cx.client.view.geometry;
    const marks = new Marks({ nodes: config.nodes, nodeBytes });
    const isWhole = marks.merge(told);
    if (isWhole) this.#current?.filler.changed(marks);
    else this.#current?.filler.startOver();
    return isWhole;
  }

  #mergeOwn(): void {
    this.#merge(this.#marks.take());
  }

  async #bringIn(candidate: Candidate, repair: Repair): Promise<ReadonlyMap<number, Word> | undefined> {
    const { mn, filler } = candidate;
    const { cx, run, fabric, watch } = this.#host;
    const { view } = cx.client;
    const before = new View(view.geometry, view);
    const highestCid = await run(this.usher.highestCid(view.grantingMn));
    const decided = await run(this.#host.repairer.settle(repair));
    if (highestCid === undefined || decided === undefined) return undefined;
    if ((await run(this.usher.announce(mn, repair.view))) !== true) return undefined;
    this.#mergeOwn();
    if (!(await this.#runPolitely(candidate, filler.copy(true)))) return undefined;
    if (this.#candidates.get(mn) !== candidate) return undefined;
    try {
      fabric.reattach(mn, candidate.place);
      view.change(repair.view.number, repair.view.dead, true);
      const { members } = repair;
      const isIn = await run(this.usher.admit(mn, { before, members, highestCid }));
      if (isIn === true && (await this.#take(candidate))) {
        await watch.attach(mn, candidate.placeTaken);
        await run(this.usher.clearTables());
        return decided;
      }
      this.#dismiss(mn, 'it did not answer');
    } catch (error) {
      this.#dismiss(mn, (error as Error).message);
    }
    view.change(before.number, before.dead());
    // Its place is still the other process's, if it lives.
    if (!before.isDead(mn)) this.#goBack(mn);
    return undefined;
  }

  /** Where the name of its place has been taken by who is not in, nobody finds it any more: it is dead. */
  #goBack(mn: number): void {
    try {
      this.#host.fabric.reattach(mn, this.#host.watch.places[mn]);
    } catch (error) {
      this.#host.watch.giveUp(mn, `it cannot be reached any more: ${(error as Error).message}`);
    }
  }

  /** Runs an op of the copying, behind every batch of which others have their turn. Undefined: dismissed. */
  async #runPolitely<T>(candidate: Candidate, steps: Op<T>): Promise<T | undefined> {
    while (this.#candidates.get(candidate.mn) === candidate) {
      const step = steps.next();
      if (step.done) return step.value;
      try {
        await complete(candidate.fabric, step.value);
      } catch (error) {
        // It was dismissed meanwhile.
        if (this.#candidates.get(candidate.mn) === candidate) throw error;
        return undefined;
      }
      await nextTurn();
    }
    return undefined;
  }

  async #take(candidate: Candidate): Promise<boolean> {
    const taken = new Promise<boolean>((resolve) => {
      candidate.onTaken = resolve;
    });
    candidate.isTaking = true;
    candidate.peer.send({ type: 'take' });
    const timeout = setTimeout(() => candidate.onTaken(false), TAKE_MS);
    try {
      return await taken;
    } finally {
      clearTimeout(timeout);
    }
  }

  /** The node has its place. */
  #settle(candidate: Candidate): void {
    const { mn, placeTaken } = candidate;
    this.#candidates.delete(mn);
    this.#rest();
    this.#entering = candidate;
    for (const other of this.#candidates.values()) other.fabric.reattach(mn, placeTaken);
  }
}
