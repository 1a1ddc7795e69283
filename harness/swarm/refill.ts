/**
 * Spares that take the places of dead memory nodes in a swarm's cluster, in virtual time: the simulator's twin
 * of `fusee/host/filling.ts` and `spare-desk.ts`, around the product's own `Filler` and `Usher`.
 *
 * Fresh memories are nodes beyond those of the pool; when one has its vote, it takes the other's place.
 */
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { View } from '../../fusee/layout/index.js';
import {
  type Assignment,
  Filler,
  fillBytes,
  Marks,
  pageBytesOf,
  type Repair,
  type Repairer,
  type Spares,
  type Usher,
} from '../../fusee/master/index.js';
import { NodeService } from '../../fusee/node/index.js';
import type { Context } from '../../fusee/ops/index.js';
import type { Op, VerbBatch, Word } from '../../fusee/verbs/index.js';
import type { SwarmPlan } from './plan.js';
import type { Run } from './run.js';

/** From one try to copy to the next. */
const PAUSE_NS = 50_000;
/** So little may be left when a node joins: pools are small, and rounds of copying are to happen. */
const STOPPED_BYTES = 8192;

/** What the swarm's master does for it. */
export interface RefillHands {
  offer(mn: number): void;
  withdraw(mn: number): void;
  filled(mn: number): void;
  /** The node is dead that it has joined as. */
  nodeDied(mn: number): void;
  readonly spares: Spares;
  /** Spares have changed. */
  provide(): void;
  /** The filling of a place has begun. */
  begun(mn: number): void;
  /** Runs an op on a fabric of this file's own, or on the master's. */
  drive<T>(fabric: SimFabric, steps: Op<T>, onEnd: (result: T) => void): void;
}

/** What the master reaches the pool with. */
export interface RefillTools {
  readonly fabric: SimFabric;
  readonly cx: Context;
  readonly repairer: Repairer;
  readonly usher: Usher;
}

type Outcome = ReadonlyMap<number, Word> | undefined | 'more';

interface Fresh {
  readonly spare: number;
  readonly mn: number;
  readonly fabric: SimFabric;
  readonly view: View;
  readonly filler: Filler;
  readonly place: { mn: number };
  isCopying: boolean;
}

/** Fills places, one at a time. */
export class Refill {
  readonly #run: Run;
  readonly #hands: RefillHands;
  readonly #marks: Marks;
  /** By place, those that stand ready. */
  readonly #ready = new Map<number, Fresh>();
  /** The one whose place is filled. */
  #fresh: Fresh | undefined;
  #spares = 0;
  /** Numbers of memories that nobody has used: copies for one that died may still be under way. */
  readonly #vacant: number[];
  /** Nodes that have joined, times that more was copied first, and spares that died. */
  joined = 0;
  rounds = 0;
  deaths = 0;

  constructor(run: Run, hands: RefillHands) {
    this.#run = run;
    this.#hands = hands;
    this.#marks = this.#newMarks();
    this.#vacant = Array.from({ length: memoriesOf(run.plan) }, (_, i) => run.plan.pool.nodes + i);
  }

