/**
 * The master (FUSEE sections 4.1 and 5): who is in the pool, which nodes are alive, who is to be recovered. A
 * state machine without I/O, clock or randomness: events go in, effects come out, and whoever drives it
 * (process, simulator) carries them out and tells what they came to.
 *
 * Rules of this file:
 * - Nobody is recovered before its fence is acknowledged: none of its verbs executes any more (hazard H7).
 * - A node is dead when the view says so (hazard H18). A view changes in three steps. *Disconnect*: every
 *   client stops and reports which slots it may have changed, or is fenced when its lease ends. *Modify*:
 * slots
 *   are decided, with nobody at work. *Notify*: clients adopt the view and go on.
 * - Memory nodes first, then clients: no recovery runs while the view changes, and one that was running is
 *   halted and begins again.
 * - Who joins while the view changes waits for the new one.
 * - A place is filled in two views (`fill.ts`), one place at a time. A death that comes between goes first:
 *   the view that is being made lets nobody join then, and is made without the dead; filling goes on
 *   afterwards.
 * - All it knows is in {@link MasterRecord}; a successor begins with the record and what clients tell it. An
 *   effect is carried out when the records that came ahead of it are stored.
 */

import type { Effect, MasterRecord, Member, StopReport } from './effect.js';
import { type MasterView, type NextView, Places } from './next-view.js';
import { Spares } from './spares.js';
import { type Known, type MasterOptions, recordOf, Standing } from './standing.js';

export type { Effect, MasterRecord, Member, Repair, StopReport } from './effect.js';

const { LIVE, STOPPING, STOPPED, FENCING, FENCED, RECOVERING, HALTING } = Standing;

/** The master of one pool; the head of this file states its rules. */
export class Master {
  readonly #leaseNs: number;
  readonly #sleepNs: number;
  readonly #members = new Map<number, Known>();
  #joining: Known[] = [];
  readonly #reports = new Map<number, StopReport>();
  #view: MasterView;
  /** Nodes that are dead by what was heard, and not in the view yet. */
  readonly #lost = new Set<number>();
  /** The view that the repair under way makes. */
  #next: NextView | undefined;
  /** The view that the former master was making. */
  readonly #inherited: NextView | undefined;
  readonly #places = new Places();
  /** Who waits for any place; whoever changes them has {@link provide} look who may have one. */
  readonly spares: Spares = new Spares();
  /** Nobody comes for the first time under that CID, or a lower one. */
  #lateCid: number;
  #isRepairing = false;
  #tickedNs: number;
  /** A node was to join since everybody has stopped: rounds may have been decided already, and all are. */
  #isWhole = false;
  readonly #effects: Effect[] = [];

  /** @param record of the former master; its living members must renew their leases with this one. */
  constructor(options: MasterOptions, record?: MasterRecord, nowNs = 0) {
    this.#leaseNs = options.leaseNs;
    this.#sleepNs = options.sleepNs ?? options.leaseNs / 4;
    this.#tickedNs = nowNs;
    // What was copied to a place that was being filled is known to nobody: it begins anew.
    const { number, dead } = record?.view ?? { number: 1, dead: [] };
    this.#view = { number, dead };
    this.#inherited = record?.next;
    this.#lateCid = record?.lateCid ?? 0;
    for (const { cid, place, isDead } of record?.members ?? []) {
      const state = isDead ? FENCING : LIVE;
      this.#members.set(cid, { cid, place, state, leaseEndNs: nowNs + this.#leaseNs });
    }
  }

  /** The present view. */
  get view(): MasterView {
    return this.#view;
  }

