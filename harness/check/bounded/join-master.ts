/** The master of a join world: the product's own, whose repairs, copies and recoveries are one thread. */
import { View } from '../../../fusee/layout/index.js';
import {
  type Effect,
  Filler,
  fillBytes,
  type Marks,
  Master,
  REPAIR_BYTES,
  type Repair,
  Repairer,
  USHER_BYTES,
  Usher,
} from '../../../fusee/master/index.js';
import { recoverClient } from '../../../fusee/recovery/index.js';
import { type Op, VerbBatch, type Word } from '../../../fusee/verbs/index.js';
import { Host } from './actors.js';
import { Digest } from './digest.js';
import { type Channel, type JoiningClient, newMarks } from './joining-client.js';
import { type BoundedPool, CLIENT_BYTES } from './pool.js';
import type { Actor } from './world.js';

/** Bytes of one piece: a page that clients mark. */
const PIECE_BYTES = 4096;
const MASTER_CID = 150;

/** What is filled, and what goes wrong. */
export interface JoinWorldOptions {
  /** The place that is filled. */
  readonly mn: number;
  /** A node that dies at any verb: the one that is to join, or another. */
  readonly dies?: number;
  /** So little may be left to be copied when everybody stops; 0: more is copied first. @default all */
  readonly stoppedBytes?: number;
  /** What a naive master leaves out. */
  readonly naive?: 'nobody notes what is written to' | 'nobody stops';
}

/** The view at the start: of a pool that has lost a node. */
export function withoutNode(pool: BoundedPool, ...dead: readonly number[]): View {
  const view = new View(pool.view.geometry);
  view.change(2, dead);
  return view;
}

const MASTER_BYTES = CLIENT_BYTES + REPAIR_BYTES + USHER_BYTES + fillBytes(PIECE_BYTES) + 4096;

/** The product's master, whose work is done by one thread. */
export class JoinMaster implements Actor {
  readonly name = 'master';
  /** What it was told, and when. */
  readonly heard: Digest = new Digest().reset();
  readonly #pool: BoundedPool;
  readonly #options: JoinWorldOptions;
  readonly #clients: readonly JoiningClient[];
  readonly #master: Master;
  readonly #host: Host;
  readonly #repairer: Repairer;
  readonly #usher: Usher;
  readonly filler: Filler;
  readonly #sources: View;
  readonly #marks: Marks;
  readonly #idle: VerbBatch;
  readonly #steps: Iterator<VerbBatch, unknown>;
  readonly #works: (() => Op<void>)[] = [];
  #decided: ReadonlyMap<number, Word> = new Map();
  #isWhole = false;
  #hasDied = false;
  /** What is posted now is a client's or a repair's, not a copy. */
  #isMarked = true;

