/**
 * A memory node: formats its memory and serves the few requests that need its weak CPU (FUSEE section 4.1,
 * 4.4).
 *
 * Only this service changes the block tables of the regions whose primary it is; everything else in its
 * memory is changed by clients, through a fabric. It knows no fabric: it is handed its memory and single
 * requests.
 */
import {
  BLOCK_ENTRY_BYTES,
  BUCKET_BYTES,
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  Geometry,
  type PoolConfig,
  SUPERBLOCK_USED_BYTES,
  View,
  writeSuperblock,
} from '../layout/index.js';
import {
  RPC_FRAME_BYTES,
  RpcOperation,
  type RpcRequest,
  type RpcResponse,
  RpcStatistic,
  RpcStatus,
  readRequest,
  writeResponse,
} from '../memory/index.js';

/** How the service reaches its own memory. */
export interface NodeMemory {
  /** Copies `lengthBytes` bytes at `offset` into `into` at `at`. */
  read(offset: number, into: Uint8Array, at: number, lengthBytes: number): void;
  /** Copies `lengthBytes` bytes of `from` at `at` to `offset`. */
  write(offset: number, from: Uint8Array, at: number, lengthBytes: number): void;
}

/**
 * Answers remembered per client, so that a repeated request is answered alike and allocates nothing (H12).
 */
const REMEMBERED = 64;

/** The service of memory node `mn` of a pool. */
export class NodeService {
  readonly geometry: Geometry;
  readonly view: View;
  readonly mn: number;
  readonly #memory: NodeMemory;
  /** Regions whose primary is this node, and per region the first block that may be free. */
  readonly #regions: number[] = [];
  readonly #firstFree: number[] = [];
  readonly #answers = new Map<number, RpcResponse[]>();
  #lastCid = 0;
  #blocksUsed = 0;

  constructor(config: PoolConfig, mn: number, memory: NodeMemory) {
    this.geometry = new Geometry(config);
    this.view = new View(this.geometry);
    this.mn = mn;
    this.#memory = memory;
    for (let region = 0; region < this.geometry.regions; region++) {
      if (this.view.regionMn(region, 0) !== mn) continue;
      this.#regions.push(region);
      this.#firstFree.push(0);
    }
  }

  /** Writes superblock and bucket headers into fresh, zeroed memory. */
  format(): void {
    const { config, subtableBytes } = this.geometry;
    const superblock = new Uint8Array(SUPERBLOCK_USED_BYTES);
    writeSuperblock(superblock, config, this.mn);
    this.#memory.write(0, superblock, 0, superblock.length);
    const header = new Uint32Array(2);
    const bytes = new Uint8Array(header.buffer);
    this.#formatDirectory(header, bytes);
    header[0] = Math.log2(config.subtables);
    for (let subtable = 0; subtable < config.subtables; subtable++) {
      const slot = subtable * subtableBytes;
      let hosted = false;
      for (let r = 0; r < config.indexReplicas; r++) if (this.view.slotMn(slot, r) === this.mn) hosted = true;
      if (!hosted) continue;
      header[1] = subtable;
      for (let at = 0; at < subtableBytes; at += BUCKET_BYTES)
        this.#memory.write(this.geometry.indexBase + slot + at, bytes, 0, 8);
    }
  }

  /** The directory, on the nodes that have it: version 0, and an entry for each subtable of the start. */
  #formatDirectory(w: Uint32Array, bytes: Uint8Array): void {
    const { subtables, indexReplicas } = this.geometry.config;
    const depth = Math.log2(subtables);
    let hosted = false;
    for (let r = 0; r < indexReplicas; r++) if (this.view.directoryMn(r) === this.mn) hosted = true;
    if (!hosted) return;
    w.set([0, depth]);
    this.#memory.write(DIRECTORY_VERSION_OFFSET, bytes, 0, 8);
    w.set([depth + 1, 0]);
    for (let s = 0; s < subtables; s++) this.#memory.write(directoryOffset(s), bytes, 0, 8);
  }

  /** Serves one request; a malformed one is answered BAD_REQUEST, never dropped. */
  handle(request: Uint8Array): Uint8Array {
    const response = new Uint8Array(RPC_FRAME_BYTES);
    const wellFormed = request.length === RPC_FRAME_BYTES;
    const answer = wellFormed ? this.#answer(readRequest(request, 0)) : refuse(0, RpcStatus.BAD_REQUEST);
    writeResponse(response, 0, answer);
    return response;
  }

  #answer(request: RpcRequest): RpcResponse {
    if (request.operation === RpcOperation.STATS) {
      const value = request.argument === RpcStatistic.CLIENTS ? this.#lastCid : this.#blocksUsed;
      return { status: RpcStatus.OK, requestId: request.requestId, pointer: 0, value };
    }
    const remembered = this.#answers.get(request.cid) ?? [];
    const before = remembered.find((a) => a.requestId === request.requestId);
    if (before !== undefined) return before;
    const answer = this.#serve(request);
    if (answer.status !== RpcStatus.OK) return answer;
    remembered.push(answer);
    if (remembered.length > REMEMBERED) remembered.shift();
    this.#answers.set(request.cid, remembered);
    return answer;
  }

  #serve(request: RpcRequest): RpcResponse {
    const { requestId } = request;
    switch (request.operation) {
      case RpcOperation.JOIN:
        return { status: RpcStatus.OK, requestId, pointer: 0, value: ++this.#lastCid };
      case RpcOperation.ALLOC:
        // A class of which no cell fits a block would take block after block in vain.
        if (request.argument > this.geometry.largestClass() || request.cid === 0)
          return refuse(requestId, RpcStatus.BAD_REQUEST);
        return this.#allocate(request);
      default:
        return refuse(requestId, RpcStatus.BAD_REQUEST);
    }
  }

  #allocate({ cid, requestId, argument }: RpcRequest): RpcResponse {
    const { blocksPerRegion, config } = this.geometry;
    const entry = new Uint32Array(2);
    const bytes = new Uint8Array(entry.buffer);
    for (let i = 0; i < this.#regions.length; i++) {
      const table = this.view.tableOffset(this.#regions[i], 0);
      for (let block = this.#firstFree[i]; block < blocksPerRegion; block++) {
        this.#memory.read(table + block * BLOCK_ENTRY_BYTES, bytes, 0, BLOCK_ENTRY_BYTES);
        if (entry[0] !== 0) continue;
        entry[0] = cid;
        entry[1] = argument + 1;
        this.#memory.write(table + block * BLOCK_ENTRY_BYTES, bytes, 0, BLOCK_ENTRY_BYTES);
        this.#firstFree[i] = block + 1;
        this.#blocksUsed++;
        const pointer = this.#regions[i] * config.regionBytes + block * config.blockBytes;
        return { status: RpcStatus.OK, requestId, pointer, value: 0 };
      }
      this.#firstFree[i] = blocksPerRegion;
    }
    return refuse(requestId, RpcStatus.NO_MEMORY);
  }
}

const refuse = (requestId: number, status: number): RpcResponse => ({
  status,
  requestId,
  pointer: 0,
  value: 0,
});