  /**
   * Nodes that are dead by what was heard, be it that the view does not say so yet: it will before anybody
   * who is fenced by then is recovered, so nobody need be fenced there.
   */
  get gone(): number[] {
    return [...new Set([...this.#view.dead, ...this.#lost, ...(this.#next?.dead ?? [])])];
  }

  /** True while a view is being changed. */
  get isChanging(): boolean {
    return this.#next !== undefined;
  }

  /** True when all is done that can be: nothing is under way, and nobody dead is left but who is torn. */
  get isSettled(): boolean {
    if (this.isChanging || this.#lost.size > 0 || !this.#places.isQuiet || !this.spares.isQuiet) return false;
    return [...this.#members.values()].every(({ state, isTorn }) => state === LIVE || isTorn === true);
  }

  /** Members that are not dead. */
  get living(): number {
    return [...this.#members.values()].filter(({ state }) => state <= STOPPED).length;
  }

  /** What a former master left undone, at the start of this one. */
  begin(): Effect[] {
    for (const { cid, state } of this.#members.values())
      if (state === FENCING) this.#do({ do: 'fence', cid });
    if (this.#inherited !== undefined) {
      // Its number is never used again: nodes may have adopted it. Who was to join by it has not.
      const { number, dead, joins } = this.#inherited;
      const all = [...new Set([...this.#view.dead, ...(joins === undefined ? dead : [])])];
      this.#disconnect({ number: number + 1, dead: all.sort((a, b) => a - b) });
      this.#isWhole = joins !== undefined;
    }
    this.#goOn();
    return this.#taken();
  }

  /** Is it a member that has not died? */
  knows(cid: number): boolean {
    const known = this.#members.get(cid);
    return known !== undefined && known.state <= STOPPED;
  }

  /** Has it been given up on its way here ({@link missed})? It must come again, as another. */
  isLate(cid: number): boolean {
    return cid <= this.#lateCid && !this.knows(cid) && this.#joining.every((one) => one.cid !== cid);
  }

  /**
   * A client holds a place at the nodes and has not come here for longer than that takes: it has died on its
   * way. It has changed nothing, and nobody need be fenced: what it holds is taken back.
   */
  missed({ cid, place }: Member): Effect[] {
    if (this.isHere(cid)) return [];
    this.#lateCid = Math.max(this.#lateCid, cid);
    this.#members.set(cid, { cid, place, state: FENCED, leaseEndNs: 0 });
    this.#store();
    return this.provide();
  }

  /** Is it a member, dead or not, or waiting to become one? */
  isHere(cid: number): boolean {
    return this.#members.has(cid) || this.#joining.some((one) => one.cid === cid);
  }

  /** A client has been granted an id and a place; or it has lost its connection, and is back. */
  join({ cid, place }: Member, nowNs: number): Effect[] {
    const before = this.#members.get(cid) ?? this.#joining.find((one) => one.cid === cid);
    const known: Known = before ?? { cid, place, state: LIVE, leaseEndNs: 0 };
    if (known.state <= STOPPED) known.leaseEndNs = nowNs + this.#leaseNs;
    if (before !== undefined && this.#members.has(cid)) {
      // What it was told last may never have reached it.
      if (known.state === STOPPING) this.#do({ do: 'stop', cid, out: (this.#next ?? this.#view).dead });
      else if (known.state === LIVE) this.#do({ do: 'welcome', cid });
    } else if (before === undefined) {
      if (this.isChanging) this.#joining.push(known);
      else this.#welcome(known);
    }
    return this.#taken();
  }

  /** A client has left: it has nothing in flight, and handed its own on; nor is it let in any more. */
  leave(cid: number): Effect[] {
    this.#joining = this.#joining.filter((one) => one.cid !== cid);
    const known = this.#members.get(cid);
    if (known !== undefined && known.state <= STOPPED) {
      this.#forget(cid);
      this.#goOn();
    }
    return this.#taken();
  }

  /** A client lives. False: it is no member any more, and must not go on. */
  renew(cid: number, nowNs: number): boolean {
    const known = this.#members.get(cid) ?? this.#joining.find((one) => one.cid === cid);
    if (known === undefined || known.state > STOPPED) return false;
    known.leaseEndNs = nowNs + this.#leaseNs;
    return true;
  }

  /** A client is known to be dead, or has said that it cannot go on. */
  lose(cid: number): Effect[] {
    const known = this.#members.get(cid);
    if (known !== undefined && known.state <= STOPPED) this.#fence(known);
    return this.#taken();
  }

  /**
   * Looks for leases that have ended. A master that has not looked for long has not listened either, so that
   * it knows of nobody's silence: everybody gets a lease anew.
   * @param isExcused says of a silent client that it could not renew its lease; it is asked again later.
   */
  tick(nowNs: number, isExcused: (cid: number) => boolean = () => false): Effect[] {
    const hasSlept = nowNs - this.#tickedNs > this.#sleepNs;
    this.#tickedNs = nowNs;
    if (hasSlept) {
      for (const known of [...this.#members.values(), ...this.#joining])
        known.leaseEndNs = nowNs + this.#leaseNs;
    } else if (this.#leaseNs > 0) {
      for (const known of this.#members.values())
        if (known.state <= STOPPED && nowNs > known.leaseEndNs && !isExcused(known.cid)) this.#fence(known);
    }
    return this.#taken();
  }

  /** None of a client's verbs executes any more. */
  fenced(cid: number): Effect[] {
    const known = this.#members.get(cid);
    if (known?.state === FENCING) {
      known.state = FENCED;
      this.#reports.delete(cid);
      this.#store();
      this.#goOn();
    }
    return this.#taken();
  }

  /** A memory node has died. */
  nodeDied(mn: number): Effect[] {
    // Everybody who meets its silence tells, while the view that is being made knows it already.
    if (!(this.#next ?? this.#view).dead.includes(mn) && !this.#lost.has(mn)) {
      this.#lost.add(mn);
      this.#goOn();
    }
    return this.#taken();
  }

  /** A fresh process stands ready to take a node's place, the memory of which it will have copied. */
  offer(mn: number): Effect[] {
    this.#places.offer(mn);
    return this.provide();
  }

  /** The process that was to take a node's place is gone, or cannot have it. */
  withdraw(mn: number): Effect[] {
    this.#places.withdraw(mn);
    return this.provide();
  }

  /** Of the place that is filled everything has been copied, but for what has changed meanwhile. */
  filled(mn: number): Effect[] {
    if (this.#view.filling === mn) this.#places.filled();
    return this.provide();
  }

  /** Gives places to spares, if there are such and such. */
  provide(): Effect[] {
    this.#goOn();
    return this.#taken();
  }

  /** A client has stopped: all that it had posted is answered, and it posts nothing more. */
  stopped(cid: number, report: StopReport): Effect[] {
    const known = this.#members.get(cid);
    if (known?.state === STOPPING) {
      known.state = STOPPED;
      this.#reports.set(cid, report);
      this.#goOn();
    }
    return this.#taken();
  }

  /**
   * The repair has ended; false: a node was silent, which is alive by the view that it made.
   * @param how.isToCopyMore nothing is done yet: too much has changed for the node to join now.
   */
  repaired(isDone: boolean, { isToCopyMore = false }: { isToCopyMore?: boolean } = {}): Effect[] {
    this.#isRepairing = false;
    if (isToCopyMore && this.#next?.joins !== undefined) {
      const { number, joins } = this.#next;
      this.#next = { number, dead: this.#view.dead, filling: joins };
      this.#isWhole = false;
    }
    // Who has joined is in, and told so: whatever has happened since makes the view behind it.
    const isIn = isDone && this.#next?.joins !== undefined;
    if (isIn || (isDone && this.#lost.size === 0 && this.#places.carries(this.#next))) this.#publish();
    else this.#goOn();
    return this.#taken();
  }

  /** Nothing is left of a dead client that anybody would have to look after. */
  recovered(cid: number): Effect[] {
    if (this.#members.get(cid)?.state === RECOVERING) this.#forget(cid);
    return this.#taken();
  }

  /** A dead client's log contradicts itself: it stays fenced, and is tried again behind the next view. */
  torn(cid: number): void {
    const known = this.#members.get(cid);
    if (known?.state === RECOVERING) known.isTorn = true;
  }

  /** None of the verbs of a recovery executes any more; it begins again when it can. */
  halted(cid: number): Effect[] {
    const known = this.#members.get(cid);
    if (known !== undefined && known.state >= RECOVERING) {
      known.state = FENCED;
      this.#goOn();
    }
    return this.#taken();
  }

  /** Takes the next step of whatever is under way. */
  #goOn(): void {
    const next = this.#isRepairing ? undefined : this.#places.next(this.#view, this.#lost, this.#next);
    if (next !== undefined) this.#disconnect(next);
    if (this.#next === undefined) {
      for (const known of this.#members.values()) {
        if (known.state !== FENCED) continue;
        known.state = RECOVERING;
        known.isTorn = false;
        this.#do({ do: 'recover', member: { cid: known.cid, place: known.place } });
      }
      const isTaken = (mn: number): boolean => this.#places.isOffered(mn);
      for (const one of this.spares.assign(this.#view, isTaken)) this.#do({ do: 'assign', ...one });
      return;
    }
    const all = [...this.#members.values()];
    if (this.#isRepairing || !all.every(({ state }) => state === STOPPED || state === FENCED)) return;
    this.#isRepairing = true;
    const dead = all.filter(({ state }) => state === FENCED);
    const reports = new Map(this.#reports);
    const { joins, ...view } = this.#next;
    const isAgain = this.#isWhole;
    this.#isWhole ||= joins !== undefined;
    const how = { joins, isAgain, isWhole: this.#isWhole };
    const repair = { view, before: this.#view, ...how, reports, members: all, dead };
    this.#do({ do: 'repair', repair });
  }

  /** The view is to change, or to change further: everybody stops. */
  #disconnect(next: NextView): void {
    const isMoreOut = next.dead.some((mn) => !(this.#next ?? this.#view).dead.includes(mn));
    this.#next = next;
    this.#lost.clear();
    // Ahead of the first stop: whoever takes over has to end what is begun here.
    this.#store();
    for (const known of this.#members.values()) {
      // One that is stopping may wait for just the node that is out now.
      if (known.state === LIVE || (known.state === STOPPING && isMoreOut)) {
        known.state = STOPPING;
        this.#do({ do: 'stop', cid: known.cid, out: next.dead });
      } else if (known.state === RECOVERING) {
        known.state = HALTING;
        this.#do({ do: 'halt', cid: known.cid });
      }
    }
  }

  #publish(): void {
    const next = this.#next as NextView;
    const toFill = this.#places.made(next, this.#view);
    if (next.joins !== undefined) this.spares.filled(next.joins);
    const { joins, ...view } = next;
    this.#view = view;
    this.#next = undefined;
    this.#reports.clear();
    this.#isWhole = false;
    this.#store();
    for (const known of this.#members.values()) {
      if (known.state !== STOPPED) continue;
      known.state = LIVE;
      this.#do({ do: 'adopt', cid: known.cid });
    }
    for (const known of this.#joining.splice(0)) this.#welcome(known);
    if (joins !== undefined) this.#do({ do: 'enter', mn: joins });
    if (toFill !== undefined) this.#do({ do: 'fill', mn: toFill });
    this.#goOn();
  }

  #welcome(known: Known): void {
    this.#members.set(known.cid, known);
    this.#store();
    this.#do({ do: 'welcome', cid: known.cid });
  }

  #fence(known: Known): void {
    known.state = FENCING;
    this.#reports.delete(known.cid);
    this.#store();
    this.#do({ do: 'fence', cid: known.cid });
  }

  #forget(cid: number): void {
    this.#members.delete(cid);
    this.#reports.delete(cid);
    this.#store();
  }

  #store(): void {
    const of = { view: this.#view, next: this.#next, lateCid: this.#lateCid };
    this.#do({ do: 'store', record: recordOf(of, this.#members.values()) });
  }

  #do(effect: Effect): void {
    this.#effects.push(effect);
  }

  #taken(): Effect[] {
    return this.#effects.splice(0);
  }
}
