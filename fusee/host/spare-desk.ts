/**
 * Where spares and those who want a node drained are heard, for a master's process: who may wait, who is told
 * to offer itself, and who hears what came of it. Which place a spare gets, `fusee/master/spares.ts` says.
 */
import type { FromClient } from '../control/messages.js';
import type { Peer } from '../control/server.js';
import { LAYOUT_VERSION, type PoolConfig } from '../layout/index.js';
import type { Assignment, Spares } from '../master/index.js';
import { differenceOf, unfillable } from './shape.js';

/** A spare that was given a place offers itself within this time, or another one gets it. */
const OFFER_MS = 5000;

/** What the rest of the master's process does for it. */
export interface DeskHost {
  readonly config: PoolConfig;
  readonly fabricKind: string;
  readonly spares: Spares;
  isDead(mn: number): boolean;
  /** Spares or places to be drained have changed. */
  changed(): void;
  log(line: string): void;
}

/** Keeps the peers of one master's spares. */
export class SpareDesk {
  readonly #host: DeskHost;
  readonly #offerMs: number;
  readonly #peers = new Map<number, Peer>();
  /** Who waits for a node to be drained. */
  readonly #drains = new Map<number, Peer>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #count = 0;

  /** @param options.offerMs see the head of this file. @default 5 s */
  constructor(host: DeskHost, { offerMs = OFFER_MS }: { offerMs?: number } = {}) {
    this.#host = host;
    this.#offerMs = offerMs;
  }

  /** True: the message was of this file's concern alone. */
  heard(peer: Peer, message: FromClient): boolean {
    switch (message.type) {
      case 'spare':
        this.#add(peer, message);
        return true;
      case 'drain':
        this.#drain(peer, message.mn);
        return true;
      case 'offer':
        clearTimeout(this.#timers.get(this.#numberOf(peer) ?? 0));
        return false;
      default:
        return false;
    }
  }

  /** A connection has ended: what the spare was given is another's. */
  gone(peer: Peer): void {
    for (const [mn, of] of this.#drains) {
      if (of !== peer) continue;
      this.#drains.delete(mn);
      this.#host.spares.drain(mn, false);
    }
    const spare = this.#numberOf(peer);
    if (spare !== undefined) this.#dismiss(spare);
  }

  /** A spare is to have a place. */
  assign({ spare, mn, isReplacing }: Assignment): void {
    const peer = this.#peers.get(spare);
    this.#host.log(`a spare is to be node ${mn}`);
    peer?.send({ type: 'assign', mn, isReplacing });
    const isLate = (): void => {
      peer?.send({ type: 'refused', reason: `it has not offered itself within ${this.#offerMs} ms` });
      this.#dismiss(spare);
    };
    this.#timers.set(spare, setTimeout(isLate, this.#offerMs));
  }

  /** A place is another process's now. */
  entered(mn: number): void {
    this.#drains.get(mn)?.send({ type: 'drained', mn });
    this.#drains.delete(mn);
    const { spares } = this.#host;
    for (const spare of this.#peers.keys()) {
      if (spares.placeOf(spare) !== mn) continue;
      this.#peers.delete(spare);
      this.#timers.delete(spare);
      spares.remove(spare);
    }
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #numberOf(peer: Peer): number | undefined {
    return [...this.#peers].find(([, of]) => of === peer)?.[0];
  }

  #add(peer: Peer, { layout, config }: Extract<FromClient, { type: 'spare' }>): void {
    const host = this.#host;
    const reason =
      unfillable(host.fabricKind) ??
      (layout === LAYOUT_VERSION
        ? differenceOf(config, host.config)
        : `it has layout version ${layout}, the pool ${LAYOUT_VERSION}; use the program that made the pool`);
    if (reason !== undefined) {
      peer.send({ type: 'refused', reason });
      return;
    }
    if (this.#numberOf(peer) !== undefined) return;
    const spare = ++this.#count;
    this.#peers.set(spare, peer);
    peer.send({ type: 'waiting' });
    host.spares.add(spare);
    host.log(`a spare has come: ${host.spares.waiting} wait for a place`);
    host.changed();
  }

  #drain(peer: Peer, mn: number): void {
    const reason = this.#objection(mn);
    if (reason !== undefined) {
      peer.send({ type: 'refused', reason });
      return;
    }
    this.#drains.set(mn, peer);
    this.#host.spares.drain(mn);
    this.#host.changed();
  }

  #objection(mn: number): string | undefined {
    const { config, spares, isDead, fabricKind } = this.#host;
    if (mn >= config.nodes) return `the pool has nodes 0 to ${config.nodes - 1}`;
    if (isDead(mn)) return 'it is dead; a spare takes its place by itself';
    if (this.#drains.has(mn)) return 'it is being drained already';
    if (spares.waiting === 0)
      return unfillable(fabricKind) ?? 'no spare waits for its place; start one with fusee node --spare';
    return undefined;
  }

  #dismiss(spare: number): void {
    const { spares, log, changed } = this.#host;
    clearTimeout(this.#timers.get(spare));
    this.#timers.delete(spare);
    this.#peers.delete(spare);
    const mn = spares.placeOf(spare);
    spares.remove(spare);
    log(`a spare is gone: ${spares.waiting} wait for a place`);
    if (mn !== undefined && spares.waiting === 0) this.#strand(mn);
    changed();
  }

  /** The spare that a node was to be drained onto is gone, and there is no other. */
  #strand(mn: number): void {
    const peer = this.#drains.get(mn);
    if (peer === undefined) return;
    this.#drains.delete(mn);
    this.#host.spares.drain(mn, false);
    peer.send({
      type: 'refused',
      reason: 'the spare that was to have its place is gone, and no other waits',
    });
  }
}
