/**
 * Carries a plan out on the processes of a cell: SIGKILL, SIGSTOP and SIGCONT to real pids when their time
 * has come. Crashes at protocol steps and faults of links happen inside the clients; what is done here is to
 * keep a record of them.
 *
 * A client that is to be killed tells its counts again and again: what it did until the last time is known,
 * and how long before its death that was is on record. One that dies at a protocol step writes its counts
 * down by itself.
 */
import type { Child } from '../run/child.js';
import type { Crew } from '../run/crew.js';
import type { ClientReport, FromClient, ToClient } from '../run/messages.js';
import { lastWordsOf } from './crash.js';
import {
  type CrashFault,
  isOnLink,
  isOnMembers,
  type LinkFault,
  type MemberChange,
  type PlannedFault,
  type ProcessFault,
  type ProcessName,
  targetOf,
} from './plan.js';

/** A fault that has happened. Times are of the host's monotonic clock. */
export interface Injected {
  readonly fault: PlannedFault;
  readonly atNs: number;
  /** When it was over; null for what does not end. */
  endNs: number | null;
  /** What is known of it; of a master's death, once another one leads, also how long that took. */
  readonly detail: Record<string, unknown>;
}

/** Lets clients come and go. Both resolve with the time when it was done; null when the client has died. */
export interface MembersPort {
  join(client: number): Promise<number | null>;
  leave(client: number): Promise<number | null>;
  /** False: it is still on its way into the pool. */
  isAtWork(client: number): boolean;
}

const NOBODY: MembersPort = { join: async () => null, leave: async () => null, isAtWork: () => true };

/** A process that can be killed and stopped. */
type Victim = Pick<Child<never, never>, 'kill' | 'signal' | 'pid' | 'isGone'>;

/** One thing to be done, when its time has come and it can be. */
interface Step {
  readonly atNs: number;
  readonly run: () => unknown;
  readonly canRun?: () => boolean;
}

/** A stop, and the very process that goes on behind it. */
interface Stop {
  readonly injected: Injected;
  readonly victim: Victim;
}

/** The window's start may move until it has come: times are looked at anew so often. */
const TICK_MS = 20;

const nowNs = (): number => Number(process.hrtime.bigint());
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Carries one cell's plan out. */
export class Conductor {
  /** What has happened, in order. */
  readonly injected: Injected[] = [];
  readonly #plan: readonly PlannedFault[];
  readonly #crew: Crew<ToClient, FromClient>;
  readonly #onInjected: (injected: Injected) => void;
  readonly #reports = new Map<number, ClientReport>();
  readonly #stops: Stop[] = [];
  readonly #members: MembersPort;
  /** Clients that are coming or going. */
  readonly #changes: Promise<void>[] = [];
  readonly #crashes: Promise<void>[] = [];
  #isOver = false;
  #done: Promise<void> = Promise.resolve();
  /** How much later things happen than planned, since those that they happen to were not there yet. */
  #lateNs = 0;

  constructor(
    plan: readonly PlannedFault[],
    crew: Crew<ToClient, FromClient>,
    onInjected: (injected: Injected) => void = () => {},
    members: MembersPort = NOBODY,
  ) {
    this.#plan = plan;
    this.#members = members;
    this.#crew = crew;
    this.#onInjected = onInjected;
  }

  /** A client has told its counts. */
  reported(client: number, report: ClientReport): void {
    this.#reports.set(client, report);
  }

  /** The last counts of a client that has died; null when it told none. */
  lastReport(client: number): ClientReport | null {
    return this.#reports.get(client) ?? null;
  }

