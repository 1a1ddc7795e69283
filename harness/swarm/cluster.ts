/** One run in progress: its clients, those that die, and those that take their place. */
import { SimMemory, SimWorld } from '../../fusee/fabric/sim/index.js';
import { Geometry, View } from '../../fusee/layout/index.js';
import type { StopReport } from '../../fusee/master/index.js';
import { serveNodes } from '../../fusee/node/in-process.js';
import { RequestKind } from '../../fusee/ops/index.js';
import type { VerbBatch } from '../../fusee/verbs/index.js';
import { History } from '../check/linearizability/index.js';
import { clientBytes, DEADLINE_NS, SwarmClient } from './client.js';
import { Load } from './load.js';
import { SimMaster } from './master.js';
import { latencyOf, type SwarmPlan } from './plan.js';
import { Recoverer } from './recoverer.js';
import { memoriesOf, SPARE_DEATHS_MAX } from './refill.js';
import { buffers } from './registered.js';
import type { Run, SwarmHooks } from './run.js';
import type { Trace } from './trace.js';
import { WatchedMemory } from './watched-memory.js';

/** Something that must never be. */
export interface Finding {
  /** What kind: `linearizability`, `replicas`, `error`, ... */
  readonly kind: string;
  readonly message: string;
}

/** Clients that die while places are filled, besides those that are to die anyway. */
const FILL_DEATHS_MAX = 3;
/** A request that has not been answered for so long never will be. */
const HANG_NS = 40 * DEADLINE_NS;
/** Background work that goes on for so long after the last request never ends. */
const RESTLESS_NS = 1e9;
/** Events between two looks at the clock of each request. */
const LOOK_EVENTS = 8192;
/** Events after which a run is a hang: some times what the longest of thousands of seeds have come to. */
const EVENTS_MAX = 3_000_000;
const EVENTS_PER_REQUEST = 100;

/** One random cluster and its run. */
export class Cluster implements Run {
  readonly plan: SwarmPlan;
  readonly world: SimWorld;
  readonly view: View;
  readonly load: Load;
  readonly history: History;
  readonly hooks: SwarmHooks;
  readonly trace: Trace | undefined;
  readonly outcomes = new Float64Array(7);
  readonly freeCells = new Set<number>();
  readonly findings: Finding[] = [];
  /** Every client that ever was. */
  readonly clients: SwarmClient[] = [];
  /** What recoveries came to, by `Recovered` of fusee/recovery. */
  readonly recovered = new Float64Array(6);
  active = 0;
  lastAnswerNs = 0;
  writesActive = 0;
  writesBegun = 0;
  quietRequests = 0;
  crashes = 0;
  cuts = 0;
  recovererCrashes = 0;
  /** Memory nodes that died. */
  nodeCrashes = 0;
  readonly master: SimMaster;
  /** Log entries of the dead that were walked where no log tells what was replaced: `leaks.ts`. */
  entriesUnlogged = 0;
  /** Cells that coroutines of the dead may have rested on there. */
  restsUnlogged = 0;
  /** Writing requests of clients that died in a run in which a node died too. */
  roundsBereft = 0;
  readonly #recoverers = new Map<number, Recoverer>();
  readonly #eventsMax: number;
  #cids = 0;
  #recoveries = 0;

