/**
 * A fabric whose links can be slow or cut, around any fabric.
 *
 * A verb behind a slow link is posted so much later; one behind a cut link FAILs and is never posted. Verbs
 * of the same batch to other nodes go at once, so a batch is taken apart by node: posted are copies of its
 * descriptors in batches of their own, whose results go back. To one node everything goes in order (rule 2 of
 * the contract): each has a queue, and what is not due yet keeps what comes behind it waiting.
 */
import type { Fabric } from '../../fusee/fabric/contract.js';
import { DESCRIPTOR_BYTES, Field, Opcode, Status, VerbBatch } from '../../fusee/verbs/index.js';
import type { LinkFault } from './plan.js';

/** A batch that was taken apart: what it is, when it was posted, how many of its parts are on their way. */
interface Whole {
  readonly batch: VerbBatch;
  readonly postedNs: number;
  completedNs: number;
  parts: number;
}

/** The verbs of a batch to one node. */
interface Part {
  readonly whole: Whole;
  readonly shadow: VerbBatch;
  /** Their numbers in the batch. */
  readonly verbs: readonly number[];
  readonly dueNs: number;
}

/** Shadows have room for so many verbs or a power of two more. */
const SHADOW_VERBS = 4;

/** One client's fabric with its share of the link faults of a plan. */
export class LinkFabric implements Fabric {
  readonly #inner: Fabric;
  readonly #faults: readonly LinkFault[];
  readonly #windowNs: () => number;
  /** By node, in posting order: parts that are not due, or that the inner fabric had no room for. */
  readonly #queues: Part[][];
  /** Parts that the inner fabric has, by their shadow. */
  readonly #posted = new Map<VerbBatch, Part>();
  /** Batches that came to an end behind cut links alone. */
  readonly #failed: VerbBatch[] = [];
  readonly #spare: VerbBatch[] = [];
  readonly #polled: VerbBatch[] = [];
  #outstanding = 0;

  /** @param windowNs when the window began; Infinity before: faults count from there. */
  constructor(inner: Fabric, faults: readonly LinkFault[], windowNs: () => number) {
    this.#inner = inner;
    this.#faults = faults;
    this.#windowNs = windowNs;
    this.#queues = Array.from({ length: inner.mnCount }, () => []);
  }

  get kind(): Fabric['kind'] {
    return this.#inner.kind;
  }
  get local(): Fabric['local'] {
    return this.#inner.local;
  }
  get mnCount(): number {
    return this.#inner.mnCount;
  }
  get outstanding(): number {
    return this.#outstanding;
  }
  nowNs(): number {
    return this.#inner.nowNs();
  }
  close(): void {
    for (const queue of this.#queues) queue.length = 0;
    this.#outstanding = 0;
    this.#inner.close();
  }

  post(batch: VerbBatch): boolean {
    const now = this.#inner.nowNs();
    const active = this.#faultsAt(now);
    if (this.#isTouched(batch, active)) this.#takeApart(batch, active, now);
    else if (!this.#inner.post(batch)) return false;
    this.#outstanding++;
    return true;
  }

  poll(done: VerbBatch[]): number {
    this.#release(this.#inner.nowNs());
    let count = 0;
    for (const batch of this.#failed) done[count++] = batch;
    this.#failed.length = 0;
    const polled = this.#polled;
    const completed = this.#inner.poll(polled);
    for (let k = 0; k < completed; k++) {
      const part = this.#posted.get(polled[k]);
      if (part === undefined) done[count++] = polled[k];
      else if (this.#takeBack(part)) done[count++] = part.whole.batch;
    }
    this.#outstanding -= count;
    return count;
  }

  #faultsAt(now: number): readonly LinkFault[] {
    const at = now - this.#windowNs();
    return this.#faults.filter(({ fromNs, toNs }) => at >= fromNs && at < toNs);
  }

  #isTouched(batch: VerbBatch, active: readonly LinkFault[]): boolean {
    for (let i = 0; i < batch.count; i++) {
      const mn = batch.mn(i);
      if (this.#queues[mn]?.length > 0 || active.some((fault) => reaches(fault, mn))) return true;
    }
    return false;
  }

  #takeApart(batch: VerbBatch, active: readonly LinkFault[], now: number): void {
    const whole: Whole = { batch, postedNs: now, completedNs: now, parts: 0 };
    const byNode = new Map<number, number[]>();
    for (let i = 0; i < batch.count; i++) {
      const mn = batch.mn(i);
      const isCut = active.some((fault) => fault.kind === 'drop' && reaches(fault, mn));
      if (isCut) batch.setField(i, Field.STATUS, Status.FAIL);
      else byNode.set(mn, [...(byNode.get(mn) ?? []), i]);
    }
    for (const [mn, verbs] of byNode) {
      const byNs = Math.max(0, ...active.map((fault) => (reaches(fault, mn) ? fault.byNs : 0)));
      whole.parts++;
      this.#queues[mn].push({ whole, verbs, shadow: this.#shadowOf(batch, verbs), dueNs: now + byNs });
    }
    if (whole.parts === 0) {
      batch.stamp(now, now);
      this.#failed.push(batch);
    }
    this.#release(now);
  }

  /** Posts what is due, each node's verbs in order. */
  #release(now: number): void {
    for (const queue of this.#queues) {
      while (queue.length > 0 && queue[0].dueNs <= now && this.#inner.post(queue[0].shadow)) {
        const part = queue.shift() as Part;
        this.#posted.set(part.shadow, part);
      }
    }
  }

  #shadowOf(batch: VerbBatch, verbs: readonly number[]): VerbBatch {
    const fits = this.#spare.findIndex(({ capacity }) => capacity >= verbs.length);
    let capacity = SHADOW_VERBS;
    while (capacity < verbs.length) capacity *= 2;
    const shadow = fits < 0 ? new VerbBatch(batch.local, capacity) : this.#spare.splice(fits, 1)[0];
    shadow.reset().count = verbs.length;
    const { words } = batch.local;
    verbs.forEach((verb, i) => {
      const from = descriptorAt(batch, verb);
      words.copyWithin(descriptorAt(shadow, i), from, from + DESCRIPTOR_BYTES / 4);
    });
    return shadow;
  }

  /** Gives a part's results to its batch. True when that is complete with it. */
  #takeBack({ whole, shadow, verbs }: Part): boolean {
    this.#posted.delete(shadow);
    this.#spare.push(shadow);
    const { batch } = whole;
    verbs.forEach((verb, i) => {
      batch.setField(verb, Field.STATUS, shadow.status(i));
      // A plain READ has put its bytes where the batch wants them, which may be its own descriptor.
      if (shadow.opcode(i) === Opcode.READ && shadow.field(i, Field.SWAP_LO) === 0) return;
      batch.setField(verb, Field.FOUND_LO, shadow.field(i, Field.FOUND_LO));
      batch.setField(verb, Field.FOUND_HI, shadow.field(i, Field.FOUND_HI));
    });
    whole.completedNs = Math.max(whole.completedNs, shadow.completedNs);
    if (--whole.parts > 0) return false;
    batch.stamp(whole.postedNs, whole.completedNs);
    return true;
  }
}

const reaches = ({ node }: LinkFault, mn: number): boolean => node === undefined || node === mn;

/** Word number of a verb's descriptor in registered memory. */
const descriptorAt = (batch: VerbBatch, verb: number): number =>
  (batch.offset + (verb + 1) * DESCRIPTOR_BYTES) >>> 2;