  constructor(pool: BoundedPool, clients: readonly JoiningClient[], options: JoinWorldOptions, view: View) {
    this.#pool = pool;
    this.#clients = clients;
    this.#options = options;
    const { mn, stoppedBytes } = options;
    this.#host = new Host(pool, { cid: MASTER_CID, view, local: pool.memory(MASTER_BYTES) });
    const { local, coroutines } = this.#host;
    const { cx } = coroutines[0];
    this.#repairer = new Repairer(cx);
    this.#usher = new Usher({ lane: cx.allocator.lane, view, local });
    this.#sources = withoutNode(pool, mn);
    const of = { local, view: this.#sources, mn, target: mn, pieceBytes: PIECE_BYTES };
    this.filler = new Filler({ ...of, ...(stoppedBytes === undefined ? {} : { stoppedBytes }) });
    this.#marks = newMarks(pool);
    this.#idle = new VerbBatch(local, 1);
    const members = clients.map(({ host: { cid } }) => ({ cid, place: cid - 1, isDead: false }));
    this.#master = new Master({ leaseNs: 0 }, { view: { number: 2, dead: [mn] }, members });
    for (const client of clients) {
      client.channel.onStopped = (report) =>
        this.#tell(client.host.cid, () => this.#master.stopped(client.host.cid, report));
      client.channel.onLeft = (marks) => {
        this.#merge(marks);
        this.#tell(client.host.cid, () => this.#master.leave(client.host.cid));
      };
    }
    this.#steps = this.#run();
  }

  get view(): { readonly dead: readonly number[] } {
    return this.#master.view;
  }

  next(): VerbBatch | null {
    const { done, value } = this.#steps.next();
    if (done === true) return null;
    if (this.#isMarked) this.#marks.add(value);
    return value;
  }

  nodeDied(mn: number): void {
    this.#hasDied = true;
    const isJoiner = mn === this.#options.mn && this.#master.view.dead.includes(mn);
    this.#tell(1000 + mn, () => (isJoiner ? this.#master.withdraw(mn) : this.#master.nodeDied(mn)));
  }

  /** A client has died, and is fenced at once. */
  lose(cid: number): void {
    this.#clients[cid - 1].hasEnded = true;
    this.filler.startOver();
    this.#tell(2000 + cid, () => this.#master.lose(cid));
  }

  #tell(what: number, event: () => readonly Effect[]): void {
    this.heard.add(what);
    this.#pool.nodes.changes++;
    this.#apply(event());
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    const { naive } = this.#options;
    switch (effect.do) {
      case 'stop':
        this.#channelOf(effect.cid).stop(naive === 'nobody stops');
        return;
      case 'adopt': {
        const { view } = this.#master;
        const isMarking = view.filling !== undefined && naive !== 'nobody notes what is written to';
        this.#channelOf(effect.cid).adopt({
          view,
          decided: this.#decided,
          isWhole: this.#isWhole,
          isMarking,
        });
        return;
      }
      case 'fence':
        this.#apply(this.#master.fenced(effect.cid));
        return;
      case 'halt':
        this.#apply(this.#master.halted(effect.cid));
        return;
      case 'repair':
        this.#works.push(() => this.#repair(effect.repair));
        return;
      case 'fill':
        this.#works.push(() => this.#fill());
        return;
      case 'recover':
        this.#works.push(() => this.#recover(effect.member.cid));
        return;
      default:
        return;
    }
  }

  #channelOf(cid: number): Channel {
    return this.#clients[cid - 1].channel;
  }

  *#run(): Op<void> {
    // Node services begin each run in the view of before.
    this.#apply(this.#master.offer(this.#options.mn));
    for (;;) {
      const work = this.#works.shift();
      if (work !== undefined) yield* work();
      else if (this.#isOver) return;
      else yield this.#wait();
    }
  }

  get #isOver(): boolean {
    const isAwaited = this.#options.dies !== undefined && !this.#hasDied;
    return !isAwaited && this.#clients.every(({ hasEnded }) => hasEnded) && this.#master.isSettled;
  }

  #wait(): VerbBatch {
    const b = this.#idle.reset();
    b.isPoll = true;
    const { config } = this.#pool;
    let mn = 0;
    while (this.#master.view.dead.includes(mn) && mn < config.nodes - 1) mn++;
    b.read8(mn, 0);
    return b;
  }

  *#fill(): Op<void> {
    const { view } = this.#host.state;
    this.#sources.change(view.number, view.dead());
    this.#isMarked = false;
    const isDone = yield* this.filler.copy(false);
    this.#isMarked = true;
    if (isDone) this.#tell(1, () => this.#master.filled(this.#options.mn));
    // A node is dead, and the view without it is on its way.
    else if (this.filler.isBereft) this.#tell(2, () => this.#master.withdraw(this.#options.mn));
    else if (this.#pool.nodes.isAlive(this.#options.mn)) {
      yield this.#wait();
      this.#works.push(() => this.#fill());
    }
  }

  *#recover(cid: number): Op<void> {
    const { cx } = this.#host.coroutines[0];
    cx.arm();
    const isDone = yield* recoverClient(cx, { cid, index: cid - 1 });
    if (isDone) this.#tell(3, () => this.#master.recovered(cid));
    else if (!this.#master.isChanging) this.#works.push(() => this.#recover(cid));
  }

  *#repair(repair: Repair): Op<void> {
    const { state, coroutines } = this.#host;
    const { view } = state;
    coroutines[0].cx.arm();
    const before = new View(view.geometry);
    before.change(repair.before.number, repair.before.dead);
    view.change(repair.before.number, repair.before.dead);
    for (const { marks } of repair.reports.values()) this.#merge(marks);
    this.#merge(this.#marks.take());
    let decided: ReadonlyMap<number, Word> | undefined | 'more';
    if (repair.joins === undefined) {
      view.change(repair.view.number, repair.view.dead, repair.isWhole);
      decided = yield* this.#repairer.repair(repair, before);
    } else decided = yield* this.#join(repair, before);
    if (decided === 'more') {
      this.#decided = new Map();
      this.#isWhole = false;
      this.#tell(4, () => this.#master.repaired(true, { isToCopyMore: true }));
      return;
    }
    if (decided !== undefined) this.#decided = decided;
    this.#isWhole = repair.isWhole;
    this.#tell(5, () => this.#master.repaired(decided !== undefined));
    const { joins } = repair;
    // It died when all had been done: whoever looks at nodes finds it.
    if (decided !== undefined && joins !== undefined && !this.#pool.nodes.isAlive(joins))
      this.#tell(7, () => this.#master.nodeDied(joins));
  }

  *#join(repair: Repair, before: View): Op<ReadonlyMap<number, Word> | undefined | 'more'> {
    const filler = this.filler;
    const mn = this.#options.mn;
    const { view } = this.#host.state;
    filler.rounds++;
    if (filler.isBereft || !this.#pool.nodes.isAlive(mn)) {
      this.#tell(6, () => this.#master.withdraw(mn));
      return undefined;
    }
    if (!filler.isNearlyDone && !repair.isAgain) return 'more';
    const decided = yield* this.#repairer.settle(repair);
    if (decided === undefined || (yield* this.#usher.announce(mn, repair.view)) !== true) return undefined;
    this.#merge(this.#marks.take());
    this.#isMarked = false;
    const isCopied = yield* filler.copy(true);
    this.#isMarked = true;
    if (!isCopied) return undefined;
    view.change(repair.view.number, repair.view.dead, true);
    if (yield* this.#usher.admit(mn, { before, members: [] })) {
      yield* this.#usher.clearTables();
      return decided;
    }
    view.change(before.number, before.dead());
    return undefined;
  }

  #merge(told: readonly string[] | undefined): void {
    if (told === undefined) return;
    const marks = newMarks(this.#pool);
    marks.merge(told);
    this.filler.changed(marks);
  }
}
