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
 * - All it knows is in {@link MasterRecord}; a successor begins with the record and what clients tell it. An
 *   effect is carried out when the records that came ahead of it are stored.
 */

import type { OpenRound } from '../ops/index.js';

/** A member that is not recovered yet: its id, and its place in the client table. */
export interface Member {
  readonly cid: number;
  readonly place: number;
}

/** What a successor must know. */
export interface MasterRecord {
  readonly view: { readonly number: number; readonly dead: readonly number[] };
  /** The view that is being made: nodes may know it already, clients do not. */
  readonly next?: MasterRecord['view'] | undefined;
  /** Every client that may have left something behind, the dead included. */
  readonly members: readonly (Member & { readonly isDead: boolean })[];
}

/** What a client that has stopped tells. */
export interface StopReport {
  /** What its requests may have changed on some replicas only. */
  readonly rounds: readonly OpenRound[];
  /** Its word for the client table: period, and CID while it may have requests in flight. */
  readonly word: { readonly hi: number; readonly lo: number };
  /** The directory that it knows: its version and global depth. */
  readonly directory: { readonly version: number; readonly depth: number };
}

/** What {@link Effect} `repair` needs: everybody named here has stopped or is fenced. */
export interface Repair {
  readonly view: { readonly number: number; readonly dead: readonly number[] };
  readonly before: { readonly number: number; readonly dead: readonly number[] };
  readonly reports: ReadonlyMap<number, StopReport>;
  readonly members: readonly Member[];
  /** Fenced clients that are not recovered: their logs name what they had in flight. */
  readonly dead: readonly Member[];
}

/** What the driver is to do. */
export type Effect =
  /** A client is to stop for a change of the view, and to answer `stopped`. */
  | { readonly do: 'stop'; readonly cid: number }
  /** A client's verbs are to be kept from executing; `fenced` tells when none does any more. */
  | { readonly do: 'fence'; readonly cid: number }
  /** Nodes learn the view, slots are decided, the client table is made anew; then `repaired`. */
  | { readonly do: 'repair'; readonly repair: Repair }
  /** A stopped client goes on in the present view, with what the latest repair decided. */
  | { readonly do: 'adopt'; readonly cid: number }
  /** A client that asked to join is in. */
  | { readonly do: 'welcome'; readonly cid: number }
  /** A fenced client is to be recovered; then `recovered`. */
  | { readonly do: 'recover'; readonly member: Member }
  /** A recovery is to end as it stands; `halted` tells when none of its verbs executes any more. */
  | { readonly do: 'halt'; readonly cid: number }
  /** The record has changed. */
  | { readonly do: 'store'; readonly record: MasterRecord };

/** How it stands with a member. */
const LIVE = 0;
/** Told to stop; its report is awaited. */
const STOPPING = 1;
const STOPPED = 2;
const FENCING = 3;
/** Fenced, and to be recovered. */
const FENCED = 4;
const RECOVERING = 5;
const HALTING = 6;

interface Known extends Member {
  state: number;
  leaseEndNs: number;
}

/** How a master judges. */
export interface MasterOptions {
  /** A client that has not renewed its lease for so long is fenced; 0: leases do not end. */
  readonly leaseNs: number;
  /** A master that has not looked for so long cannot tell who was silent. @default a quarter of a lease */
  readonly sleepNs?: number;
}

/** The master of one pool; the head of this file states its rules. */
export class Master {
  readonly #leaseNs: number;
  readonly #sleepNs: number;
  readonly #members = new Map<number, Known>();
  readonly #joining: Known[] = [];
  readonly #reports = new Map<number, StopReport>();
  #view: MasterRecord['view'];
  /** Nodes that are dead by what was heard, and not in the view yet. */
  readonly #lost = new Set<number>();
  /** The view that the repair under way makes. */
  #next: MasterRecord['view'] | undefined;
  #isRepairing = false;
  #tickedNs: number;
  #effects: Effect[] = [];

