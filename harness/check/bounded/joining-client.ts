/**
 * A client whose view changes, in the bounded explorer: between two batches it hears its master, stops,
 * reports, and goes on as the product does (`fusee/client/failover.ts`; one coroutine, no background work).
 */
import { Marks, type MasterView, type StopReport } from '../../../fusee/master/index.js';
import { type Decisions, isInterrupted, NO_DECISIONS, openRounds } from '../../../fusee/ops/index.js';
import { Fate, fateOf } from '../../../fusee/ops/mend.js';
import { VerbBatch } from '../../../fusee/verbs/index.js';
import type { ClientActor, Host } from './actors.js';
import { Digest } from './digest.js';
import type { HashedNodes } from './hashed-nodes.js';
import type { BoundedPool } from './pool.js';
import type { Actor } from './world.js';

/** A view that a client is to go on in. */
export interface Adopted {
  readonly view: MasterView;
  readonly decided: Decisions;
  readonly isWhole: boolean;
  readonly isMarking: boolean;
}

/** What a master and one client tell each other; {@link digest} is all of it so far, and what was heard. */
export class Channel {
  readonly digest: Digest = new Digest().reset();
  readonly #nodes: HashedNodes;
  isToStop = false;
  /** Not heard yet. */
  adopted: Adopted | undefined;
  onStopped: (report: StopReport) => void = () => {};
  onLeft: (marks: readonly string[] | undefined) => void = () => {};

  constructor(nodes: HashedNodes) {
    this.#nodes = nodes;
  }

  /** @param isIgnored the client does not stop, and is believed to have. */
  stop(isIgnored: boolean): void {
    this.#note(1);
    if (isIgnored) this.onStopped(NOTHING);
    else this.isToStop = true;
  }

  adopt(adopted: Adopted): void {
    this.#note(2);
    this.#note(adopted.view.number);
    this.isToStop = false;
    this.adopted = adopted;
  }

  /** The client has heard something, or told it. */
  heard(what: number): void {
    this.#note(what);
  }

  #note(what: number): void {
    this.digest.add(what);
    // Whoever waits looks again.
    this.#nodes.changes++;
  }
}

const NOTHING: StopReport = { rounds: [], word: { hi: 0, lo: 0 }, directory: { version: 0, depth: 0 } };

/** One client with its program. */
export class JoiningClient implements Actor {
  readonly host: Host;
  readonly channel: Channel;
  readonly name: string;
  readonly group: string;
  readonly mayCrash = true;
  hasEnded = false;
  readonly #inner: ClientActor;
  readonly #idle: VerbBatch;
  #marks: Marks | undefined;
  #isStopped = false;
  /** The answered batch that its request has still to go on with. */
  #answered: VerbBatch | undefined;
  /** Nothing was asked that its request waits for. */
  #isIdle = true;

  constructor(inner: ClientActor, host: Host, channel: Channel) {
    this.#inner = inner;
    this.host = host;
    this.channel = channel;
    this.name = inner.name;
    this.group = inner.group;
    this.#idle = new VerbBatch(host.local, 1);
  }

  executed(): void {
    if (!this.#isIdle) this.#inner.executed();
  }

  told(): string {
    return this.#inner.told();
  }

  next(): VerbBatch | null {
    const { channel } = this;
    if (channel.adopted !== undefined) this.#adopt(channel.adopted);
    if (channel.isToStop && !this.#isStopped) {
      this.#isStopped = true;
      channel.heard(3);
      channel.onStopped(this.#report());
    }
    if (this.#isStopped || !this.#mayGoOn()) return this.#wait();
    this.#answered = undefined;
    const batch = this.#inner.next();
    if (batch === null) {
      this.hasEnded = true;
      channel.heard(4);
      channel.onLeft(this.#marks?.take());
      return null;
    }
    this.#marks?.add(batch);
    this.#answered = batch;
    this.#isIdle = false;
    return batch;
  }

  #adopt({ view, decided, isWhole, isMarking }: Adopted): void {
    const { state, coroutines } = this.host;
    this.channel.adopted = undefined;
    this.channel.heard(5);
    this.#isStopped = false;
    this.#marks = isMarking ? (this.#marks ?? newMarks(this.host.pool)) : undefined;
    state.view.change(view.number, view.dead, isWhole);
    if (!isInterrupted(coroutines[0].cx)) return;
    this.#inner.interrupt(decided);
    this.#answered = undefined;
  }

  /** Has the last batch been answered by nodes that live, or begins its request again without them? */
  #mayGoOn(): boolean {
    if (this.#answered === undefined) return true;
    const fate = fateOf(this.#answered, this.host.state.view);
    if (fate === Fate.BEREFT) this.#inner.interrupt(NO_DECISIONS);
    return fate !== Fate.WAIT;
  }

  #report(): StopReport {
    const { state } = this.host;
    const { version, globalDepth: depth } = state.directory;
    const marks = this.#marks?.take();
    const report = { rounds: openRounds(state), word: state.grace.word, directory: { version, depth } };
    return marks === undefined ? report : { ...report, marks };
  }

  #wait(): VerbBatch {
    const b = this.#idle.reset();
    b.isPoll = true;
    const { view } = this.host.state;
    let mn = 0;
    while (view.isDead(mn)) mn++;
    b.read8(mn, 0);
    this.#isIdle = true;
    return b;
  }
}

/** A set of pages of a pool. */
export function newMarks({ config, view }: BoundedPool): Marks {
  return new Marks({ nodes: config.nodes, nodeBytes: view.geometry.nodeBytes });
}
