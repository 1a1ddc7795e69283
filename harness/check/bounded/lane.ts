/** One actor of a run: its batch, and which of its verbs have executed. */
import { Field, Opcode, Status, type VerbBatch } from '../../../fusee/verbs/index.js';
import { Digest } from './digest.js';
import type { Actor } from './world.js';

/** Most verbs of a batch: as many as the product's batches hold. */
const VERBS_MAX = 64;

/** What actors that share their memory have been through, in order. */
export class Group {
  /** All results that its actors went on with: what they remember follows from it. */
  readonly history: Digest = new Digest().reset();
  /** Counts the times that one of them went on, and did not merely find that it has to go on waiting. */
  resumes = 0;
}

/** An actor in a run. */
export class Lane {
  readonly actor: Actor;
  readonly index: number;
  readonly group: Group;
  /** A copy of an RPC's request, on its way by itself: it neither dies nor fails. */
  readonly isStray: boolean;
  batch: VerbBatch | null = null;
  isDead = false;
  /** Verbs of the batch that have executed, and how far torn ones have. */
  readonly executed = new Uint8Array(VERBS_MAX);
  readonly progressBytes: number[] = [];
  left = 0;
  /** Bit m: the verbs to MN m are late. */
  delayed = 0;
  /** What the executed verbs of the batch have found, whatever the order they executed in. */
  readonly found = new Digest();
  /** `changes` of the nodes, and `resumes` of the group, as the last poll saw them. */
  polledAt = -1;
  polledResumes = -1;
  /** The poll in hand is the first of its kind, or memory has changed since the last. */
  isNews = true;
  /**
   * What the last poll asked, and what the batch asks if it is a poll: equal when it is the same poll again,
   * maybe with other batches between the two.
   */
  #polled = '';
  #asks = '';

  constructor(actor: Actor, options: { index: number; group: Group; isStray?: boolean }) {
    this.actor = actor;
    this.index = options.index;
    this.group = options.group;
    this.isStray = options.isStray ?? false;
  }

  get isEnded(): boolean {
    return this.batch === null;
  }

  get isPoll(): boolean {
    return this.#asks !== '';
  }

  /** It has asked just this before. */
  get repeatsPoll(): boolean {
    return this.#asks !== '' && this.#asks === this.#polled;
  }

  /** Nothing has executed of the batch. */
  get isUntouched(): boolean {
    return this.batch !== null && this.left === this.batch.count && this.found.a === 0 && this.found.b === 0;
  }

  /** It, or another of its group, has executed something. */
  get hasBegun(): boolean {
    return this.group.resumes > 0 || !this.isUntouched;
  }

  /** Waits for a change: it would only ask again what it has asked since the last one. */
  isParked(changes: number): boolean {
    if (!this.repeatsPoll || !this.isUntouched) return false;
    const hasMoved = this.polledResumes !== this.group.resumes;
    return !hasMoved && (this.batch?.count === 0 || this.polledAt === changes);
  }

  /** The first verb in posting order that has not executed and is not late, or -1. */
  head(): number {
    const { batch, executed, delayed } = this;
    if (batch === null) return -1;
    for (let i = 0; i < batch.count; i++)
      if (executed[i] === 0 && ((delayed >>> batch.mn(i)) & 1) === 0) return i;
    return -1;
  }

  /** The first verb to an MN that has not executed, or -1. */
  headTo(mn: number): number {
    const { batch, executed } = this;
    if (batch === null) return -1;
    for (let i = 0; i < batch.count; i++) if (executed[i] === 0 && batch.mn(i) === mn) return i;
    return -1;
  }

  /** There is a verb to another MN that is not late. */
  hasOther(mn: number): boolean {
    const { batch, executed, delayed } = this;
    if (batch === null) return false;
    for (let i = 0; i < batch.count; i++) {
      const other = batch.mn(i);
      if (executed[i] === 0 && other !== mn && ((delayed >>> other) & 1) === 0) return true;
    }
    return false;
  }

  /** To be called ahead of each verb: the first of a poll notes what there is to see. */
  begin(changes: number): void {
    if (!this.isUntouched || this.#asks === '') return;
    this.isNews = !this.repeatsPoll || this.polledAt !== changes;
    this.polledAt = changes;
    this.polledResumes = this.group.resumes;
  }

  /** Takes a batch to execute. */
  post(batch: VerbBatch | null): void {
    if (this.#asks !== '') this.#polled = this.#asks;
    this.#asks = batch !== null && (batch.isPoll || batch.count === 0) ? askedBy(batch) : '';
    this.batch = batch;
    this.delayed = 0;
    this.found.a = this.found.b = 0;
    this.left = batch?.count ?? 0;
    if (batch === null) return;
    if (batch.count > VERBS_MAX)
      throw new RangeError(`a batch of ${batch.count} verbs; at most ${VERBS_MAX}`);
    for (let i = 0; i < batch.count; i++) {
      this.executed[i] = 0;
      this.progressBytes[i] = 0;
      batch.setField(i, Field.STATUS, Status.PENDING);
    }
  }

  /** Takes in all that tells how the lane can go on, its group's history apart. */
  addTo(digest: Digest, changes: number): void {
    if (this.isDead) {
      digest.add(1);
      return;
    }
    const waits = this.repeatsPoll ? 1 : 0;
    const polled = this.polledAt === changes ? 2 : 0;
    const heard = this.polledResumes === this.group.resumes ? 4 : 0;
    digest
      .add(8 | waits | polled | heard)
      .add(this.delayed)
      .addDigest(this.found)
      .add(this.left);
  }
}

/** Tear points of verb `i`: the first and last word of its place in memory, and the one in the middle. */
export function tearPoints(batch: VerbBatch, i: number): number[] {
  const lengthBytes = batch.field(i, Field.LENGTH);
  if (batch.opcode(i) > Opcode.WRITE || lengthBytes <= 1) return [];
  const remote = batch.remote(i);
  const first = 8 - (remote % 8);
  const last = lengthBytes - ((remote + lengthBytes) % 8 || 8);
  const half = first + Math.floor((last - first) / 16) * 8;
  return [...new Set([first, half, last])].filter((cut) => cut > 0 && cut < lengthBytes);
}

function askedBy(batch: VerbBatch): string {
  let asked = 'asks';
  for (let i = 0; i < batch.count; i++) asked += ` ${batch.opcode(i)} ${batch.mn(i)} ${batch.remote(i)}`;
  return asked;
}
