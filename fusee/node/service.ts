/**
 * A memory node: formats its memory and serves the few requests that need its weak CPU (FUSEE section 4.1,
 * 4.4).
 *
 * Only this service changes the block tables of the regions whose primary it is; everything else in its
 * memory is changed by clients, through a fabric. It knows no fabric: it is handed its memory and single
 * requests.
 */
import {
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
  HAS_MASTER,
  holderAsBlock,
  LANES_MAX,
  LISTED_MAX,
  type ListedBlock,
  makeResponse,
  ORPHAN,
  RPC_FRAME_BYTES,
  RpcOperation,
  type RpcRequest,
  RpcStatistic,
  RpcStatus,
  readRequest,
  URGENT,
} from '../memory/index.js';
import { BlockTables } from './block-tables.js';
import { FULL, Members, STALE } from './members.js';

/** How the service reaches its own memory. */
export interface NodeMemory {
  /** Copies `lengthBytes` bytes at `offset` into `into` at `at`. */
  read(offset: number, into: Uint8Array, at: number, lengthBytes: number): void;
  /** Copies `lengthBytes` bytes of `from` at `at` to `offset`. */
  write(offset: number, from: Uint8Array, at: number, lengthBytes: number): void;
}

/** The service of memory node `mn` of a pool. */
export class NodeService {
  readonly geometry: Geometry;
  readonly view: View;
  readonly mn: number;
  readonly #memory: NodeMemory;
  readonly #tables: BlockTables;
  readonly members: Members = new Members();
  /** Told when another process has taken this one's place. */
  onParted: () => void = () => {};
  /** Told when this node counts as dead, though its process lives: it was silent for too long. */
  onExpelled: () => void = () => {};
  /** Called now and then in what takes long: the node lives. */
  set onBusy(listener: () => void) {
    this.#tables.onRegion = listener;
  }

  constructor(config: PoolConfig, mn: number, memory: NodeMemory) {
    this.geometry = new Geometry(config);
    this.view = new View(this.geometry);
    this.mn = mn;
    this.#memory = memory;
    this.#tables = new BlockTables(this.view, mn, memory);
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
  handle(frame: Uint8Array): Uint8Array {
    if (frame.length !== RPC_FRAME_BYTES) return answer(0, RpcStatus.BAD_REQUEST);
    const request = readRequest(frame, 0);
    const { requestId, cid } = request;
    switch (request.operation) {
      case RpcOperation.STATS: {
        const isClients = request.argument === RpcStatistic.CLIENTS;
        return answer(requestId, RpcStatus.OK, {
          value: isClients ? this.members.lastCid : this.#tables.used,
        });
      }
      case RpcOperation.JOIN:
        return this.#join(request);
      case RpcOperation.VIEW:
        return answer(requestId, this.#adopt(request) ? RpcStatus.OK : RpcStatus.STALE);
      case RpcOperation.PART:
        this.onParted();
        return answer(requestId, RpcStatus.OK);
      case RpcOperation.HOLDERS:
        return this.#listHolders(request);
      case RpcOperation.EXPEL:
        this.onExpelled();
        return answer(requestId, RpcStatus.OK);
      case RpcOperation.LEAVE:
        return this.#leave(request);
      case RpcOperation.ALLOC:
      case RpcOperation.FREE:
      case RpcOperation.LIST:
      case RpcOperation.RETIRE:
      case RpcOperation.HAND_ON:
      case RpcOperation.TRANSFER: {
        if (cid === 0 || cid === ORPHAN || request.lane >= LANES_MAX)
          return answer(requestId, RpcStatus.BAD_REQUEST);
        const answered = this.members.once(request, () => this.#serve(request));
        return answered === STALE ? answer(requestId, RpcStatus.STALE) : answered;
      }
      default:
        return answer(requestId, RpcStatus.BAD_REQUEST);
    }
  }

  /** Learns from the master who is dead: this node may be a primary where it was a backup. */
  #adopt({ argument: number, other, pointer }: RpcRequest): boolean {
    if (number < this.view.number) return false;
    if (number > this.view.number) {
      const { nodes } = this.geometry.config;
      const isDead = (mn: number): boolean => (((mn < 32 ? other : pointer) >>> (mn & 31)) & 1) === 1;
      this.view.change(number, [...Array(nodes).keys()].filter(isDead));
      this.#tables.adopt();
    }
    return true;
  }

  #join({ requestId, cid, argument, other, pointer, lane }: RpcRequest): Uint8Array {
    const hasMaster = lane === HAS_MASTER;
    if ((cid === 0) !== (this.mn === this.view.grantingMn)) return answer(requestId, RpcStatus.BAD_REQUEST);
    if (cid !== 0) {
      const isWelcome = this.members.welcome({ cid, place: pointer }, hasMaster);
      return answer(requestId, isWelcome ? RpcStatus.OK : RpcStatus.STALE, { pointer, value: cid });
    }
    const granted = this.members.join(argument, other, hasMaster);
    if (granted === FULL) return answer(requestId, RpcStatus.FULL);
    if (granted === STALE) return answer(requestId, RpcStatus.STALE);
    return answer(requestId, RpcStatus.OK, { pointer: granted.place, value: granted.cid });
  }

  /** Who may have died on its way to the master is found by this. */
  #listHolders({ requestId, argument }: RpcRequest): Uint8Array {
    const { holders, next } = this.members.holders(argument, LISTED_MAX);
    const blocks = holders.map(holderAsBlock);
    return answer(requestId, RpcStatus.OK, { value: next, blocks });
  }

