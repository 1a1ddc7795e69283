/**
 * Frames of the few requests that a memory node's weak CPU serves (FUSEE section 4.1): 32 bytes there, 32 to
 * 112 bytes back.
 *
 *     request:  operation u32 | CID u32 | request id u32 | argument u32 | pointer f64 | lane u32 | other u32
 *     response: status u32 | request id u32 | pointer f64 | value f64 | blocks u32 | 0 u32 | a word per block
 *
 *     operation             argument      pointer  other     answered: pointer  value
 *     JOIN, CID 0           nonce lo               nonce hi            place    CID
 *     JOIN, a granted CID                 place
 *                           lane: HAS_MASTER, or 0
 *     HOLDERS               first place                                         next place, and holders
 *     LEAVE                 for whom
 *     RETIRE                whose CID
 *     STATS                 statistic                                           count
 *     ALLOC                 size class           URGENT or 0           block             orphans there
 *     FREE                                block
 *     LIST                  whose CID     cursor                                next cursor, and blocks
 *     TRANSFER              from CID      block    to CID
 *     HAND_ON               whose CID     cursor   view                           next cursor
 *     VIEW                  number        dead of nodes 32 to 63, as bits; other: of nodes 0 to 31
 *     PART                  another process has this one's place: it may end
 *     EXPEL                 this node counts as dead: it was silent for too long, and is to end
 *
 * HAND_ON leaves all blocks of a dead client to nobody in particular, if the node is of that view.
 *
 * LEAVE is a client's own, or of one that its recoverer has declared dead by RETIRE.
 *
 * An ALLOC that is URGENT may be granted a block of the node's reserve (`node/block-tables.ts`).
 *
 * A request may arrive twice, and late (hazard H12). ALLOC, FREE, LIST, TRANSFER, RETIRE and HAND_ON are at
 * most once: a *lane* (a coroutine of a client) has one request to a node under way, under ids that grow, and
 * the node remembers the latest one's answer. The others are made so that repeating them does no harm
 * (`node/members.ts`).
 */

/** Bytes of a request, and of a response that lists no blocks. */
export const RPC_FRAME_BYTES = 32;

/** Requests: coming and going, blocks, counts for statistics. */
export const RpcOperation = {
  JOIN: 1,
  ALLOC: 2,
  STATS: 3,
  LEAVE: 4,
  FREE: 5,
  LIST: 6,
  TRANSFER: 7,
  RETIRE: 8,
  VIEW: 9,
  PART: 10,
  EXPEL: 11,
  HOLDERS: 12,
  HAND_ON: 13,
} as const;
/** What STATS counts, by its argument: blocks that are owned, or clients that have ever joined. */
export const RpcStatistic = { BLOCKS: 0, CLIENTS: 1 } as const;
/**
 * Answers. STALE: late, its lane has asked something else since, or its client has left; nothing was done.
 * FULL: the client table has no free place.
 */
export const RpcStatus = { OK: 1, NO_MEMORY: 2, BAD_REQUEST: 3, STALE: 4, FULL: 5 } as const;

/** The owner of blocks that a client left behind when it left; no client ever has this CID. */
export const ORPHAN = 0xffffffff;

/** A JOIN of a client that will tell a master that it is there. */
export const HAS_MASTER = 1;

/** An ALLOC for a DELETE that has found no memory otherwise. */
export const URGENT = 1;

/** Lanes of one client: one for each of its at most 256 coroutines, and some for its background work. */
export const LANES_MAX = 272;

/** Blocks that one response can list: it has at most 112 bytes. */
export const LISTED_MAX = 10;

/** A request; the head of this file says what its fields mean to each operation. */
export interface RpcRequest {
  readonly operation: number;
  readonly cid: number;
  readonly requestId: number;
  readonly argument: number;
  readonly pointer: number;
  readonly lane: number;
  readonly other: number;
}

/** A request as it is asked for: what is left out is 0. */
export type RpcAsked = Pick<RpcRequest, 'operation' | 'cid'> & Partial<RpcRequest>;

/** A response, without the blocks that it lists: {@link readBlocks}. */
export interface RpcResponse {
  readonly status: number;
  readonly requestId: number;
  /** ALLOC: the block's pointer. JOIN: the place in the client table. */
  readonly pointer: number;
  /** JOIN: the new client id. STATS: the count asked for. LIST, HAND_ON: the next cursor, -1 at the end. */
  readonly value: number;
}

/** A block, as LIST tells it. */
export interface ListedBlock {
  readonly pointer: number;
  readonly sizeClass: number;
}

/** A client that holds a place, as HOLDERS lists it: in the form of a block. */
export const holderAsBlock = ({ cid, place }: { cid: number; place: number }): ListedBlock => ({
  pointer: cid * BLOCK_UNIT,
  sizeClass: place,
});

/** The same, read back. */
export const holderOf = ({ pointer, sizeClass }: ListedBlock): { cid: number; place: number } => ({
  cid: pointer / BLOCK_UNIT,
  place: sizeClass,
});

/**
 * A listed block is one double: its pointer, which is a multiple of 1024 since blocks are no smaller, plus
 * its size class, of which there are fewer.
 */
const BLOCK_UNIT = 1024;

const view = (bytes: Uint8Array, at: number, lengthBytes: number = RPC_FRAME_BYTES): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset + at, lengthBytes);

/** Writes a request's frame at `at`. */
export function writeRequest(bytes: Uint8Array, at: number, request: RpcAsked): void {
  const v = view(bytes, at);
  v.setUint32(0, request.operation, true);
  v.setUint32(4, request.cid, true);
  v.setUint32(8, request.requestId ?? 0, true);
  v.setUint32(12, request.argument ?? 0, true);
  v.setFloat64(16, request.pointer ?? 0, true);
  v.setUint32(24, request.lane ?? 0, true);
  v.setUint32(28, request.other ?? 0, true);
}

/** Reads a request's frame at `at`. */
export function readRequest(bytes: Uint8Array, at: number): RpcRequest {
  const v = view(bytes, at);
  return {
    operation: v.getUint32(0, true),
    cid: v.getUint32(4, true),
    requestId: v.getUint32(8, true),
    argument: v.getUint32(12, true),
    pointer: v.getFloat64(16, true),
    lane: v.getUint32(24, true),
    other: v.getUint32(28, true),
  };
}

/** A response's frame, with the blocks that it lists, at most {@link LISTED_MAX}. */
export function makeResponse(response: RpcResponse, blocks: readonly ListedBlock[] = []): Uint8Array {
  const bytes = new Uint8Array(RPC_FRAME_BYTES + 8 * blocks.length);
  const v = view(bytes, 0, bytes.length);
  v.setUint32(0, response.status, true);
  v.setUint32(4, response.requestId, true);
  v.setFloat64(8, response.pointer, true);
  v.setFloat64(16, response.value, true);
  v.setUint32(24, blocks.length, true);
  blocks.forEach(({ pointer, sizeClass }, i) => {
    v.setFloat64(RPC_FRAME_BYTES + 8 * i, pointer + sizeClass, true);
  });
  return bytes;
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

/** The blocks that the response at `at` lists. */
export function readBlocks(bytes: Uint8Array, at: number): ListedBlock[] {
  const count = Math.min(view(bytes, at).getUint32(24, true), LISTED_MAX);
  const v = view(bytes, at, RPC_FRAME_BYTES + 8 * count);
  return Array.from({ length: count }, (_, i) => {
    const word = v.getFloat64(RPC_FRAME_BYTES + 8 * i, true);
    const sizeClass = word % BLOCK_UNIT;
    return { pointer: word - sizeClass, sizeClass };
  });
}
