/**
 * A lane: one coroutine's way to the weak CPUs, one request at a time, each served at most once (hazard H12).
 *
 * Ids grow with each request. So once a node has answered a request of this lane, no earlier one of this lane
 * can be executed there any more, though its answer was lost: what has become of it can be read.
 */
import { type LocalMemory, type Op, RPC_BYTES, Status, VerbBatch } from '../verbs/index.js';
import {
  type ListedBlock,
  RPC_FRAME_BYTES,
  type RpcAsked,
  type RpcResponse,
  readBlocks,
  readResponse,
  writeRequest,
} from './rpc.js';

/** Times one request is sent to one node before it counts as silent. */
const ATTEMPTS = 3;

/** Requests of one coroutine, under ids that grow. */
export class Lane {
  readonly #cid: number;
  readonly #lane: number;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  readonly #request: number;
  readonly #response: number;
  #requestId = 0;

  constructor(client: { cid: number; local: LocalMemory }, lane: number) {
    this.#cid = client.cid;
    this.#lane = lane;
    this.#local = client.local;
    this.#batch = new VerbBatch(client.local, 1);
    this.#request = client.local.reserve(RPC_FRAME_BYTES);
    this.#response = client.local.reserve(RPC_BYTES);
  }

  /**
   * Asks a node. One round trip; up to {@link ATTEMPTS} when answers are lost.
   * @param how.isBackground no answer waits for it.
   * @returns undefined: the node was silent, and the request may be executed, now or later.
   */
  *ask(
    mn: number,
    what: Omit<RpcAsked, 'cid'>,
    how: { isBackground: boolean; attempts?: number },
  ): Op<RpcResponse | undefined> {
    const { bytes } = this.#local;
    this.#requestId = (this.#requestId + 1) >>> 0;
    const request = { ...what, cid: this.#cid, lane: this.#lane, requestId: this.#requestId };
    for (let attempt = how.attempts ?? ATTEMPTS; attempt > 0; attempt--) {
      writeRequest(bytes, this.#request, request);
      this.#batch
        .reset()
        .rpc(
          mn,
          { local: this.#request, lengthBytes: RPC_FRAME_BYTES },
          { local: this.#response, capacityBytes: RPC_BYTES },
        );
      if (how.isBackground) this.#batch.markBackground();
      yield this.#batch;
      if (this.#batch.status(0) !== Status.OK) continue;
      const response = readResponse(bytes, this.#response);
      // An answer to an earlier try of another request is no answer to this one.
      if (response.requestId !== this.#requestId) continue;
      return response;
    }
    return undefined;
  }

  /** The blocks that the latest answer lists. */
  blocks(): ListedBlock[] {
    return readBlocks(this.#local.bytes, this.#response);
  }
}