  /**
   * Begins, before the window does.
   * @param windowNs when it begins, which may change until it has begun.
   */
  begin(windowNs: () => number): void {
    for (const fault of this.#plan) if (fault.kind === 'crash') this.#crashes.push(this.#awaitCrash(fault));
    this.#crew.masters.onTakeOver = (atNs) => this.#takenOver(atNs);
    this.#done = this.#conduct(windowNs);
  }

  /** The window is over: nothing more is injected, and what is stopped goes on. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
    await Promise.all(this.#changes);
    for (const stop of this.#stops) this.#resume(stop);
    for (const one of this.injected) if (isOnLink(one.fault)) one.endNs ??= nowNs();
  }

  /** What was planned and did not happen, repetitions aside: they end with the window. */
  unmet(): string[] {
    const happened = new Set(this.injected.map(({ fault }) => fault));
    return this.#plan
      .filter((fault) => !happened.has(fault) && !('repeats' in fault && fault.repeats))
      .map((fault) => `${fault.kind} of ${targetOf(fault)}${whenOf(fault)}`);
  }

  /** Resolves when all that was planned has happened, crashes too, or been set going. */
  get isThrough(): Promise<unknown> {
    return Promise.all([this.#done, ...this.#crashes]);
  }

  async #conduct(windowNs: () => number): Promise<void> {
    const steps = this.#plan.flatMap((fault): Step[] => {
      if (fault.kind === 'crash') return [];
      if (isOnLink(fault)) return [{ atNs: fault.fromNs, run: () => this.#open(fault, windowNs()) }];
      if (isOnMembers(fault)) {
        const { atNs, kind, client } = fault;
        const canRun = (): boolean => kind === 'join' || this.#members.isAtWork(client);
        return [{ atNs, run: () => this.#begin(this.#change(fault)), canRun }];
      }
      const { role, index } = fault.target;
      const canRun = (): boolean => role !== 'client' || this.#members.isAtWork(index);
      return [{ atNs: fault.atNs, run: () => this.#strike(fault), canRun }];
    });
    steps.sort((a, b) => a.atNs - b.atNs);
    for (const { atNs, run, canRun } of steps) {
      for (let left = 1; left > 0 && !this.#isOver; ) {
        left = windowNs() + atNs + this.#lateNs - nowNs();
        if (left > 0) await sleep(Math.min(left / 1e6, TICK_MS));
      }
      const dueNs = nowNs();
      while (canRun?.() === false && !this.#isOver) await sleep(TICK_MS);
      // Or what comes behind would all happen at once.
      if (canRun !== undefined) this.#lateNs += nowNs() - dueNs;
      if (this.#isOver) return;
      run();
    }
  }

  /** A client has joined when it is in the pool; one that leaves begins nothing more from the start. */
  async #change(fault: MemberChange): Promise<void> {
    const toldNs = nowNs();
    const doneNs = await this.#members[fault.kind](fault.client);
    if (doneNs === null) return;
    const detail = { tookMs: (doneNs - toldNs) / 1e6 };
    this.#record({ fault, atNs: fault.kind === 'join' ? doneNs : toldNs, endNs: null, detail });
  }

  /** What comes of it is told at the end; until then nobody looks. */
  #begin(change: Promise<void>): void {
    change.catch(() => {});
    this.#changes.push(change);
  }

  #strike(fault: ProcessFault): void {
    const { kind, target } = fault;
    const victim = this.#victim(target);
    if (victim === undefined || victim.isGone) return;
    const { pid } = victim;
    if (kind === 'kill') victim.kill();
    else victim.signal('SIGSTOP');
    const atNs = nowNs();
    const counted =
      kind === 'kill' && target.role === 'client' ? this.#countedBefore(target.index, atNs) : {};
    const injected = this.#record({ fault, atNs, endNs: null, detail: { pid, ...counted } });
    if (kind === 'kill') return;
    const stop = { injected, victim };
    this.#stops.push(stop);
    // From when it really began: a busy harness may be late.
    const resume = (): void => this.#resume(stop);
    setTimeout(resume, fault.forNs / 1e6).unref();
  }

  #victim({ role, index }: ProcessName): Victim | undefined {
    if (role === 'client') return this.#crew.clients[index];
    return role === 'node' ? this.#crew.nodes[index] : (this.#crew.masters.leading ?? undefined);
  }

  /** How old a client's counts are at its death, in ms; null when it has told none. */
  #countedBefore(client: number, atNs: number): { countedMsBefore: number | null } {
    const told = this.#reports.get(client);
    return { countedMsBefore: told === undefined ? null : (atNs - told.endNs) / 1e6 };
  }

  /** Another stop of the same process may still hold: then it goes on when that one ends. */
  #resume({ injected, victim }: Stop): void {
    if (injected.endNs !== null) return;
    injected.endNs = nowNs();
    const isHeld = this.#stops.some((one) => one.injected.endNs === null && one.victim === victim);
    if (!isHeld) victim.signal('SIGCONT');
  }

  /** A master that stood by leads now. */
  #takenOver(atNs: number): void {
    const death = this.injected.findLast(
      ({ fault }) => fault.kind === 'kill' && fault.target.role === 'master',
    );
    if (death !== undefined) death.detail['takenOverMs'] ??= (atNs - death.atNs) / 1e6;
  }

  #open(fault: LinkFault, windowNs: number): void {
    const detail = fault.kind === 'delay' ? { byMs: fault.byNs / 1e6 } : {};
    const injected = this.#record({ fault, atNs: windowNs + fault.fromNs, endNs: null, detail });
    const close = setTimeout(
      () => {
        injected.endNs ??= windowNs + fault.toNs;
      },
      (fault.toNs - fault.fromNs) / 1e6,
    );
    close.unref();
  }

  #awaitCrash(fault: CrashFault): Promise<void> {
    return this.#crew.clients[fault.client].death.then((stderr) => {
      const words = lastWordsOf(stderr);
      // It has one of its points only to die at.
      if (words === null || JSON.stringify(words.point) !== JSON.stringify(fault.point)) return;
      const { atNs, diedNs = atNs, report, ...detail } = words;
      const lastWordsMs = (diedNs - atNs) / 1e6;
      if (report !== null) this.#reports.set(fault.client, report as ClientReport);
      this.#record({ fault, atNs, endNs: null, detail: { ...detail, lastWordsMs, countedMsBefore: 0 } });
    });
  }

  #record(injected: Injected): Injected {
    this.injected.push(injected);
    this.#onInjected(injected);
    return injected;
  }
}

function whenOf(fault: PlannedFault): string {
  if (fault.kind === 'crash') {
    const { operation, batch, occurrence } = fault.point;
    const step = typeof batch === 'number' ? `batch ${batch}` : batch;
    return ` at ${operation}, ${step}, occurrence ${occurrence}`;
  }
  return ` at ${(isOnLink(fault) ? fault.fromNs : fault.atNs) / 1e9} s`;
}
