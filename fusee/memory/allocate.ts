/**
 * First-level allocation: a client asks a memory node for a block (FUSEE section 4.4).
 *
 * Off the hot path (once per block), so a plain generator: one RPC, then one batch that enters the block in
 * the backup tables and writes its header on every replica. A block is used only after that batch: an owner
 * that recovery could not find would leak it.
 */
import { BLOCK_ENTRY_BYTES, CLASS_LINES, MAX_REPLICAS, type View } from '../layout/index.js';
import { type LocalMemory, type Op, replicaRef, Status, VerbBatch } from '../verbs/index.js';
import { RPC_FRAME_BYTES, RpcOperation, RpcStatus, readResponse, writeRequest } from './rpc.js';
import type { Slab } from './slab.js';

/** How an allocation ended. */
export const Allocation = { OK: 0, NO_MEMORY: 1, UNAVAILABLE: 2 } as const;
export type Allocation = (typeof Allocation)[keyof typeof Allocation];

/** Times one request is sent to one node before the next is asked. */
const ATTEMPTS = 3;

/** Asks for blocks on behalf of one coroutine. */
export class Allocator {
  readonly #view: View;
  readonly #slab: Slab;
  readonly #cid: number;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  readonly #request: number;
  readonly #response: number;
  readonly #entry: number;
  readonly #replicas = replicaRef(MAX_REPLICAS);
  #requestId: number;
  readonly #requestIdStep: number;

  /** Request ids of different coroutines of a client never meet: each steps by the number of coroutines. */
  constructor(
    client: { view: View; slab: Slab; cid: number; local: LocalMemory; coroutines: number },
    coroutine: number,
  ) {
    this.#view = client.view;
    this.#slab = client.slab;
    this.#cid = client.cid;
    this.#local = client.local;
    this.#batch = new VerbBatch(client.local, 2 * MAX_REPLICAS);
    this.#request = client.local.reserve(RPC_FRAME_BYTES);
    this.#response = client.local.reserve(RPC_FRAME_BYTES);
    this.#entry = client.local.reserve(BLOCK_ENTRY_BYTES * 2);
    this.#requestId = coroutine;
    this.#requestIdStep = client.coroutines;
  }

  /**
   * Brings one block of a size class into the slab. Two round trips; more when nodes are full or silent.
   * While one coroutine refills a class its siblings wait, with empty batches.
   */
  *refill(sizeClass: number): Op<Allocation> {
    const slab = this.#slab;
    if (slab.refilling[sizeClass] !== 0) {
      while (slab.refilling[sizeClass] !== 0) {
        this.#batch.reset().isPoll = true;
        yield this.#batch;
      }
      return Allocation.OK;
    }
    slab.refilling[sizeClass] = 1;
    const nodes = this.#view.geometry.config.nodes;
    let outcome: Allocation = Allocation.NO_MEMORY;
    // Clients begin at different nodes, so that their blocks spread.
    for (let i = 0; i < nodes && outcome !== Allocation.OK; i++) {
      const asked = yield* this.#ask((this.#cid + i) % nodes, sizeClass);
      if (asked === Allocation.UNAVAILABLE || asked === Allocation.OK) outcome = asked;
    }
    slab.refilling[sizeClass] = 0;
    return outcome;
  }

  *#ask(mn: number, sizeClass: number): Op<Allocation> {
    const { bytes } = this.#local;
    this.#requestId += this.#requestIdStep;
    const request = {
      operation: RpcOperation.ALLOC,
      cid: this.#cid,
      requestId: this.#requestId,
      argument: sizeClass,
    };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      writeRequest(bytes, this.#request, request);
      this.#batch
        .reset()
        .rpc(
          mn,
          { local: this.#request, lengthBytes: RPC_FRAME_BYTES },
          { local: this.#response, capacityBytes: RPC_FRAME_BYTES },
        );
      yield this.#batch;
      if (this.#batch.status(0) !== Status.OK) continue;
      const response = readResponse(bytes, this.#response);
      // An answer to an earlier try of another request is no answer to this one.
      if (response.requestId !== this.#requestId) continue;
      if (response.status !== RpcStatus.OK) return Allocation.NO_MEMORY;
      return yield* this.#enter(response.pointer, sizeClass);
    }
    return Allocation.UNAVAILABLE;
  }

  /** Enters the block in the backup tables and writes its header, then hands it to the slab. */
  *#enter(pointer: number, sizeClass: number): Op<Allocation> {
    const { regionBytes, blockBytes } = this.#view.geometry.config;
    const region = Math.floor(pointer / regionBytes);
    const entryOffset = ((pointer - region * regionBytes) / blockBytes) * BLOCK_ENTRY_BYTES;
    const words = this.#local.words;
    words[this.#entry >>> 2] = this.#cid;
    words[(this.#entry >>> 2) + 1] = sizeClass + 1;
    const header = this.#entry + BLOCK_ENTRY_BYTES;
    words[header >>> 2] = this.#cid;
    words[(header >>> 2) + 1] = CLASS_LINES[sizeClass];
    const to = this.#view.dataReplicas(pointer, this.#replicas);
    const b = this.#batch.reset();
    for (let r = 0; r < to.count; r++) {
      if (r > 0)
        b.write(to.mn[r], this.#view.tableOffset(region, r) + entryOffset, this.#entry, BLOCK_ENTRY_BYTES);
      b.write(to.mn[r], to.offsetBytes[r], header, 8);
    }
    yield b;
    if (b.anyFailed()) return Allocation.UNAVAILABLE;
    this.#slab.addBlock(sizeClass, pointer);
    return Allocation.OK;
  }
}
