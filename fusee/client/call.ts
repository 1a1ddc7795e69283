/** Single batches and RPCs outside any coroutine: joining, leaving, statistics. Never on the hot path. */
import { randomInt } from 'node:crypto';
import type { Fabric } from '../fabric/contract.js';
import {
  RPC_FRAME_BYTES,
  type RpcAsked,
  type RpcResponse,
  RpcStatus,
  readResponse,
  writeRequest,
} from '../memory/index.js';
import { FabricError, Status, VerbBatch } from '../verbs/index.js';

const TRIES = 3;

interface Frames {
  readonly batch: VerbBatch;
  readonly request: number;
  readonly response: number;
}

const framesOf = new WeakMap<Fabric, Frames>();

/**
 * Posts one batch and waits for it. Only while nothing else polls the fabric.
 * @throws FabricError when the fabric is closed meanwhile.
 */
export async function complete(fabric: Fabric, batch: VerbBatch): Promise<void> {
  const done: VerbBatch[] = [];
  fabric.post(batch);
  while (fabric.poll(done) === 0) {
    if (fabric.outstanding === 0) throw new FabricError('the fabric was closed while a batch was under way');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Sends one request to a node's weak CPU and waits for the answer; repeated under the same id when none
 * comes. Only requests that may be repeated: they have no lane.
 * @throws FabricError when the node is silent.
 */
export async function ask(fabric: Fabric, mn: number, what: RpcAsked): Promise<RpcResponse> {
  let frames = framesOf.get(fabric);
  if (frames === undefined) {
    const { local } = fabric;
    frames = {
      batch: new VerbBatch(local, 1),
      request: local.reserve(RPC_FRAME_BYTES),
      response: local.reserve(RPC_FRAME_BYTES),
    };
    framesOf.set(fabric, frames);
  }
  const { batch, request, response } = frames;
  const requestId = randomInt(1, 2 ** 32 - 1);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    writeRequest(fabric.local.bytes, request, { ...what, requestId });
    batch
      .reset()
      .rpc(
        mn,
        { local: request, lengthBytes: RPC_FRAME_BYTES },
        { local: response, capacityBytes: RPC_FRAME_BYTES },
      );
    await complete(fabric, batch);
    if (batch.status(0) !== Status.OK) continue;
    const answer = readResponse(fabric.local.bytes, response);
    if (answer.requestId === requestId) return answer;
  }
  const reason = fabric.reasonOf?.(mn);
  const why = reason === undefined ? '' : ` (${reason})`;
  throw new FabricError(`node ${mn} did not answer within ${TRIES} tries${why}; is its process alive?`);
}

/** As {@link ask}. @throws FabricError also when the node refuses. */
export async function call(fabric: Fabric, mn: number, what: RpcAsked): Promise<RpcResponse> {
  const answer = await ask(fabric, mn, what);
  if (answer.status === RpcStatus.OK) return answer;
  throw new FabricError(`node ${mn} refused request ${what.operation} with status ${answer.status}`);
}
