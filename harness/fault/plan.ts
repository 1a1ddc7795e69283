/**
 * What a timeline comes to in one cell: repetitions written out, random targets drawn from the seed, every
 * fault with a number of its own. The same timeline, bench and seed give the same plan.
 */
import { RandomStream } from '../../workloads/index.js';
import type { BenchShape, CrashPoint, TimelineEvent } from './timeline.js';

/** A process of a bench. */
export interface ProcessName {
  readonly role: 'client' | 'node' | 'master';
  readonly index: number;
}

/** A process is killed, or stopped for a while. */
export interface ProcessFault {
  readonly kind: 'kill' | 'stop';
  /** One of a repetition, which ends with the window, however long that is. */
  readonly repeats: boolean;
  readonly target: ProcessName;
  readonly atNs: number;
  /** How long a stop lasts; 0 for a kill. */
  readonly forNs: number;
}

/** A client dies by itself at a point of the protocol. */
export interface CrashFault {
  readonly kind: 'crash';
  readonly client: number;
  readonly point: CrashPoint;
}

/** A link is slow or cut for a while. */
export interface LinkFault {
  readonly kind: 'delay' | 'drop';
  /** undefined: all of them. */
  readonly client?: number | undefined;
  readonly node?: number | undefined;
  readonly fromNs: number;
  readonly toNs: number;
  /** How much later verbs reach the node; 0 for a cut. */
  readonly byNs: number;
}

/** A client joins, or leaves in order. */
export interface MemberChange {
  readonly kind: 'join' | 'leave';
  /** Those that join have numbers of their own, behind those that are there from the start. */
  readonly client: number;
  readonly atNs: number;
  /** In place of one that is killed again and again, which ends with the window. */
  readonly repeats: boolean;
}

/** One thing that is to happen; times count from the start of the window. */
export type PlannedFault = ProcessFault | CrashFault | LinkFault | MemberChange;

/** What one client process does to itself. */
export interface ClientFaults {
  /** It may be killed: others should know what it has counted. */
  readonly mayDie: boolean;
  readonly crashes: readonly CrashPoint[];
  readonly links: readonly LinkFault[];
}

/** Whether a fault is done to a process from outside. */
export const isOnProcess = (fault: PlannedFault): fault is ProcessFault =>
  fault.kind === 'kill' || fault.kind === 'stop';
/** Whether a fault is one of a link. */
export const isOnLink = (fault: PlannedFault): fault is LinkFault =>
  fault.kind === 'delay' || fault.kind === 'drop';

/** Whether it is no fault, but a client that comes or goes. */
export const isOnMembers = (fault: PlannedFault): fault is MemberChange =>
  fault.kind === 'join' || fault.kind === 'leave';

/** Name of a process, for people and figures. */
export const nameOf = ({ role, index }: ProcessName): string =>
  role === 'master' ? 'master' : `${role} ${index}`;

/** What a fault is done to, for people and figures. */
export function targetOf(fault: PlannedFault): string {
  if (isOnProcess(fault)) return nameOf(fault.target);
  if (fault.kind === 'crash' || isOnMembers(fault)) return `client ${fault.client}`;
  const client = fault.client === undefined ? 'all clients' : `client ${fault.client}`;
  return `${client} to ${fault.node === undefined ? 'all nodes' : `node ${fault.node}`}`;
}

/** The client's own share of a plan. */
export function clientFaults(plan: readonly PlannedFault[], client: number): ClientFaults {
  const isOwn = (one: number | undefined): boolean => one === undefined || one === client;
  const name = `client ${client}`;
  return {
    mayDie: plan.some((fault) => fault.kind === 'kill' && targetOf(fault) === name),
    crashes: plan.flatMap((fault) => (fault.kind === 'crash' && isOwn(fault.client) ? [fault.point] : [])),
    links: plan.filter(isOnLink).filter((fault) => isOwn(fault.client)),
  };
}

/** Clients that join in a plan. */
export const joinersIn = (plan: readonly PlannedFault[]): number =>
  plan.filter(({ kind }) => kind === 'join').length;

/** Most clients that are there at a time. */
export function clientsAtOnce(plan: readonly PlannedFault[], clients: number): number {
  let present = clients;
  let most = clients;
  for (const fault of plan) {
    if (fault.kind === 'join') most = Math.max(most, ++present);
    if (fault.kind === 'leave' || (fault.kind === 'kill' && fault.target.role === 'client')) present--;
  }
  return most;
}

/** An event at its time, whose targets are not drawn yet. */
interface Timed {
  readonly event: Extract<TimelineEvent, { kind: 'kill' | 'stop' | 'join' | 'leave' }>;
  readonly atNs: number;
}

