/**
 * Looks whether memory nodes live. One is dead when a verb to it FAILs, or when its lease has run out
 * (`fusee/master/node-leases.ts`), be it that its process is only stopped.
 *
 * On shared memory a FAIL is certain, and a node whose lease has run out is fenced: all verbs to it FAIL from
 * then on. Over a network a verb FAILs when the connection is broken: a node that its master cannot reach
 * counts as dead, whether it is or not, nobody who adopts that view asks it for anything, and it is told to
 * end when it can be reached again (`expulsions.ts`).
 *
 * Each node has a connection of its own: one that does not answer holds up no look at the others.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { type HostFabric, type NodeAccess, openFabric, requireOwnAtomics } from '../fabric/open.js';
import { hostNumber, thisHost } from '../fabric/shm-process.js';
import { PULSE_BYTES, PULSE_OFFSET, type Pulse, readPulse } from '../layout/index.js';
import { NodeLeases } from '../master/index.js';
import { Status, VerbBatch } from '../verbs/index.js';
import { Excuses } from './excuse.js';
import { type Expelled, Expulsions } from './expulsions.js';
import type { HostProcess } from './fence.js';

/** A look waits so long for answers; what comes later counts for the next one. */
const LOOK_MS = 20;
/** Turns of the event loop in which answers are looked for without a pause. */
const TURNS = 20;

/** How nodes are watched. */
interface WatchOptions {
  readonly access: NodeAccess;
  /** By node; '' for one that is not there. */
  readonly places: readonly string[];
  /** Over TCP: what nodes know the master by. @default drawn */
  readonly clientKey?: bigint | undefined;
  /** A node that is silent for so long is dead, if it has a pulse; 0: leases do not end. */
  readonly leaseMs: number;
  /** Nodes that former masters gave up, and that have not been told. */
  readonly expelled?: readonly Expelled[] | undefined;
  /** False: another master may lead, and nobody may be judged. */
  readonly mayJudge: () => boolean;
  readonly log?: ((line: string) => void) | undefined;
}

/** One node, as it is watched. */
interface Watched {
  readonly fabric: HostFabric;
  readonly batch: VerbBatch;
  /** Where its pulse is READ to. */
  readonly at: number;
  isAsked: boolean;
  /** As it was READ last. */
  pulse: Pulse | undefined;
  /** Whose it is, where that can be seen. */
  process: HostProcess | undefined;
}

/** Fabrics of its own, which nobody else polls. */
export class NodeWatch {
  /** By node. */
  readonly places: string[];
  readonly #options: WatchOptions;
  readonly #nodes: (Watched | undefined)[] = [];
  readonly #leases: NodeLeases;
  readonly #excuses: Excuses;
  readonly #expulsions: Expulsions;
  #isClosed = false;
  #looking: Promise<number[]> | undefined;

  private constructor(options: WatchOptions) {
    this.#options = options;
    this.places = [...options.places];
    this.#leases = new NodeLeases({ leaseNs: options.leaseMs * 1e6 });
    this.#excuses = new Excuses(this.#leases.leaseNs);
    this.#expulsions = new Expulsions(options);
  }

  /** Attaches to the nodes. Errors as of `openFabric` and `requireOwnAtomics`. */
  static async open(options: WatchOptions): Promise<NodeWatch> {
    const watch = new NodeWatch(options);
    try {
      for (const [mn, place] of options.places.entries())
        watch.#nodes[mn] = place === '' ? undefined : await watch.#attach(place);
    } catch (error) {
      await watch.close();
      throw error;
    }
    return watch;
  }

  /** Numbers and places of all nodes but those known to be dead. */
  living(known: readonly number[]): { mn: number; place: string }[] {
    return this.places.flatMap((place, mn) => (known.includes(mn) ? [] : [{ mn, place }]));
  }

  /** Nodes that were given up, and are to be told so. */
  get expelled(): readonly Expelled[] {
    return this.#expulsions.waiting;
  }

