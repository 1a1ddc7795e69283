/**
 * Frames of the few requests that a memory node's weak CPU serves (FUSEE section 4.1): 32 bytes each way.
 *
 *     request:  operation u32 | CID u32 | request id u32 | argument u32 | pointer f64 | reserved
 *     response: status u32 | request id u32 | pointer f64 | value f64 | reserved
 *
 * A request may arrive twice: the id makes it safe to repeat (hazard H12).
 */
export const RPC_FRAME_BYTES = 32;

/** Requests: a client id, a block, counts for statistics. */
export const RpcOperation = { JOIN: 1, ALLOC: 2, STATS: 3 } as const;
/** What STATS counts, by its argument: blocks handed out, or clients that have joined. */
export const RpcStatistic = { BLOCKS: 0, CLIENTS: 1 } as const;
/** Answers. */
export const RpcStatus = { OK: 1, NO_MEMORY: 2, BAD_REQUEST: 3 } as const;

export interface RpcRequest {
  readonly operation: number;
  readonly cid: number;
  readonly requestId: number;
  readonly argument: number;
}

export interface RpcResponse {
  readonly status: number;
  readonly requestId: number;
  /** ALLOC: the block's pointer. */
  readonly pointer: number;
  /** JOIN: the new client id. STATS: the count asked for. */
  readonly value: number;
}

const view = (bytes: Uint8Array, at: number): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset + at, RPC_FRAME_BYTES);

/** Writes a request's frame at `at`. */
export function writeRequest(bytes: Uint8Array, at: number, request: RpcRequest): void {
  const v = view(bytes, at);
  v.setUint32(0, request.operation, true);
  v.setUint32(4, request.cid, true);
  v.setUint32(8, request.requestId, true);
  v.setUint32(12, request.argument, true);
  v.setFloat64(16, 0, true);
  v.setFloat64(24, 0, true);
}

/** Reads a request's frame at `at`. */
export function readRequest(bytes: Uint8Array, at: number): RpcRequest {
  const v = view(bytes, at);
  return {
    operation: v.getUint32(0, true),
    cid: v.getUint32(4, true),
    requestId: v.getUint32(8, true),
    argument: v.getUint32(12, true),
  };
}

/** Writes a response's frame at `at`. */
export function writeResponse(bytes: Uint8Array, at: number, response: RpcResponse): void {
  const v = view(bytes, at);
  v.setUint32(0, response.status, true);
  v.setUint32(4, response.requestId, true);
  v.setFloat64(8, response.pointer, true);
  v.setFloat64(16, response.value, true);
  v.setFloat64(24, 0, true);
}

/** Reads a response's frame at `at`. */
export function readResponse(bytes: Uint8Array, at: number): RpcResponse {
  const v = view(bytes, at);
  return {
    status: v.getUint32(0, true),
    requestId: v.getUint32(4, true),
    pointer: v.getFloat64(8, true),
    value: v.getFloat64(16, true),
  };
}
