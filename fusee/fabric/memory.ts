/** The fabric without a network: verbs execute at once, in this process, the same way every time. */
import { Field, LocalMemory, Status, UsageError, type VerbBatch } from '../verbs/index.js';
import type { Fabric } from './contract.js';
import { crc32cOver } from './crc32c.js';
import { executeVerb } from './execute-verb.js';
import type { MemoryNodes } from './memory-nodes.js';
import { validateBatch } from './validate.js';

/** What one client of a memory fabric takes. */
export interface MemoryFabricOptions {
  /** Bytes of registered memory. @default 1 MiB */
  localBytes?: number;
  /** Registered memory to use in place of new: zeroed, and a multiple of 64 bytes. */
  localBuffer?: ArrayBuffer;
  /** Batches that may be outstanding at once. @default 256 */
  queueCapacity?: number;
}

/**
 * One client's fabric over shared {@link MemoryNodes}. A batch executes at the {@link poll} that hands it
 * back, verb by verb, in posting order.
 */
export class MemoryFabric implements Fabric {
  readonly kind = 'memory';
  readonly local: LocalMemory;
  readonly nodes: MemoryNodes;
  /** Bytes of each MN's memory, indexed by MN. */
  readonly memoryBytes: Float64Array;
  readonly #queue: VerbBatch[] = [];
  readonly #postedNs: number[] = [];
  readonly #queueCapacity: number;
  readonly #isCut: boolean[];
  #isClosed = false;

  constructor(nodes: MemoryNodes, options: MemoryFabricOptions = {}) {
    const { localBytes = 1 << 20 } = options;
    const buffer = options.localBuffer ?? new ArrayBuffer(Math.ceil(localBytes / 64) * 64);
    this.local = new LocalMemory(buffer, crc32cOver(buffer));
    this.nodes = nodes;
    this.memoryBytes = nodes.memoryBytes;
    this.#queueCapacity = options.queueCapacity ?? 256;
    this.#isCut = new Array(nodes.count).fill(false);
  }

  get mnCount(): number {
    return this.nodes.count;
  }

  get outstanding(): number {
    return this.#queue.length;
  }

  /** Cuts or mends this client's link to one MN: while cut, its verbs FAIL although the MN lives. */
  cutLink(mn: number, isCut: boolean): void {
    this.#isCut[mn] = isCut;
  }

  post(batch: VerbBatch): boolean {
    if (this.#isClosed) throw new UsageError('the fabric is closed: open another one');
    validateBatch(batch, this);
    if (this.#queue.length >= this.#queueCapacity) return false;
    for (let i = 0; i < batch.count; i++) batch.setField(i, Field.STATUS, Status.PENDING);
    this.#queue.push(batch);
    this.#postedNs.push(this.nodes.nowNs);
    return true;
  }

  poll(done: VerbBatch[]): number {
    const count = this.#queue.length;
    for (let b = 0; b < count; b++) {
      const batch = this.#queue[b];
      for (let i = 0; i < batch.count; i++) {
        if (this.#isCut[batch.mn(i)]) batch.setField(i, Field.STATUS, Status.FAIL);
        else executeVerb(this.nodes, batch, i);
      }
      batch.stamp(this.#postedNs[b], ++this.nodes.nowNs);
      done[b] = batch;
    }
    this.#queue.length = 0;
    this.#postedNs.length = 0;
    return count;
  }

  nowNs(): number {
    return this.nodes.nowNs;
  }

  close(): void {
    this.#isClosed = true;
    this.#queue.length = 0;
  }
}
