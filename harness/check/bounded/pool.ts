/**
 * A real pool, as small as it can be, for thousands of runs: formatted and filled once, and taken back to
 * that for each run. Its block tables, bitmaps, directory and client table are all there; its nodes serve
 * RPCs.
 *
 * Rules of this file:
 * - What `setUp` does happens before all runs. Between two runs nothing of the pool remains: {@link
 *   BoundedPool.begin} takes memory back, and registered memory comes zeroed.
 * - The weak CPUs begin each run afresh, over the memory that the set-up has left: what they shall remember
 *   beyond it, `makeWorld` must ask of them again.
 */
import { SequentialClient } from '../../../fusee/client/sequential.js';
import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import { executeVerb } from '../../../fusee/fabric/execute-verb.js';
import { MemoryFabric } from '../../../fusee/fabric/memory.js';
import {
  CANDIDATES,
  candidateSlot,
  IndexCache,
  keyMemory,
  keyPlace,
  locateKey,
} from '../../../fusee/index/index.js';
import {
  BUCKET_SLOTS,
  Geometry,
  LINE_BYTES,
  MAX_REPLICAS,
  makeSlot,
  type PoolConfig,
  View,
} from '../../../fusee/layout/index.js';
import { Allocation, type HeadWords } from '../../../fusee/memory/index.js';
import { NodeService } from '../../../fusee/node/index.js';
import { keysAlike } from './../../../fusee/ops/by-hand.js';
import { ClientState, CONTEXT_BYTES, makeCoroutine, Outcome } from '../../../fusee/ops/index.js';
import { LocalMemory, replicaRef, UsageError, word } from '../../../fusee/verbs/index.js';
import { HashedNodes } from './hashed-nodes.js';
import { describePlace } from './place.js';

/** Registered memory that one client takes, unless told. */
export const CLIENT_BYTES: number = CONTEXT_BYTES + 8192;
/** Id of the client that fills the pool. */
export const SET_UP_CID = 200;

/** A block that the set-up has granted. */
export interface GrantedBlock {
  readonly sizeClass: number;
  readonly pointer: number;
  /** Coroutines, from number 0 on, whose lists of this class have their heads here. */
  readonly lists: number;
}

/** What a pool is made of. */
export interface BoundedPoolOptions {
  /** What differs from two nodes, two replicas, blocks of 1 KiB and one subtable of two groups. */
  readonly config?: Partial<PoolConfig>;
  /** Keys that requests name by index. @default three that share their buckets, by different fingerprints */
  readonly keys?: readonly string[];
  /** Fills the fresh pool, once. */
  readonly setUp?: (pool: BoundedPool) => void;
}

/** A pool and its nodes. */
export class BoundedPool {
  readonly config: PoolConfig;
  readonly view: View;
  readonly nodes: HashedNodes;
  readonly keys: readonly string[];
  /** Value of each key that the set-up has inserted, by index. */
  readonly contents = new Map<number, number>();
  /** Verdicts on histories, which many runs share. */
  readonly verdicts = new Map<string, string>();
  readonly #blocks = new Map<number, GrantedBlock[]>();
  readonly #memories: LocalMemory['buffer'][] = [];
  readonly #checksums = new Map<ArrayBuffer, LocalMemory['crc32c']>();
  #memoriesUsed = 0;
  #client: SequentialClient | undefined;

  constructor(options: BoundedPoolOptions = {}) {
    const { config = {} } = options;
    const replicas = Math.max(2, config.indexReplicas ?? 2, config.dataReplicas ?? 2);
    this.config = {
      poolId: 1,
      nodes: replicas,
      indexReplicas: 2,
      dataReplicas: 2,
      regionBytes: 8192,
      blockBytes: 1024,
      subtables: 1,
      subtablesMax: config.subtables ?? 1,
      groupsPerSubtable: 2,
      regionsPerNode: 1,
      ...config,
    };
    const geometry = new Geometry(this.config);
    this.view = new View(geometry);
    this.nodes = new HashedNodes(Array.from({ length: this.config.nodes }, () => geometry.nodeBytes));
    this.keys = options.keys ?? keysAlike(this.config, 3, false);
    for (let mn = 0; mn < this.config.nodes; mn++) this.#serve(mn);
    options.setUp?.(this);
    this.nodes.mark();
    this.nodes.rollback();
  }

  /** Takes everything back to the end of the set-up. */
  begin(): this {
    this.nodes.rollback();
    this.#memoriesUsed = 0;
    return this;
  }

  /** Zeroed registered memory of a client or of an actor, until the next {@link begin}. */
  memory(lengthBytes: number = CLIENT_BYTES): LocalMemory {
    const at = this.#memoriesUsed++;
    let buffer = this.#memories[at];
    if (buffer === undefined || buffer.byteLength < lengthBytes) {
      buffer = new ArrayBuffer(Math.ceil(lengthBytes / 64) * 64);
      this.#memories[at] = buffer;
    }
    let crc32c = this.#checksums.get(buffer);
    if (crc32c === undefined) {
      crc32c = crc32cOver(buffer);
      this.#checksums.set(buffer, crc32c);
    }
    const memory = new LocalMemory(buffer, crc32c);
    memory.bytes.fill(0);
    return memory;
  }