  constructor(plan: SwarmPlan, hooks: SwarmHooks = {}, trace?: Trace) {
    this.plan = plan;
    this.hooks = hooks;
    this.trace = trace;
    this.world = new SimWorld(formatted(plan, trace), {
      seed: plan.seed,
      latency: latencyOf(plan),
      faults: plan.faults,
    });
    this.view = new View(new Geometry(plan.pool));
    trace?.attach(this.world, new View(this.view.geometry, this.view), plan.keys);
    this.load = new Load(plan);
    this.#eventsMax = EVENTS_MAX + EVENTS_PER_REQUEST * plan.clients * plan.coroutines * plan.requests;
    this.history = new History({ capacity: plan.clients * plan.coroutines * plan.requests });
    buffers.release();
    this.master = new SimMaster(this, {
      client: (cid) => this.clients.find((client) => client.cid === cid),
      begin: (cid) => this.#begin(cid),
      recover: ({ cid }, onDone) => this.#recoverFenced(cid, onDone),
      halt: (cid) => this.#halt(cid),
      filling: (mn) => this.#strike(mn),
      changed: () => this.#looksAtReplicas(),
    });
    this.#looksAtReplicas();
    for (let c = 0; c < plan.clients; c++) this.#join(new Array(plan.coroutines).fill(plan.requests));
    this.#planDeaths();
    this.#planNodeDeaths();
  }

  readonly note = (batch: VerbBatch): void => this.master.refill.note(batch);

  fail(kind: string, message: string): void {
    this.findings.push({ kind, message });
  }

  /** Runs to quiescence, or to the first finding. */
  toQuiescence(): void {
    const { world } = this;
    for (const client of [...this.clients]) this.#enter(client);
    while (this.active > 0 || this.#recoveries > 0 || this.master.isChanging) {
      if (!world.step()) {
        this.fail('hang', `nothing happens any more, but ${this.active} coroutines have requests to make`);
        return;
      }
      if (this.findings.length > 0 || this.#isEndless()) return;
      if (world.events % LOOK_EVENTS === 0) this.#lookForHangs();
    }
    // Background work ends too, by itself: what is freed is freed, and nobody waits for ever.
    for (const endNs = world.nowNs + RESTLESS_NS; world.step(); ) {
      if (this.#isEndless()) return;
      if (world.nowNs < endNs) continue;
      this.fail(
        'restless',
        `background work goes on ${RESTLESS_NS / 1e6} ms after the last request has ended`,
      );
      return;
    }
  }

  /** No run is without end, whatever goes round in circles in it. */
  #isEndless(): boolean {
    if (this.world.events < this.#eventsMax) return false;
    this.fail(
      'hang',
      `it is not over after ${this.world.events} events: ${this.active} coroutines have requests to make, ` +
        `${this.#recoveries} clients are to be recovered${this.master.isChanging ? ', the view changes' : ''}`,
    );
    return true;
  }

  /** The client that has lost a link dies, as the master would have it. */
  lost(client: SwarmClient): void {
    client.die();
  }

  stopped(client: SwarmClient, report: StopReport): void {
    this.master.stopped(client.cid, report);
  }

  #enter({ cid, state }: SwarmClient): void {
    this.master.join({ cid, place: state.clientIndex });
  }

  #begin(cid: number): void {
    const client = this.clients.find((one) => one.cid === cid) as SwarmClient;
    // Who joined while the view changed begins in the new one.
    client.state.view.change(this.view.number, this.view.dead());
    client.failover.note(this.master.isFilling);
    client.start(this.plan.thinkNs);
  }

