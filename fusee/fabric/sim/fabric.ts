/** One client's fabric in a simulation. */
import { Field, LocalMemory, Status, UsageError, type VerbBatch } from '../../verbs/index.js';
import type { Fabric } from '../contract.js';
import { crc32cOver } from '../crc32c.js';
import { validateBatch } from '../validate.js';
import type { SimWorld } from './world.js';

/** What one client of a simulation takes. */
export interface SimFabricOptions {
  /** Bytes of registered memory. @default 1 MiB */
  localBytes?: number;
  /** Registered memory to use in place of new one, all zero; its size is `localBytes` then. */
  localBuffer?: ArrayBuffer;
  /** Batches that may be outstanding at once. @default 256 */
  queueCapacity?: number;
  /** A call without an answer FAILs after this time. @default 1 ms */
  rpcTimeoutNs?: number;
}

/**
 * A client of a {@link SimWorld}. Completed batches go to {@link onCompleted} at their virtual time, or,
 * without one, wait for {@link poll}, which moves the world on by one event when nothing is there.
 */
export class SimFabric implements Fabric {
  readonly kind = 'sim';
  readonly local: LocalMemory;
  readonly world: SimWorld;
  /** Number of this client in its world, from 0. */
  readonly index: number;
  /** Bytes of each MN's memory, indexed by MN. */
  readonly memoryBytes: Float64Array;
  readonly rpcTimeoutNs: number;
  /** Called with each completed batch. */
  onCompleted: ((batch: VerbBatch) => void) | null = null;
  onPost: ((batch: VerbBatch) => void) | null = null;
  /** Crashed: nothing completes any more. */
  isCrashed = false;
  /** Fenced: nothing executes any more. */
  isFenced = false;
  /** Per MN: when the last verb posted to it executes, so that none behind it goes ahead. */
  readonly lastNs: Float64Array;
  /** Crashed, or a link was cut at some time: verbs must be looked at one by one. */
  isDisturbed = false;
  /** Per MN: 1 while the link is cut. */
  readonly isCut: Uint8Array;
  /** Per MN: when the link was mended; what was posted until then is lost. */
  readonly mendedNs: Float64Array;
  /** Per MN: 1 when the first verb that a crash lost has been met, so that none behind it executes. */
  readonly isSevered: Uint8Array;
  outstanding = 0;
  readonly #queueCapacity: number;
  readonly #done: VerbBatch[] = [];

  constructor(world: SimWorld, options: SimFabricOptions = {}) {
    const buffer =
      options.localBuffer ?? new ArrayBuffer(Math.ceil((options.localBytes ?? 1 << 20) / 64) * 64);
    this.local = new LocalMemory(buffer, crc32cOver(buffer));
    this.world = world;
    this.index = world.join();
    this.memoryBytes = world.nodes.memoryBytes;
    this.rpcTimeoutNs = options.rpcTimeoutNs ?? 1e6;
    this.#queueCapacity = options.queueCapacity ?? 256;
    this.lastNs = new Float64Array(world.nodes.count);
    this.isCut = new Uint8Array(world.nodes.count);
    this.mendedNs = new Float64Array(world.nodes.count).fill(-1);
    this.isSevered = new Uint8Array(world.nodes.count);
  }

  get mnCount(): number {
    return this.world.nodes.count;
  }

  /**
   * Cuts or mends this client's link to one MN. What is under way when it is cut FAILs, whether it executed
   * or not, and so does all that is posted until it is mended: nothing executes behind a verb that was lost.
   */
  cutLink(mn: number, isCut: boolean): void {
    this.isDisturbed = true;
    this.isCut[mn] = Number(isCut);
    if (!isCut) this.mendedNs[mn] = this.world.nowNs;
  }

  /** True when what was posted to `mn` at `postedNs` is lost to a cut link. */
  isLost(mn: number, postedNs: number): boolean {
    return this.isCut[mn] !== 0 || postedNs <= this.mendedNs[mn];
  }

  /**
   * The client dies. Per MN any prefix of what it had posted still executes, the last WRITE of it perhaps in
   * part, until {@link fence}.
   */
  crash(): void {
    this.isCrashed = true;
    this.isDisturbed = true;
  }

  /** Acknowledged at once: nothing that this client posted executes from now on. */
  fence(): void {
    this.isFenced = true;
  }

  post(batch: VerbBatch): boolean {
    if (this.isFenced || this.isCrashed) throw new UsageError('the fabric is closed: open another one');
    validateBatch(batch, this);
    if (this.outstanding >= this.#queueCapacity) return false;
    this.outstanding++;
    if (this.onPost !== null) this.onPost(batch);
    this.world.launch(this, batch);
    return true;
  }

  poll(done: VerbBatch[]): number {
    if (this.#done.length === 0) this.world.step();
    const count = this.#done.length;
    for (let i = 0; i < count; i++) done[i] = this.#done[i];
    this.#done.length = 0;
    return count;
  }

  nowNs(): number {
    return this.world.nowNs;
  }

  close(): void {
    this.crash();
    this.fence();
    this.outstanding = 0;
    this.#done.length = 0;
  }

  /** A node that died may have executed a verb, and not have answered. */
  #loseAnswers(batch: VerbBatch): void {
    const { nodes, random } = this.world;
    for (let i = 0; i < batch.count; i++) {
      const isLost = !nodes.isAlive(batch.mn(i)) && batch.status(i) === Status.OK && random.happens(0.5);
      if (isLost) batch.setField(i, Field.STATUS, Status.FAIL);
    }
  }

  /** For the world: hands a batch back. */
  complete(batch: VerbBatch): void {
    this.outstanding--;
    if (this.isDisturbed) {
      for (let i = 0; i < batch.count; i++)
        if (this.isLost(batch.mn(i), batch.postedNs)) batch.setField(i, Field.STATUS, Status.FAIL);
    }
    if (this.world.nodes.deadCount > 0) this.#loseAnswers(batch);
    if (this.onCompleted !== null) this.onCompleted(batch);
    else this.#done.push(batch);
  }
}
