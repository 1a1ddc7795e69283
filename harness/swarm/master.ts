/**
 * The master of a swarm's cluster, in virtual time: the product's state machine, and its repairs by a fabric
 * of its own. Messages between it and clients take a while, and arrive.
 */
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { IndexCache } from '../../fusee/index/index.js';
import { View } from '../../fusee/layout/index.js';
import {
  type Effect,
  Master,
  type Member,
  REPAIR_BYTES,
  type Repair,
  Repairer,
  type StopReport,
  USHER_BYTES,
  Usher,
} from '../../fusee/master/index.js';
import { ClientState, type Context, makeCoroutine } from '../../fusee/ops/index.js';
import type { Op, VerbBatch, Word } from '../../fusee/verbs/index.js';
import { clientBytes, type SwarmClient } from './client.js';
import { Refill } from './refill.js';
import { buffers } from './registered.js';
import type { Run } from './run.js';
import type { Teller } from './trace.js';

/** From one look at a repair that met silence to the next. */
const PAUSE_NS = 20_000;
/** No client of a swarm has it. */
const CID = 0xfffe;

/** What the cluster does for its master. */
export interface MasterHands {
  /** The client of that id, dead or alive. */
  client(cid: number): SwarmClient | undefined;
  /** A client is in, and may begin. */
  begin(cid: number): void;
  /** Has a fenced client recovered. */
  recover(member: Member, onDone: () => void): void;
  /** Ends a recovery as it stands. */
  halt(cid: number): void;
  /** The filling of a place has begun. */
  filling(mn: number): void;
  /** The view that those go by who look at the memory has changed. */
  changed(): void;
}

/** Drives the master; what it decides reaches clients in virtual time. */
export class SimMaster {
  readonly #run: Run;
  readonly #hands: MasterHands;
  readonly #master = new Master({ leaseNs: 0 });
  readonly refill: Refill;
  /** By the view in force everything has changed. */
  #isWhole = false;
  /** When each client hears what it was told last. */
  readonly #toldNs = new Map<number, number>();
  readonly #teller: Teller = { name: 'master', request: '', key: -1 };
  #tools: Tools | undefined;
  #decided: ReadonlyMap<number, Word> = new Map();
  /** Slots that it has decided so far. */
  slotsDecided = 0;

  constructor(run: Run, hands: MasterHands) {
    this.#run = run;
    this.#hands = hands;
    this.refill = new Refill(run, {
      offer: (mn) => this.#apply(this.#master.offer(mn)),
      withdraw: (mn) => this.#apply(this.#master.withdraw(mn)),
      filled: (mn) => this.#apply(this.#master.filled(mn)),
      nodeDied: (mn) => this.nodeDied(mn),
      spares: this.#master.spares,
      provide: () => this.#apply(this.#master.provide()),
      begun: (mn) => hands.filling(mn),
      drive: (fabric, steps, onEnd) => this.#drive(fabric, steps, onEnd),
    });
  }

  /** A place is being filled: clients note what they write to. */
  get isFilling(): boolean {
    return this.#master.view.filling !== undefined;
  }

  join(member: Member): void {
    this.#apply(this.#master.join(member, this.#run.world.nowNs));
  }

  /** A client's lease has ended. */
  lose(cid: number): void {
    this.#apply(this.#master.lose(cid));
  }

  stopped(cid: number, report: StopReport): void {
    this.#later(() => this.#apply(this.#master.stopped(cid, report)));
  }

  nodeDied(mn: number): void {
    this.#apply(this.#master.nodeDied(mn));
  }

  /** True while a view is being changed. */
  get isChanging(): boolean {
    return this.#master.isChanging;
  }

  #later(what: () => void): void {
    const { world } = this.#run;
    world.at(world.nowNs + this.#delayNs(), what);
  }

  /** What one client is told arrives in order, as on a connection. */
  #tell(cid: number, what: (client: SwarmClient) => void): void {
    const { world } = this.#run;
    const client = this.#hands.client(cid);
    const atNs = Math.max(world.nowNs + this.#delayNs(), (this.#toldNs.get(cid) ?? 0) + 1);
    this.#toldNs.set(cid, atNs);
    world.at(atNs, () => {
      if (client !== undefined && !client.isDead) what(client);
    });
  }

