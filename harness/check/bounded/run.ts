/**
 * One run of a world, choice by choice. Generators cannot be cloned, so whoever wants another schedule begins
 * again with a fresh world; this file only says what can happen next (`options.ts`), and lets it happen.
 *
 * Rules of this file:
 * - A step is one verb, or a part of one. When the last verb of a batch has executed, its actor goes on at
 *   once, up to its next batch: what it computes in between nobody can see.
 * - So a request is answered as early as it can be, and counts as begun when its first verb executes: real
 *   time orders as many requests as it ever could.
 * - An actor's state follows from the results of its group's batches, in order; what lies on the nodes and
 *   what the checks remember come on top. That is what {@link Run.digest} takes in.
 */
import { executePart, executeVerb } from '../../../fusee/fabric/execute-verb.js';
import { Field, Opcode, Status, UsageError, type VerbBatch } from '../../../fusee/verbs/index.js';
import { ACTORS_MAX, actorOf, ChoiceKind, COSTS, cutOf, kindOf, NO_VERB, verbOf, WHOLE } from './choice.js';
import { Digest } from './digest.js';
import { HashedNodes } from './hashed-nodes.js';
import { Group, Lane, tearPoints } from './lane.js';
import { StrayRequest } from './stray-request.js';
import type { BoundedWorld } from './world.js';

/** Hears of what executes, for a person. */
export interface Listener {
  /** Verb `i` of the lane's batch has executed up to `toBytes`, or failed; its results stand in the batch. */
  executed(lane: Lane, i: number, toBytes: number): void;
  /** The lane's actor has gone on. */
  resumed(lane: Lane): void;
}

/** A world and what has happened in it. */
export class Run {
  readonly world: BoundedWorld;
  readonly lanes: Lane[] = [];
  /** Index of the actor whose turn it is, or -1. */
  current = -1;
  /** The turn has just passed: nothing has executed since, so it does not pass on. */
  isFresh = false;
  preemptions = 0;
  crashes = 0;
  lostRpcs = 0;
  steps = 0;
  isOver = false;
  /** What was wrong with the start. */
  readonly wrongAtStart: string | undefined;
  readonly #listener: Listener | undefined;
  readonly #groups = new Map<string, Group>();
  readonly #verb = new Digest();

  constructor(world: BoundedWorld, listener?: Listener) {
    this.world = world;
    this.#listener = listener;
    for (const actor of world.actors) {
      const lane = new Lane(actor, {
        index: this.lanes.length,
        group: this.#groupOf(actor.group ?? actor.name),
      });
      this.lanes.push(lane);
    }
    for (const lane of this.lanes) this.wrongAtStart ??= this.#advance(lane);
  }

  /** The actor can execute something, or go on with an empty batch. */
  canGoOn(lane: Lane): boolean {
    return lane.batch !== null && !lane.isDead && !lane.isParked(this.world.nodes.changes);
  }

  /** Lets one choice happen; what is wrong with it, or with the state it led to. */
  apply(choice: number): string | undefined {
    const lane = this.lanes[actorOf(choice)];
    const kind = kindOf(choice);
    this.steps++;
    if ((choice & COSTS) !== 0) this.preemptions++;
    if (lane === undefined)
      throw new UsageError(`the schedule names actor ${actorOf(choice)}: there is none`);
    switch (kind) {
      case ChoiceKind.END:
        this.isOver = true;
        return this.#end();
      case ChoiceKind.TURN:
        this.current = lane.index;
        this.isFresh = true;
        return undefined;
      case ChoiceKind.DELAY:
        lane.delayed |= 1 << verbOf(choice);
        this.isFresh = true;
        return undefined;
      case ChoiceKind.CRASH:
        this.isFresh = false;
        return this.#crash(lane, verbOf(choice), cutOf(choice));
      case ChoiceKind.TEAR:
        this.isFresh = false;
        lane.delayed |= 1 << this.#batch(lane, verbOf(choice)).mn(verbOf(choice));
        return this.#tear(lane, verbOf(choice), cutOf(choice)) ?? this.world.wrongNow?.();
      default:
        this.isFresh = false;
        return this.#run(lane, verbOf(choice), kind) ?? this.world.wrongNow?.();
    }
  }

  /** True when the digest tells states apart, so that they may be pruned. */
  get isHashed(): boolean {
    return this.world.nodes instanceof HashedNodes;
  }

  /** Takes in everything that the rest of the run can depend on, preemptions left apart. */
  digest(into: Digest): Digest {
    const nodes = this.world.nodes as HashedNodes;
    into
      .reset()
      .add(this.current)
      .add(this.isFresh ? 1 : 0)
      .add(this.crashes)
      .add(this.lostRpcs);
    nodes.addTo(into);
    for (const lane of this.lanes) {
      const isForgotten = lane.isDead || (lane.isEnded && this.world.forgetsEnded === true);
      lane.addTo(into, nodes.changes);
      if (!isForgotten) into.addDigest(lane.group.history);
    }
    this.world.addTo?.(into);
    return into;
  }