/** Writes a timeline out for a cell. */
export function planFaults(
  timeline: readonly TimelineEvent[],
  bench: BenchShape & { readonly seed: number },
): PlannedFault[] {
  const faults: PlannedFault[] = [];
  const timed: Timed[] = [];
  for (const event of timeline) {
    if (event.kind === 'crash') faults.push(event);
    else if (event.kind === 'delay') faults.push(event);
    else if (event.kind === 'drop') faults.push({ ...event, byNs: 0 });
    else timed.push(...timesOf(event, bench));
  }
  // In order of time, so that a draw knows who is dead by then; ties keep the timeline's order.
  timed.sort((a, b) => a.atNs - b.atNs);
  const crew = new Crew(timeline, bench);
  for (const one of timed) faults.push(...writtenOut(one, crew));
  return faults;
}

function writtenOut({ event, atNs }: Timed, crew: Crew): PlannedFault[] {
  if (event.kind === 'join' || event.kind === 'leave') {
    const { kind } = event;
    return Array.from({ length: event.clients }, () =>
      kind === 'join' ? crew.join() : crew.leave(),
    ).flatMap((client) => (client === null ? [] : [{ kind, client, atNs, repeats: false }]));
  }
  const { kind } = event;
  const isReplaced = event.kind === 'kill' && event.replace === true;
  const target = crew.choose(event, isReplaced);
  if (target === null) return [];
  if (kind === 'kill') crew.kill(target);
  const repeats = event.everyNs !== undefined;
  const fault = { kind, target, atNs, forNs: event.kind === 'stop' ? event.forNs : 0, repeats };
  return isReplaced ? [fault, { kind: 'join', client: crew.join(), atNs, repeats }] : [fault];
}

function timesOf(event: Timed['event'], { windowNs }: BenchShape): Timed[] {
  if (event.kind === 'join' || event.kind === 'leave') return [{ event, atNs: event.atNs }];
  const { atNs, everyNs, untilNs = windowNs } = event;
  if (everyNs === undefined) return [{ event, atNs: atNs ?? 0 }];
  const times: Timed[] = [];
  for (let at = atNs ?? everyNs; at <= Math.min(untilNs, windowNs); at += everyNs) {
    times.push({ event, atNs: at });
  }
  return times;
}

/** Who is there as the plan goes on, and who must not be drawn. */
class Crew {
  readonly #random: RandomStream;
  readonly #dead = new Set<string>();
  /** Clients present, in the order in which they came. */
  readonly #clients: number[];
  /** Those whose death the timeline names: a draw leaves them to it. */
  readonly #spoken = new Set<string>();
  readonly #nodes: number;
  #joined: number;

  constructor(timeline: readonly TimelineEvent[], bench: BenchShape & { readonly seed: number }) {
    this.#clients = Array.from({ length: bench.clients }, (_, i) => i);
    this.#joined = bench.clients;
    this.#nodes = bench.nodes;
    this.#random = new RandomStream({ seed: bench.seed, host: 0, process: 0, coroutine: 0 });
    for (const event of timeline) {
      if (event.kind === 'crash') this.#spoken.add(`client ${event.client}`);
      else if (event.kind === 'kill' && event.target.index !== 'random') {
        this.#spoken.add(nameOf(event.target as ProcessName));
      }
    }
  }

  /** Of masters another one leads by the time that it is killed again, or stopped. */
  kill(target: ProcessName): void {
    if (target.role !== 'master') this.#dead.add(nameOf(target));
    if (target.role === 'client') this.#remove(target.index);
  }

  /** The number of a client that joins. */
  join(): number {
    this.#clients.push(this.#joined);
    return this.#joined++;
  }

  /** The client that joined last leaves; null when it would be the last one. */
  leave(): number | null {
    const free = this.#clients.filter((client) => !this.#spoken.has(`client ${client}`));
    const client = this.#clients.length > 1 ? free.at(-1) : undefined;
    if (client === undefined) return null;
    this.#remove(client);
    return client;
  }

  /** The event's target; null when a repetition has nobody left that may be taken. */
  choose(
    { kind, target: { role, index } }: Extract<Timed['event'], { kind: 'kill' | 'stop' }>,
    isReplaced: boolean,
  ): ProcessName | null {
    if (index !== 'random') {
      const target = { role, index };
      return this.#dead.has(nameOf(target)) ? null : target;
    }
    const present = role === 'client' ? this.#clients : Array.from({ length: this.#nodes }, (_, i) => i);
    const all = present.map((i): ProcessName => ({ role, index: i }));
    const free = all.filter((one) => !this.#dead.has(nameOf(one)) && !this.#spoken.has(nameOf(one)));
    // One at least is left alive.
    if (free.length <= (kind === 'kill' && !isReplaced ? 1 : 0)) return null;
    return free[this.#random.nextBelow(free.length)];
  }

  #remove(client: number): void {
    const at = this.#clients.indexOf(client);
    if (at >= 0) this.#clients.splice(at, 1);
  }
}