  #lookForHangs(): void {
    for (const client of this.clients) {
      if (client.isDead || this.world.nowNs - client.oldestNs() < HANG_NS) continue;
      this.fail('hang', `a request of client ${client.cid} has had no answer for ${HANG_NS / 1e6} ms`);
    }
  }

  #join(left: readonly number[]): SwarmClient {
    const client = new SwarmClient(this, {
      cid: ++this.#cids,
      left,
      thread: this.clients.length * this.plan.coroutines,
      buffer: buffers.take(clientBytes(this.plan.coroutines)),
    });
    client.onDeath = () => this.#died(client);
    this.clients.push(client);
    return client;
  }

  /** Some die after so many batches, some lose a link at some time, and die of it. */
  #planDeaths(): void {
    const { random } = this.load;
    const { plan, world } = this;
    const estimate = plan.coroutines * plan.requests * 4;
    for (let d = 0; d < Math.min(plan.crashes, plan.clients); d++) {
      const client = this.clients[d];
      if (d >= plan.cuts) {
        client.diesAfter = 1 + random.below(estimate);
        continue;
      }
      const mn = random.below(plan.pool.nodes);
      const roundTripNs = 2 * plan.latency.leastNs + plan.latency.jitterNs + plan.thinkNs / 2;
      world.at(1 + random.below((estimate / plan.coroutines) * roundTripNs), () => {
        this.cuts++;
        this.trace?.note(`client ${client.cid} loses its link to MN ${mn}`);
        client.fabric.cutLink(mn, true);
      });
    }
  }

  #died(client: SwarmClient): void {
    this.crashes++;
    this.#recoveries++;
    const { plan, world } = this;
    const open = [...client.row.keys()].filter((i) => client.isWriting(i));
    if (plan.nodeCrashes > 0) this.roundsBereft += open.length;
    this.#onRecovered.set(client.cid, () => {
      this.writesActive -= open.length;
      this.#recoveries--;
      if (client.left.some((left) => left > 0)) this.#enter(this.#join([...client.left]));
    });
    world.at(world.nowNs + 1 + this.load.random.below(plan.leaseNs), () => this.master.lose(client.cid));
  }

  /**
   * One replica was left of some subtable, so that requests there have logged no old value; it may have
   * several by now, where places were filled again.
   */
  #isUnlogged = false;

  /** The view has changed. */
  #looksAtReplicas(): void {
    const { view, plan } = this;
    for (let s = 0; s < plan.pool.subtablesMax; s++)
      if (view.slotCount(s * view.geometry.subtableBytes) === 1) this.#isUnlogged = true;
  }

  /** What is to happen when a dead client has been recovered. */
  readonly #onRecovered = new Map<number, () => void>();

  #recoverFenced(dead: number, onDone: () => void): void {
    let walked = 0;
    const onWalked = (entries: number): void => {
      if (!this.#isUnlogged) return;
      if (walked === 0) this.restsUnlogged += this.plan.coroutines;
      this.entriesUnlogged += Math.max(0, entries - walked);
      walked = Math.max(walked, entries);
    };
    this.#recover(dead, onWalked, () => {
      this.#recoverers.delete(dead);
      onDone();
      this.#onRecovered.get(dead)?.();
    });
  }

  #halt(dead: number): void {
    const recoverer = this.#recoverers.get(dead);
    this.#recoverers.delete(dead);
    recoverer?.halt();
    this.trace?.note(`the recovery of client ${dead} is halted`);
  }

  /** Nodes that are still to die. */
  readonly #doomed: number[] = [];

  /** Nodes die at some time; the master hears of it a while later. */
  #planNodeDeaths(): void {
    const { plan, world } = this;
    const { random } = this.load;
    const alive = Array.from({ length: plan.pool.nodes }, (_, mn) => mn);
    for (let d = 0; d < plan.nodeCrashes; d++) {
      const [mn] = alive.splice(random.below(alive.length), 1);
      this.#doomed.push(mn);
      world.at(1 + random.below(plan.requests * 4 * this.#roundTripNs), () => this.#killNode(mn));
    }
  }

  get #roundTripNs(): number {
    const { latency, thinkNs } = this.plan;
    return 2 * latency.leastNs + latency.jitterNs + thinkNs / 2;
  }

  #killNode(mn: number): void {
    const { world } = this;
    if (!this.#doomed.includes(mn)) return;
    this.#doomed.splice(this.#doomed.indexOf(mn), 1);
    this.nodeCrashes++;
    this.trace?.note(`MN ${mn} DIES`);
    world.nodes.kill(mn);
    const toldNs = world.nowNs + 1 + this.load.random.below(this.plan.leaseNs);
    world.at(toldNs, () => this.master.nodeDied(mn));
    this.#sendSpare(toldNs);
  }

  #sendSpare(fromNs: number): void {
    const { refillNs = 0 } = this.plan;
    if (refillNs > 0) this.world.at(fromNs + refillNs, () => this.master.refill.come());
  }

  /** A place is filled: now is the time for others to die, and for who is to have it. */
  #strike(mn: number): void {
    const { plan, world } = this;
    const { random } = this.load;
    const { fillDeath = 0 } = plan;
    const soon = (what: () => void): void => {
      if (!random.happens(fillDeath)) return;
      world.at(world.nowNs + random.below(random.pick([5, 20, 80]) * this.#roundTripNs), what);
    };
    if (this.master.refill.deaths < SPARE_DEATHS_MAX)
      soon(() => this.master.refill.kill(mn, () => this.#sendSpare(world.nowNs)));
    soon(() => {
      const [next] = this.#doomed;
      if (next !== undefined) this.#killNode(next);
    });
    soon(() => {
      const busy = this.clients.filter((one) => !one.isDead && one.posted > 0 && one.left.some((n) => n > 0));
      if (busy.length > 0 && this.crashes < FILL_DEATHS_MAX + plan.crashes) random.pick(busy).die();
    });
  }

  #recover(dead: number, onWalked: (entries: number) => void, onDone: () => void): void {
    const { plan, world } = this;
    const { random } = this.load;
    const recoverer = new Recoverer(this, {
      cid: ++this.#cids,
      dead,
      // While it claims blocks and recovers requests, or anywhere in what comes behind.
      diesAfter: random.happens(plan.recovererCrash)
        ? random.between(1, random.pick([8, 80]))
        : Number.POSITIVE_INFINITY,
      onWalked,
      onDone: () => {
        for (const result of recoverer.results) this.recovered[result]++;
        onDone();
      },
      onDeath: () => {
        this.recovererCrashes++;
        world.at(world.nowNs + 1 + random.below(plan.leaseNs), () => {
          recoverer.fabric.fence();
          // Halted meanwhile: the master will have it begin again.
          if (this.#recoverers.get(dead) === recoverer) this.#recover(dead, onWalked, onDone);
        });
      },
    });
    recoverer.fabric.onPost = this.note;
    this.#recoverers.set(dead, recoverer);
    recoverer.start();
  }

  /** The last requests of each client, a line each, for a failing seed. */
  lastRequests(perClient: number): string[] {
    const { history, plan } = this;
    const lines: string[] = [];
    const shown = new Map<number, number>();
    for (let row = history.count - 1; row >= 0; row--) {
      const client = Math.floor(history.client[row] / plan.coroutines);
      const count = shown.get(client) ?? 0;
      if (count === perClient) continue;
      shown.set(client, count + 1);
      lines.push(this.#describe(row));
    }
    return lines.reverse();
  }

  #describe(row: number): string {
    const { history, plan } = this;
    const thread = history.client[row];
    const client = this.clients[Math.floor(thread / plan.coroutines)];
    const kind = Object.keys(RequestKind)[history.operation[row]];
    const ended = ['OK', 'NOT_FOUND', 'EXISTS', 'UNAVAILABLE', 'NO_MEMORY', 'INDEX_FULL', 'no answer'];
    const value = history.valueWritten[row] >= 0 ? ` value ${history.valueWritten[row]}` : '';
    const read = history.valueRead[row] >= 0 ? ` (value ${history.valueRead[row]})` : '';
    return (
      `client ${client.cid}${client.isDead ? ' (died)' : ''} coroutine ${thread % plan.coroutines}: ` +
      `${kind} key ${history.key[row]}${value} -> ${ended[history.outcome[row]]}${read}, ` +
      `${history.invocationNs[row]} to ${history.responseNs[row]} ns`
    );
  }
}

/** Formatted memory nodes that serve calls. */
function formatted(plan: SwarmPlan, trace: Trace | undefined): SimMemory {
  const { nodeBytes } = new Geometry(plan.pool);
  const sizes = Array.from({ length: plan.pool.nodes + memoriesOf(plan) }, () => nodeBytes);
  return serveNodes(trace === undefined ? new SimMemory(sizes) : new WatchedMemory(sizes, trace), plan.pool);
}