  /** Blocks that the set-up has granted to a client. */
  blocksOf(cid: number): readonly GrantedBlock[] {
    return this.#blocks.get(cid) ?? [];
  }

  /** Key number `key`, as bytes. */
  keyBytes(key: number): Uint8Array {
    return Buffer.from(this.keys[key], 'latin1');
  }

  /** Set-up: an INSERT by the product, of a value from 1 to 255 and as many more bytes as asked for. */
  insert(key: number, value: number, moreBytes = 0): void {
    this.#client ??= new SequentialClient(new MemoryFabric(this.nodes, { localBytes: CLIENT_BYTES }), {
      view: this.view,
      cid: SET_UP_CID,
      cache: { bytes: 0, keyBytes: 32, threshold: 1 },
    });
    const outcome = this.#client.insert(this.keys[key], String.fromCharCode(value) + '\0'.repeat(moreBytes));
    if (outcome !== Outcome.OK)
      throw new UsageError(`the set-up cannot insert key ${key}: outcome ${outcome}`);
    this.contents.set(key, value);
  }

  /**
   * Set-up: a block for a client, so that its requests need not ask for one, and in its first block of a
   * class the open log lists of its coroutines.
   */
  grant(cid: number, { sizeClass = 0, coroutines = 1 } = {}): void {
    const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
    const local = this.memory();
    const state = new ClientState({ view: this.view, local, cache, cid, coroutines });
    const blocks = this.#blocks.get(cid) ?? [];
    this.#blocks.set(cid, blocks);
    const isFirst = blocks.every((block) => block.sizeClass !== sizeClass);
    const { slab } = state;
    const { addBlock } = slab;
    slab.addBlock = (ofClass, pointer) => {
      blocks.push({ sizeClass: ofClass, pointer, lists: isFirst ? coroutines : 0 });
      return addBlock.call(slab, ofClass, pointer);
    };
    // Each grant is a request of its own to services that answer a repeated one alike.
    this.nodes.returns++;
    const refill = makeCoroutine(state, 0).cx.allocator.refill(sizeClass);
    let step = refill.next();
    for (; !step.done; step = refill.next())
      for (let i = 0; i < step.value.count; i++) executeVerb(this.nodes, step.value, i);
    if (step.value !== Allocation.OK) throw new UsageError(`the set-up has no block for client ${cid}`);
    for (let c = 0; isFirst && c < coroutines; c++) this.#writeHead(slab.open(c, sizeClass));
  }

  /** Log heads as a client writes them: whoever opens the lists of the same block anew finds them so. */
  #writeHead(list: HeadWords | undefined): void {
    if (list === undefined) throw new UsageError('the set-up has no cell to open a log list with');
    const to = this.view.dataReplicas(list.pointer, replicaRef(MAX_REPLICAS));
    const high = Math.floor(list.head / 2 ** 32);
    for (let r = 0; r < to.count; r++)
      for (const at of [0, 8])
        this.nodes.store(to.mn[r], to.offsetBytes[r] + at, list.head - high * 2 ** 32, high);
  }

  /**
   * Set-up: takes all candidate slots of key 0 but `count` of its first main bucket, by words of nobody. Keys
   * that share its buckets then contend for those.
   */
  leaveFree(count: number): void {
    const place = this.placeOf(0);
    const first = place.mainLast[0] * BUCKET_SLOTS;
    const used = this.keys.map((_, key) => this.placeOf(key).fingerprint);
    let strange = 1;
    while (used.includes(strange)) strange++;
    const filler = word();
    for (let i = 0; i < CANDIDATES; i++) {
      if (i >= first && i < first + count) continue;
      makeSlot(filler, 2 ** 24 + i * LINE_BYTES, 1, strange);
      const slot = candidateSlot(place, i);
      for (let r = 0; r < this.config.indexReplicas; r++)
        this.nodes.store(this.view.slotMn(slot, r), this.view.slotOffset(slot), filler.lo, filler.hi);
    }
  }

  /** Where key number `key` may live. */
  placeOf(key: number): ReturnType<typeof keyPlace> {
    const place = keyPlace({ subtables: this.config.subtables, groups: this.config.groupsPerSubtable });
    locateKey(place, keyMemory(this.keyBytes(key)), 0, this.keys[key].length);
    return place;
  }

  /** What lies at an offset of an MN, for a person. */
  describe(mn: number, offset: number): string {
    return describePlace(this.view, mn, offset);
  }

  /** Formats an MN, and lets its weak CPU serve: a new one for each run, once it is asked for anything. */
  #serve(mn: number): void {
    const { nodes } = this;
    const newService = (): NodeService =>
      new NodeService(this.config, mn, {
        read: (offset, into, at, lengthBytes) => {
          nodes.read(mn, offset, into, at, lengthBytes);
          nodes.calls[mn].addBytes(into, at, lengthBytes);
        },
        write: (offset, from, at, lengthBytes) => nodes.write(mn, offset, from, at, lengthBytes),
      });
    let service = newService();
    let returns = nodes.returns;
    service.format();
    nodes.serve(mn, (request) => {
      if (returns !== nodes.returns) service = newService();
      returns = nodes.returns;
      return service.handle(request);
    });
  }
}