  /** A client leaves, or is over and done with, says who has recovered it. */
  #leave({ requestId, cid, argument: dead }: RpcRequest): Uint8Array {
    const isRecovered = this.members.isRecovered(dead, cid);
    const hasLeft = dead === 0 || isRecovered ? this.members.leave(dead || cid) : this.members.hasLeft(dead);
    return answer(requestId, hasLeft || isRecovered ? RpcStatus.OK : RpcStatus.BAD_REQUEST);
  }

  /** What is served at most once. */
  #serve(request: RpcRequest): Uint8Array {
    const { requestId, cid, pointer } = request;
    switch (request.operation) {
      case RpcOperation.ALLOC:
        return this.#allocate(request);
      case RpcOperation.FREE:
        // Deviation: in the paper the MN zeroes a block. Its CPU is weak: the client has zeroed it, by
        // WRITEs.
        return answer(requestId, this.#tables.free(pointer, cid) ? RpcStatus.OK : RpcStatus.BAD_REQUEST);
      case RpcOperation.LIST:
        return this.#list(request);
      case RpcOperation.RETIRE:
        return this.#retire(request);
      case RpcOperation.HAND_ON:
        return this.#handOn(request);
      default:
        return this.#transfer(request);
    }
  }

  #allocate({ requestId, cid, argument, other }: RpcRequest): Uint8Array {
    // A class of which no cell fits a block would take block after block in vain.
    if (argument > this.geometry.largestClass()) return answer(requestId, RpcStatus.BAD_REQUEST);
    const pointer = this.#tables.allocate(cid, argument, other === URGENT);
    const value = this.#tables.orphans;
    return pointer < 0
      ? answer(requestId, RpcStatus.NO_MEMORY, { value })
      : answer(requestId, RpcStatus.OK, { pointer, value });
  }

  #list({ requestId, argument, pointer }: RpcRequest): Uint8Array {
    if (argument === 0 || !isCursor(pointer)) return answer(requestId, RpcStatus.BAD_REQUEST);
    const { blocks, next } = this.#tables.list(argument, pointer);
    return answer(requestId, RpcStatus.OK, { value: next, blocks });
  }

  /** Whoever says so knows: the dead client was fenced before. Nobody retires itself. */
  #retire({ requestId, cid, argument: dead }: RpcRequest): Uint8Array {
    if (dead === 0 || dead === ORPHAN || dead === cid) return answer(requestId, RpcStatus.BAD_REQUEST);
    this.members.retire(dead, cid);
    return answer(requestId, RpcStatus.OK);
  }

  /**
   * The recoverer of a dead client has cleared all that the client had here. In another view that need not be
   * all: tables that this node was a backup of may name more.
   */
  #handOn({ requestId, cid, argument: dead, other: view, pointer }: RpcRequest): Uint8Array {
    if (!isCursor(pointer) || view !== this.view.number || !this.members.isRecovered(dead, cid))
      return answer(requestId, RpcStatus.BAD_REQUEST);
    return answer(requestId, RpcStatus.OK, { value: this.#tables.handOn(dead, pointer) });
  }

  /**
   * A client gives away what is its own, to nobody in particular: a block that a client does not know of
   * would be taken for a lost grant by it, and freed. It takes only what is nobody's: ORPHAN's, or of one
   * that left.
   */
  #transfer({ requestId, cid, argument: from, other: to, pointer }: RpcRequest): Uint8Array {
    const gives = from === cid && to === ORPHAN;
    const isNobodys = from === ORPHAN || this.members.hasLeft(from);
    const takes = isNobodys && (to === cid || to === ORPHAN);
    const done = (gives || takes) && this.#tables.transfer(pointer, { from, to });
    return answer(requestId, done ? RpcStatus.OK : RpcStatus.BAD_REQUEST);
  }
}

/** Where a LIST or a HAND_ON goes on. */
const isCursor = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

const answer = (
  requestId: number,
  status: number,
  {
    pointer = 0,
    value = 0,
    blocks,
  }: { pointer?: number; value?: number; blocks?: readonly ListedBlock[] } = {},
): Uint8Array => makeResponse({ status, requestId, pointer, value }, blocks);
