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

/** One thing that is to go wrong; times count from the start of the window. */
export type PlannedFault = ProcessFault | CrashFault | LinkFault;

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

/** Name of a process, for people and figures. */
export const nameOf = ({ role, index }: ProcessName): string =>
  role === 'master' ? 'master' : `${role} ${index}`;

/** What a fault is done to, for people and figures. */
export function targetOf(fault: PlannedFault): string {
  if (isOnProcess(fault)) return nameOf(fault.target);
  if (fault.kind === 'crash') return `client ${fault.client}`;
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

/** A kill or stop whose target is not drawn yet. */
interface Timed {
  readonly event: Extract<TimelineEvent, { kind: 'kill' | 'stop' }>;
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
    else if (event.kind === 'kill' || event.kind === 'stop') timed.push(...timesOf(event, bench));
    else faults.push({ ...event, byNs: event.kind === 'delay' ? event.byNs : 0 });
  }
  // In order of time, so that a draw knows who is dead by then; ties keep the timeline's order.
  timed.sort((a, b) => a.atNs - b.atNs);
  const crew = new Crew(timeline, bench);
  for (const { event, atNs } of timed) {
    const target = crew.choose(event);
    if (target === null) continue;
    if (event.kind === 'kill') crew.kill(target);
    const forNs = event.kind === 'stop' ? event.forNs : 0;
    faults.push({ kind: event.kind, target, atNs, forNs, repeats: event.everyNs !== undefined });
  }
  return faults;
}

function timesOf(event: Timed['event'], { windowNs }: BenchShape): Timed[] {
  const { atNs, everyNs, untilNs = windowNs } = event;
  if (everyNs === undefined) return [{ event, atNs: atNs ?? 0 }];
  const times: Timed[] = [];
  for (let at = atNs ?? everyNs; at <= Math.min(untilNs, windowNs); at += everyNs) {
    times.push({ event, atNs: at });
  }
  return times;
}

/** Who is alive as the plan goes on, and who must not be drawn. */
class Crew {
  readonly #random: RandomStream;
  readonly #dead = new Set<string>();
  /** Those whose death the timeline names: a draw leaves them to it. */
  readonly #spoken = new Set<string>();
  readonly #bench: BenchShape;

  constructor(timeline: readonly TimelineEvent[], bench: BenchShape & { readonly seed: number }) {
    this.#bench = bench;
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
  }

  /** The event's target; null when a repetition has nobody left that may be taken. */
  choose({ kind, target: { role, index } }: Timed['event']): ProcessName | null {
    if (index !== 'random') {
      const target = { role, index };
      return this.#dead.has(nameOf(target)) ? null : target;
    }
    const count = role === 'client' ? this.#bench.clients : this.#bench.nodes;
    const all = Array.from({ length: count }, (_, i): ProcessName => ({ role, index: i }));
    const free = all.filter((one) => !this.#dead.has(nameOf(one)) && !this.#spoken.has(nameOf(one)));
    // One at least is left alive.
    if (free.length <= (kind === 'kill' ? 1 : 0)) return null;
    return free[this.#random.nextBelow(free.length)];
  }
}