  #newMarks(): Marks {
    const { nodeBytes } = this.#run.view.geometry;
    // Fresh memories are written to by the copying alone.
    return new Marks({ nodes: this.#run.plan.pool.nodes, nodeBytes });
  }

  /** A spare has come. */
  come(): void {
    this.#hands.spares.add(++this.#spares);
    this.#hands.provide();
  }

  /** It is to have a place: it says that it stands ready for that. */
  assign({ spare, mn }: Assignment): void {
    const fresh = this.#format(spare, mn);
    this.#ready.set(mn, fresh);
    if (fresh.filler.isBereft) this.#dismiss(fresh);
    else this.#hands.offer(mn);
  }

  /**
   * The process that is to have the place dies, or that has it by now.
   * @returns false: there is none any more.
   */
  kill(mn: number, onHeard: () => void): boolean {
    const { world, trace } = this.#run;
    const fresh = this.#ready.get(mn);
    if (fresh === undefined) return false;
    this.deaths++;
    trace?.note(`the process that is to be MN ${mn} DIES`);
    world.nodes.kill(fresh.place.mn);
    const heardNs = world.nowNs + 1 + world.random.below(this.#run.plan.leaseNs);
    world.at(heardNs, () => {
      // It may have come in first, or be about to.
      if (fresh.place.mn === mn) this.#hands.nodeDied(mn);
      else this.#dismiss(fresh);
      onHeard();
    });
    return true;
  }

  #format(spare: number, mn: number): Fresh {
    const { world, plan, view: its } = this.#run;
    const target = this.#vacant.pop() as number;
    world.nodes.renew(target);
    const place = { mn: target };
    const service = new NodeService(plan.pool, mn, {
      read: (offset, into, at, lengthBytes) => world.nodes.read(place.mn, offset, into, at, lengthBytes),
      write: (offset, from, at, lengthBytes) => world.nodes.write(place.mn, offset, from, at, lengthBytes),
    });
    service.format();
    world.nodes.serve(target, (request) => service.handle(request));
    const pieceBytes = pageBytesOf(its.geometry.nodeBytes);
    const { rpcTimeoutNs } = plan;
    const fabric = new SimFabric(world, { localBytes: fillBytes(pieceBytes) + 4096, rpcTimeoutNs });
    const view = new View(its.geometry, its);
    const of = { local: fabric.local, view, mn, target, pieceBytes, stoppedBytes: STOPPED_BYTES };
    return { spare, mn, fabric, view, filler: new Filler(of), place, isCopying: false };
  }

  /** For whoever writes on the master's behalf. */
  readonly note = (batch: VerbBatch): void => {
    if (this.#fresh !== undefined) this.#marks.add(batch);
  };

  /** A client is fenced. */
  lost(): void {
    this.#fresh?.filler.startOver();
  }

  fill(mn: number): void {
    const fresh = this.#ready.get(mn);
    // It has been dismissed since: the view without it follows.
    if (fresh === undefined) return;
    if (this.#fresh !== fresh) {
      this.#fresh = fresh;
      this.#marks.take();
      fresh.view.change(this.#run.view.number, this.#run.view.dead());
      this.#hands.begun(mn);
    }
    if (!fresh.isCopying) this.#copy(fresh);
  }

  #copy(fresh: Fresh): void {
    const { world } = this.#run;
    fresh.isCopying = true;
    this.#hands.drive(fresh.fabric, fresh.filler.copy(false), (isDone) => {
      fresh.isCopying = false;
      if (this.#ready.get(fresh.mn) !== fresh) return;
      if (isDone) this.#hands.filled(fresh.mn);
      else if (fresh.filler.isBereft) this.#dismiss(fresh);
      else world.at(world.nowNs + PAUSE_NS, () => this.#copy(fresh));
    });
  }

  /** Its process is refused, and ends. */
  #dismiss(fresh: Fresh): void {
    const { spare, mn, place, filler } = fresh;
    const { spares } = this.#hands;
    if (this.#ready.get(mn) !== fresh) return;
    this.#run.world.nodes.kill(place.mn);
    this.#leave(fresh);
    if (filler.isBereft) spares.bereft(mn);
    this.#hands.withdraw(mn);
    spares.remove(spare);
    this.#hands.provide();
  }

  /** It stands ready no more: it has its place, or is gone. */
  #leave({ mn }: Fresh): void {
    this.#ready.delete(mn);
    if (this.#fresh?.mn === mn) this.#fresh = undefined;
  }

  /** Everybody has stopped: what was written to is known. */
  stopped({ reports, view }: Repair): void {
    const fresh = this.#fresh;
    if (fresh === undefined) return;
    for (const { marks } of reports.values()) if (marks !== undefined) this.#merge(fresh, marks);
    this.#merge(fresh, this.#marks.take());
    if (fresh.view.number < view.number && view.filling !== undefined)
      fresh.view.change(view.number, view.dead);
  }

  #merge({ filler }: Fresh, told: readonly string[]): void {
    const marks = this.#newMarks();
    if (!marks.merge(told)) throw new Error('a client has told what are no marks');
    filler.changed(marks);
  }

  /** The last steps; `onEnd` is told what was decided, undefined when a node was silent, or `more`. */
  join(repair: Repair, tools: RefillTools, onEnd: (outcome: Outcome) => void): void {
    const fresh = this.#fresh;
    const outcome = fresh === undefined ? undefined : this.#judge(fresh, repair);
    if (fresh === undefined || outcome !== 'ready') onEnd(outcome === 'more' ? 'more' : undefined);
    else this.#finish(fresh, repair, tools, onEnd);
  }

  #judge(fresh: Fresh, { isAgain }: Repair): 'ready' | 'more' | 'bereft' {
    const { filler } = fresh;
    filler.rounds++;
    if (filler.isBereft) {
      this.#dismiss(fresh);
      return 'bereft';
    }
    if (filler.isNearlyDone || isAgain) return 'ready';
    this.rounds++;
    return 'more';
  }

  #finish(fresh: Fresh, repair: Repair, tools: RefillTools, onEnd: (outcome: Outcome) => void): void {
    this.#hands.drive(tools.fabric, this.#prepare(repair, tools), (decided) => {
      if (decided === undefined) {
        onEnd(undefined);
        return;
      }
      this.#merge(fresh, this.#marks.take());
      this.#hands.drive(fresh.fabric, fresh.filler.copy(true), (isCopied) => {
        if (isCopied) this.#swap(fresh, repair, tools, (isIn) => onEnd(isIn ? decided : undefined));
        else onEnd(undefined);
      });
    });
  }

  *#prepare(repair: Repair, { repairer, usher }: RefillTools): Op<ReadonlyMap<number, Word> | undefined> {
    const decided = yield* repairer.settle(repair);
    if (decided === undefined) return undefined;
    return (yield* usher.announce(repair.joins as number, repair.view)) ? decided : undefined;
  }

  #swap(fresh: Fresh, repair: Repair, tools: RefillTools, onEnd: (isIn: boolean) => void): void {
    const { mn, spare } = fresh;
    const { world, trace } = this.#run;
    const { view } = tools.cx.client;
    const before = new View(view.geometry, view);
    world.nodes.swap(mn, fresh.place.mn);
    fresh.place.mn = mn;
    view.change(repair.view.number, repair.view.dead, true);
    this.#hands.drive(tools.fabric, this.#bringIn(mn, before, tools.usher), (isIn) => {
      if (isIn) {
        this.joined++;
        this.#leave(fresh);
        this.#hands.spares.remove(spare);
        trace?.note(`MN ${mn} is another process, filled, and has its vote`);
      } else this.#dismiss(fresh);
      onEnd(isIn);
    });
  }

  /** Clients of a swarm have their ids without asking for them. */
  *#bringIn(mn: number, before: View, usher: Usher): Op<boolean> {
    if (!(yield* usher.admit(mn, { before, members: [] }))) return false;
    yield* usher.clearTables();
    return true;
  }
}

/** Spares that die in a run at most. */
export const SPARE_DEATHS_MAX = 3;

/** Memories of spares that a run has: one for each that may come. */
export const memoriesOf = ({ refillNs = 0, nodeCrashes }: SwarmPlan): number =>
  refillNs === 0 ? 0 : nodeCrashes + SPARE_DEATHS_MAX;
