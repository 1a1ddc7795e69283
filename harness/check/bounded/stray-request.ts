/** A copy of an RPC's request that arrives by itself, with nobody to take its answer. */

import { executeVerb } from '../../../fusee/fabric/execute-verb.js';
import type { MemoryNodes } from '../../../fusee/fabric/memory-nodes.js';
import { Field, LocalMemory, RPC_BYTES, VerbBatch } from '../../../fusee/verbs/index.js';
import type { Digest } from './digest.js';
import type { Actor } from './world.js';

/** The network's own actor: one request, then nothing. */
export class StrayRequest implements Actor {
  readonly name = 'the network';
  readonly #batch: VerbBatch;
  #isSent = false;

  /** Copies RPC `i` of a batch. */
  constructor(batch: VerbBatch, i: number) {
    const local = new LocalMemory(new ArrayBuffer(1024), () => 0);
    const lengthBytes = batch.field(i, Field.LENGTH);
    const at = local.reserve(RPC_BYTES);
    const from = batch.field(i, Field.LOCAL);
    local.bytes.set(batch.local.bytes.subarray(from, from + lengthBytes), at);
    const answer = { local: local.reserve(RPC_BYTES), capacityBytes: RPC_BYTES };
    this.#batch = new VerbBatch(local, 1);
    this.#batch.rpc(batch.mn(i), { local: at, lengthBytes }, answer);
  }

  next(): VerbBatch | null {
    if (this.#isSent) return null;
    this.#isSent = true;
    return this.#batch;
  }

  /** Lets it arrive at once. */
  serve(nodes: MemoryNodes): void {
    executeVerb(nodes, this.#batch, 0);
  }

  /** Takes in what the request is. */
  addTo(digest: Digest): void {
    const at = this.#batch.field(0, Field.LOCAL);
    digest.add(this.#batch.mn(0)).addBytes(this.#batch.local.bytes, at, this.#batch.field(0, Field.LENGTH));
  }
}