  /** @param record of the former master; its living members must renew their leases with this one. */
  constructor(options: MasterOptions, record?: MasterRecord, nowNs = 0) {
    this.#leaseNs = options.leaseNs;
    this.#sleepNs = options.sleepNs ?? options.leaseNs / 4;
    this.#tickedNs = nowNs;
    this.#view = record?.view ?? { number: 1, dead: [] };
    // Its number is never used again: nodes may have adopted it, without those that have died since.
    this.#next = record?.next;
    for (const mn of record?.next?.dead ?? []) if (!this.#view.dead.includes(mn)) this.#lost.add(mn);
    for (const { cid, place, isDead } of record?.members ?? []) {
      this.#members.set(cid, { cid, place, state: isDead ? FENCING : LIVE, leaseEndNs: this.#until(nowNs) });
    }
  }

  /** The present view. */
  get view(): MasterRecord['view'] {
    return this.#view;
  }

  /** True while a view is being changed. */
  get isChanging(): boolean {
    return this.#next !== undefined;
  }

  /** True when nothing is under way, and nobody dead is left. */
  get isSettled(): boolean {
    const isQuiet = !this.isChanging && this.#lost.size === 0;
    return isQuiet && [...this.#members.values()].every(({ state }) => state === LIVE);
  }

  /** Members that are not dead. */
  get living(): number {
    return [...this.#members.values()].filter(({ state }) => state <= STOPPED).length;
  }

  /** What a former master left undone, at the start of this one. */
  begin(): Effect[] {
    for (const { cid, state } of this.#members.values())
      if (state === FENCING) this.#do({ do: 'fence', cid });
    this.#goOn();
    return this.#taken();
  }

  /** Is it a member that has not died? */
  knows(cid: number): boolean {
    const known = this.#members.get(cid);
    return known !== undefined && known.state <= STOPPED;
  }

  /** A client has been granted an id and a place; or it has lost its connection, and is back. */
  join({ cid, place }: Member, nowNs: number): Effect[] {
    const before = this.#members.get(cid) ?? this.#joining.find((one) => one.cid === cid);
    const known: Known = before ?? { cid, place, state: LIVE, leaseEndNs: 0 };
    if (known.state <= STOPPED) known.leaseEndNs = this.#until(nowNs);
    if (before !== undefined && this.#members.has(cid)) {
      // What it was told last may never have reached it.
      if (known.state === STOPPING) this.#do({ do: 'stop', cid });
      else if (known.state === LIVE) this.#do({ do: 'welcome', cid });
    } else if (before === undefined) {
      if (this.isChanging) this.#joining.push(known);
      else this.#welcome(known);
    }
    return this.#taken();
  }

  /** A client has left: it has nothing in flight, and has handed on what was its own. */
  leave(cid: number): Effect[] {
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
    known.leaseEndNs = this.#until(nowNs);
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
        known.leaseEndNs = this.#until(nowNs);
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

  /** The repair has ended; false: a node was silent, which is alive by the view that it made. */
  repaired(isDone: boolean): Effect[] {
    this.#isRepairing = false;
    if (isDone && this.#lost.size === 0) this.#publish();
    else this.#goOn();
    return this.#taken();
  }

  /** Nothing is left of a dead client that anybody would have to look after. */
  recovered(cid: number): Effect[] {
    if (this.#members.get(cid)?.state === RECOVERING) this.#forget(cid);
    return this.#taken();
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
    if (this.#lost.size > 0 && !this.#isRepairing) this.#disconnect();
    if (this.#next === undefined) {
      for (const known of this.#members.values()) if (known.state === FENCED) this.#recover(known);
      return;
    }
    const all = [...this.#members.values()];
    if (this.#isRepairing || !all.every(({ state }) => state === STOPPED || state === FENCED)) return;
    this.#isRepairing = true;
    const dead = all.filter(({ state }) => state === FENCED);
    const reports = new Map(this.#reports);
    const repair = { view: this.#next, before: this.#view, reports, members: all, dead };
    this.#do({ do: 'repair', repair });
  }

  /** The view is to change, or to change further: everybody stops. */
  #disconnect(): void {
    const { number } = this.#next ?? this.#view;
    const dead = [...new Set([...(this.#next ?? this.#view).dead, ...this.#lost])].sort((a, b) => a - b);
    this.#next = { number: number + 1, dead };
    this.#lost.clear();
    // Ahead of the first stop: whoever takes over has to end what is begun here.
    this.#store();
    for (const known of this.#members.values()) {
      if (known.state === LIVE) {
        known.state = STOPPING;
        this.#do({ do: 'stop', cid: known.cid });
      } else if (known.state === RECOVERING) {
        known.state = HALTING;
        this.#do({ do: 'halt', cid: known.cid });
      }
    }
  }

  #publish(): void {
    this.#view = this.#next as MasterRecord['view'];
    this.#next = undefined;
    this.#reports.clear();
    this.#store();
    for (const known of this.#members.values()) {
      if (known.state !== STOPPED) continue;
      known.state = LIVE;
      this.#do({ do: 'adopt', cid: known.cid });
    }
    for (const known of this.#joining.splice(0)) this.#welcome(known);
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

  #recover(known: Known): void {
    known.state = RECOVERING;
    this.#do({ do: 'recover', member: { cid: known.cid, place: known.place } });
  }

  #forget(cid: number): void {
    this.#members.delete(cid);
    this.#reports.delete(cid);
    this.#store();
  }

  #store(): void {
    const members = [...this.#members.values()].map(({ cid, place, state }) => ({
      cid,
      place,
      isDead: state > STOPPED,
    }));
    this.#do({ do: 'store', record: { view: this.#view, next: this.#next, members } });
  }

  #until(nowNs: number): number {
    return nowNs + this.#leaseNs;
  }

  #do(effect: Effect): void {
    this.#effects.push(effect);
  }

  #taken(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
