/**
 * Fresh processes that take the places of dead memory nodes in a swarm's cluster, in virtual time: the
 * simulator's twin of `fusee/host/filling.ts`, around the product's own `Filler` and `Usher`.
 *
 * The fresh memory is one node more than the pool has; when it has its vote, the two take each other's place.
 */
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { View } from '../../fusee/layout/index.js';
import {
  Filler,
  fillBytes,
  Marks,
  pageBytesOf,
  type Repair,
  type Repairer,
  type Usher,
} from '../../fusee/master/index.js';
import { NodeService } from '../../fusee/node/index.js';
import type { Context } from '../../fusee/ops/index.js';
import type { Op, VerbBatch, Word } from '../../fusee/verbs/index.js';
import type { Run } from './run.js';

/** From one try to copy, or to offer itself, to the next. */
const PAUSE_NS = 50_000;
/** So little may be left when a node joins: pools are small, and rounds of copying are to happen. */
const STOPPED_BYTES = 8192;

/** What the swarm's master does for it. */
export interface RefillHands {
  offer(mn: number): void;
  withdraw(mn: number): void;
  filled(mn: number): void;
  isDead(mn: number): boolean;
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
  #fresh: Fresh | undefined;
  #isFilling = false;
  /** Nodes that have joined, and times that more was copied first. */
  joined = 0;
  rounds = 0;

  constructor(run: Run, hands: RefillHands) {
    this.#run = run;
    this.#hands = hands;
    this.#marks = this.#newMarks();
  }

  /** The number of the fresh memory. */
  get #spare(): number {
    return this.#run.plan.pool.nodes;
  }

  #newMarks(): Marks {
    const { nodeBytes } = this.#run.view.geometry;
    // The fresh memory is written to by the copying alone.
    return new Marks({ nodes: this.#run.plan.pool.nodes, nodeBytes });
  }

  /** A fresh process stands ready for the place of a node that has died: it says so, now or later. */
  start(mn: number): void {
    const { world } = this.#run;
    if (this.#fresh !== undefined || !this.#hands.isDead(mn)) {
      world.at(world.nowNs + PAUSE_NS, () => this.start(mn));
      return;
    }
    const fresh = this.#format(mn);
    if (fresh.filler.isBereft) return;
    this.#fresh = fresh;
    this.#hands.offer(mn);
  }

  #format(mn: number): Fresh {
    const { world, plan, view: its } = this.#run;
    world.nodes.renew(this.#spare);
    const place = { mn: this.#spare };
    const service = new NodeService(plan.pool, mn, {
      read: (offset, into, at, lengthBytes) => world.nodes.read(place.mn, offset, into, at, lengthBytes),
      write: (offset, from, at, lengthBytes) => world.nodes.write(place.mn, offset, from, at, lengthBytes),
    });
    service.format();
    world.nodes.serve(this.#spare, (request) => service.handle(request));
    const pieceBytes = pageBytesOf(its.geometry.nodeBytes);
    const { rpcTimeoutNs } = plan;
    const fabric = new SimFabric(world, { localBytes: fillBytes(pieceBytes) + 4096, rpcTimeoutNs });
    const view = new View(its.geometry, its);
    const target = this.#spare;
    const of = { local: fabric.local, view, mn, target, pieceBytes, stoppedBytes: STOPPED_BYTES };
    return { mn, fabric, view, filler: new Filler(of), place, isCopying: false };
  }

  /** For whoever writes on the master's behalf. */
  readonly note = (batch: VerbBatch): void => {
    if (this.#isFilling) this.#marks.add(batch);
  };

  /** A client is fenced. */
  lost(): void {
    if (this.#isFilling) this.#fresh?.filler.startOver();
  }

  fill(): void {
    const fresh = this.#fresh as Fresh;
    if (!this.#isFilling) {
      this.#isFilling = true;
      this.#marks.take();
      fresh.view.change(this.#run.view.number, this.#run.view.dead());
    }
    if (!fresh.isCopying) this.#copy(fresh);
  }

  #copy(fresh: Fresh): void {
    const { world } = this.#run;
    fresh.isCopying = true;
    this.#hands.drive(fresh.fabric, fresh.filler.copy(false), (isDone) => {
      fresh.isCopying = false;
      if (this.#fresh !== fresh) return;
      if (isDone) this.#hands.filled(fresh.mn);
      else if (fresh.filler.isBereft) this.#dismiss(fresh);
      else world.at(world.nowNs + PAUSE_NS, () => this.#copy(fresh));
    });
  }

  /** Its process is refused, and ends. */
  #dismiss(fresh: Fresh): void {
    this.#run.world.nodes.kill(fresh.place.mn);
    this.#fresh = undefined;
    this.#isFilling = false;
    this.#hands.withdraw(fresh.mn);
  }

  /** Everybody has stopped: what was written to is known. */
  stopped({ reports, view }: Repair): void {
    const fresh = this.#fresh;
    if (fresh === undefined || !this.#isFilling) return;
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
    const { mn } = fresh;
    const { world, trace } = this.#run;
    const { view } = tools.cx.client;
    const before = new View(view.geometry, view);
    world.nodes.swap(mn, this.#spare);
    fresh.place.mn = mn;
    view.change(repair.view.number, repair.view.dead, true);
    this.#hands.drive(tools.fabric, this.#bringIn(mn, before, tools.usher), (isIn) => {
      if (isIn) {
        this.joined++;
        this.#fresh = undefined;
        this.#isFilling = false;
        trace?.note(`MN ${mn} is another process, filled, and has its vote`);
      } else this.#dismiss(fresh);
      onEnd(isIn);
    });
  }

  *#bringIn(mn: number, before: View, usher: Usher): Op<boolean> {
    // Clients of a swarm have their ids without asking for them.
    if (!(yield* usher.admit(mn, { before, members: [] }))) return false;
    yield* usher.clearTables();
    return true;
  }
}