  #delayNs(): number {
    const { world, plan } = this.#run;
    return 1 + world.random.below(plan.latency.leastNs + plan.latency.jitterNs);
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    const { trace } = this.#run;
    switch (effect.do) {
      case 'stop':
        this.#tell(effect.cid, (client) => client.failover.stop());
        return;
      case 'fence':
        this.#hands.client(effect.cid)?.fabric.fence();
        trace?.note(
          `client ${effect.cid} is fenced, and ${this.#openOf(effect.cid)} requests of it recovered`,
        );
        this.refill.lost();
        this.#apply(this.#master.fenced(effect.cid));
        return;
      case 'fill':
        this.refill.fill(effect.mn);
        return;
      case 'assign':
        this.refill.assign(effect);
        return;
      case 'enter':
        // Here a node knows that it has joined by the view that it serves in.
        return;
      case 'repair':
        this.#repair(effect.repair);
        return;
      case 'adopt': {
        const { view } = this.#master;
        const decided = this.#decided;
        const isWhole = this.#isWhole;
        this.#tell(effect.cid, (client) => client.adopt(view, decided, isWhole));
        return;
      }
      case 'welcome':
        this.#hands.begin(effect.cid);
        return;
      case 'recover': {
        const { cid } = effect.member;
        this.#hands.recover(effect.member, () => this.#apply(this.#master.recovered(cid)));
        return;
      }
      case 'halt':
        this.#hands.halt(effect.cid);
        this.#apply(this.#master.halted(effect.cid));
        return;
      case 'store':
        return;
    }
  }

  #openOf(cid: number): number {
    const client = this.#hands.client(cid);
    return [...(client?.row.keys() ?? [])].filter((i) => client?.isWriting(i)).length;
  }

  #repair(repair: Repair): void {
    const run = this.#run;
    this.#tools ??= makeTools(run);
    const { fabric, cx, repairer } = this.#tools;
    const { view } = cx.client;
    const before = new View(view.geometry, run.view);
    before.change(repair.before.number, repair.before.dead);
    view.change(repair.before.number, repair.before.dead);
    this.refill.stopped(repair);
    cx.arm();
    run.trace?.note(`repairs the pool for view ${repair.view.number}`, this.#teller);
    const onEnd = this.#ended(repair);
    if (repair.joins !== undefined) {
      this.refill.join(repair, this.#tools, onEnd);
      return;
    }
    view.change(repair.view.number, repair.view.dead, repair.isWhole);
    this.#drive(fabric, repairer.repair(repair, before), onEnd);
  }

  #ended(repair: Repair): (decided: ReadonlyMap<number, Word> | undefined | 'more') => void {
    const run = this.#run;
    return (decided) => {
      this.#isWhole = decided !== 'more' && repair.isWhole;
      if (decided === 'more') {
        this.#decided = new Map();
        this.#apply(this.#master.repaired(true, { isToCopyMore: true }));
        return;
      }
      if (decided === undefined) {
        run.world.at(run.world.nowNs + PAUSE_NS, () => this.#apply(this.#master.repaired(false)));
        return;
      }
      this.#decided = decided;
      this.slotsDecided += decided.size;
      for (const [slot, { hi, lo }] of decided) run.world.note(slot ^ hi ^ lo);
      // Those who look at the memory when all is over look by the new view.
      run.view.change(repair.view.number, repair.view.dead, repair.isWhole);
      this.#hands.changed();
      this.#apply(this.#master.repaired(true));
    };
  }

  #drive<T>(fabric: SimFabric, steps: Op<T>, onEnd: (result: T) => void): void {
    const { trace } = this.#run;
    const advance = (): void => {
      try {
        const next = steps.next();
        if (next.done) onEnd(next.value);
        else post(next.value);
      } catch (error) {
        this.#run.fail('error', `the master: ${(error as Error).message}`);
      }
    };
    const post = (batch: VerbBatch): void => {
      trace?.posted(batch, this.#teller);
      fabric.post(batch);
    };
    fabric.onCompleted = (batch) => {
      trace?.completed(batch);
      advance();
    };
    advance();
  }
}

/** What the master reaches the pool with, from its first repair on. */
interface Tools {
  readonly fabric: SimFabric;
  readonly cx: Context;
  readonly repairer: Repairer;
  readonly usher: Usher;
}

const TOOLS_BYTES = clientBytes(1) + REPAIR_BYTES + USHER_BYTES;

function makeTools(run: Run): Tools {
  const fabric = new SimFabric(run.world, {
    localBytes: TOOLS_BYTES,
    localBuffer: buffers.take(TOOLS_BYTES),
    rpcTimeoutNs: run.plan.rpcTimeoutNs,
  });
  const view = new View(run.view.geometry, run.view);
  const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
  const state = new ClientState({ view, local: fabric.local, cache, cid: CID, coroutines: 1 });
  const { cx } = makeCoroutine(state, 0);
  fabric.onPost = run.note;
  const usher = new Usher({ lane: cx.allocator.lane, view, local: fabric.local });
  return { fabric, cx, repairer: new Repairer(cx), usher };
}