  /** Looks at every node but those known to be dead; the ones that have died. */
  async deadOf(known: readonly number[]): Promise<number[]> {
    if (this.#isClosed) return [];
    this.#looking ??= this.#look(known).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** A node's place is another process's now. */
  async attach(mn: number, place: string): Promise<void> {
    await this.#looking;
    const next = await this.#attach(place);
    this.#nodes[mn]?.fabric.close();
    this.#nodes[mn] = next;
    this.#leases.forget(mn);
    this.#excuses.forget(mn);
    this.places[mn] = place;
  }

  /** Is the node that process, as its pulse says? */
  isOf(mn: number, { pid, startTime, host }: Omit<Pulse, 'beats'>): boolean {
    const pulse = this.#nodes[mn]?.pulse;
    return pulse?.pid === pid && pulse.startTime === startTime && pulse.host === host;
  }

  /** A node that lives is dead to the pool from now on. */
  giveUp(mn: number, why: string): void {
    const node = this.#nodes[mn];
    if (node === undefined) return;
    this.#options.log?.(`node ${mn} is given up: ${why}`);
    this.#end(node, this.places[mn]);
    node.fabric.close();
    this.#nodes[mn] = undefined;
  }

  /** Nothing that its process does counts any more; it hears of it by itself, or is told. */
  #end({ fabric }: Watched, place: string): void {
    if (fabric.kind === 'shm') fabric.fenceNode(0);
    else this.#expulsions.add(fabric, place);
  }

  async #attach(place: string): Promise<Watched> {
    const { access, clientKey } = this.#options;
    const known = clientKey === undefined ? {} : { clientKey };
    const fabric = await openFabric(access, [place], { localBytes: 1 << 16, prefault: false, ...known });
    try {
      requireOwnAtomics(fabric, access.pool);
      const batch = new VerbBatch(fabric.local, 1);
      const at = fabric.local.reserve(PULSE_BYTES);
      return { fabric, batch, at, isAsked: false, pulse: undefined, process: undefined };
    } catch (error) {
      fabric.close();
      throw error;
    }
  }

  async #look(known: readonly number[]): Promise<number[]> {
    const nodes = [...this.#nodes.entries()].filter(([mn]) => !known.includes(mn));
    for (const [, node] of nodes) {
      if (node === undefined || node.isAsked) continue;
      node.batch.reset().read(0, PULSE_OFFSET, node.at, PULSE_BYTES);
      node.fabric.post(node.batch);
      node.isAsked = true;
    }
    const endMs = performance.now() + LOOK_MS;
    for (let turn = 0; !this.#isClosed; turn++) {
      for (const [, node] of nodes) if (node?.isAsked && node.fabric.poll([]) > 0) node.isAsked = false;
      if (nodes.every(([, node]) => node?.isAsked !== true) || performance.now() > endMs) break;
      await (turn < TURNS ? nextTurn() : pause(1));
    }
    return this.#isClosed ? [] : this.#judge(nodes);
  }

  #judge(nodes: readonly [number, Watched | undefined][]): number[] {
    const nowNs = nodes.find(([, node]) => node !== undefined)?.[1]?.fabric.nowNs() ?? 0;
    const mayJudge = this.#options.mayJudge();
    if (mayJudge) this.#leases.looks(nowNs);
    return nodes
      .filter(([mn, node]) => {
        if (node === undefined) return true;
        const isSilent = !node.isAsked && node.batch.status(0) === Status.FAIL;
        if (!isSilent && !node.isAsked) this.#hear(mn, node, nowNs);
        const isDead = isSilent || (mayJudge && this.#hasEnded(mn, node, nowNs));
        if (isDead) this.#end(node, this.places[mn]);
        return isDead;
      })
      .map(([mn]) => mn);
  }

  #hear(mn: number, node: Watched, nowNs: number): void {
    node.pulse = readPulse(node.fabric.local.bytes, node.at);
    const { beats, pid, startTime, host } = node.pulse;
    if (!this.#leases.read(mn, beats, nowNs)) return;
    // Of a process elsewhere nothing can be seen.
    node.process = host === hostNumber() ? { pid, startTime, host: thisHost() } : undefined;
    this.#excuses.heard(mn, node.process, nowNs);
  }

  /** Its lease has run out, and not for want of a processor: nobody hears anything of it any more. */
  #hasEnded(mn: number, { fabric, process }: Watched, nowNs: number): boolean {
    // Over verbs the NIC answers for a node, and nobody could keep it from that.
    if (this.#options.leaseMs === 0 || fabric.kind === 'verbs') return false;
    if (!this.#leases.hasEnded(mn, nowNs) || this.#excuses.isExcused(mn, process, nowNs)) return false;
    this.#options.log?.(
      `node ${mn} has been silent for longer than its lease of ${this.#leases.leaseNs / 1e6} ms`,
    );
    return true;
  }

  /** Waits for a look that is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#expulsions.close();
    await this.#looking;
    for (const node of this.#nodes) node?.fabric.close();
  }
}