  #groupOf(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new Group();
      this.#groups.set(name, group);
    }
    return group;
  }

  #batch(lane: Lane, verb: number): VerbBatch {
    const { batch } = lane;
    if (
      batch === null ||
      lane.isDead ||
      (verb !== NO_VERB && (verb >= batch.count || lane.executed[verb] !== 0))
    )
      throw new UsageError(
        `the schedule has ${lane.actor.name} execute verb ${verb}: there is none to execute`,
      );
    return batch;
  }

  #run(lane: Lane, verb: number, kind: ChoiceKind): string | undefined {
    const batch = this.#batch(lane, verb);
    lane.begin(this.world.nodes.changes);
    if (verb !== NO_VERB) {
      lane.delayed &= ~(1 << batch.mn(verb));
      this.#execute(lane, verb, kind);
      if (lane.left > 0) return undefined;
    }
    return this.#resume(lane);
  }

  #execute(lane: Lane, i: number, kind: ChoiceKind): void {
    const batch = lane.batch as VerbBatch;
    const opcode = batch.opcode(i);
    const lengthBytes = batch.field(i, Field.LENGTH);
    if (opcode <= Opcode.WRITE)
      executePart(this.world.nodes, batch, i, { fromBytes: lane.progressBytes[i], toBytes: lengthBytes });
    else if (kind === ChoiceKind.RUN) executeVerb(this.world.nodes, batch, i);
    else this.#failRpc(batch, i, kind);
    lane.executed[i] = 1;
    lane.left--;
    this.#noteFound(lane, i, lane.progressBytes[i], lengthBytes);
  }

  #failRpc(batch: VerbBatch, i: number, kind: ChoiceKind): void {
    this.lostRpcs++;
    const { nodes } = this.world;
    if (kind === ChoiceKind.DUPLICATE || kind === ChoiceKind.LATE) this.#addStray(batch, i);
    if (kind === ChoiceKind.DUPLICATE) executeVerb(nodes, batch, i);
    if (kind === ChoiceKind.LOSE_ANSWER) new StrayRequest(batch, i).serve(nodes);
    if (kind !== ChoiceKind.DUPLICATE) batch.setField(i, Field.STATUS, Status.FAIL);
  }

  #addStray(batch: VerbBatch, i: number): void {
    const actor = new StrayRequest(batch, i);
    const group = new Group();
    actor.addTo(group.history);
    this.#add(new Lane(actor, { index: this.lanes.length, group, isStray: true }));
  }

  #add(lane: Lane): string | undefined {
    if (this.lanes.length === ACTORS_MAX) throw new UsageError(`more than ${ACTORS_MAX} actors in one run`);
    this.lanes.push(lane);
    return this.#advance(lane);
  }

  #tear(lane: Lane, i: number, cut: number): undefined {
    const batch = this.#batch(lane, i);
    const fromBytes = lane.progressBytes[i];
    const toBytes = tearPoints(batch, i)[cut - 1];
    if (toBytes === undefined || toBytes <= fromBytes)
      throw new UsageError(`the schedule tears verb ${i} of ${lane.actor.name} where it cannot be torn`);
    lane.begin(this.world.nodes.changes);
    executePart(this.world.nodes, batch, i, { fromBytes, toBytes });
    lane.progressBytes[i] = toBytes;
    this.#noteFound(lane, i, fromBytes, toBytes);
  }

  /** What a verb, or a part of it, has found, as part of what its actor will go on with. */
  #noteFound(lane: Lane, i: number, fromBytes: number, toBytes: number): void {
    const batch = lane.batch as VerbBatch;
    const opcode = batch.opcode(i);
    const status = batch.status(i);
    const found = this.#verb.reset().add(i).add(fromBytes).add(toBytes).add(status);
    const isFound = status !== Status.FAIL;
    if (isFound && opcode === Opcode.READ)
      found.addBytes(batch.local.bytes, batch.field(i, Field.LOCAL) + fromBytes, toBytes - fromBytes);
    if (isFound && opcode > Opcode.WRITE)
      found
        .add(batch.field(i, Field.FOUND_LO))
        .add(opcode === Opcode.RPC ? 0 : batch.field(i, Field.FOUND_HI));
    if (isFound && opcode === Opcode.RPC)
      found.addBytes(batch.local.bytes, batch.field(i, Field.EXPECT_LO), batch.field(i, Field.FOUND_LO));
    lane.found.join(found);
    lane.actor.executed?.();
    this.#listener?.executed(lane, i, toBytes);
  }

  #resume(lane: Lane): string | undefined {
    const { group } = lane;
    group.history.add(lane.index).addDigest(lane.found);
    const wasPoll = lane.isPoll;
    const wrong = this.#advance(lane);
    // Finding once more that there is nothing to do wakes no sibling: two would keep each other awake.
    if (!wasPoll || lane.isNews || !lane.repeatsPoll) {
      group.resumes++;
      if (lane.polledResumes >= 0) lane.polledResumes++;
    }
    return wrong;
  }

  #advance(lane: Lane): string | undefined {
    try {
      lane.post(lane.actor.next());
      this.#listener?.resumed(lane);
      return undefined;
    } catch (error) {
      lane.post(null);
      return `${lane.actor.name} stops: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #crash(lane: Lane, verb: number, cut: number): string | undefined {
    if (cut !== WHOLE) this.#tear(lane, verb, cut);
    this.crashes++;
    const group = new Group();
    for (const other of this.lanes) {
      if (other.group !== lane.group) continue;
      other.isDead = true;
      group.history.addDigest(other.found).add(other.left);
    }
    group.history.addDigest(lane.group.history);
    const successor = this.world.onCrash?.(lane.actor);
    let wrong: string | undefined;
    if (successor !== undefined) {
      wrong = this.#add(new Lane(successor, { index: this.lanes.length, group }));
      this.#groups.set(successor.group ?? successor.name, group);
    }
    return wrong ?? this.world.wrongNow?.();
  }

  #end(): string | undefined {
    const waiting = this.lanes.filter(
      (lane) => !lane.isEnded && !lane.isDead && lane.actor.isDaemon !== true,
    );
    if (waiting.length === 0) return this.world.wrongAtEnd();
    return `nobody can go on: ${waiting.map((lane) => lane.actor.name).join(', ')} would wait for ever`;
  }
}
