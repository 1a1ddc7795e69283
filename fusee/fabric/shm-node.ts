/** The memory node's side of the shared-memory fabric: its region, and the service of its weak CPU. */
import { type NodeRegion, native, type ProcessId } from '../../native/index.js';
import { FabricError, RPC_BYTES, UsageError } from '../verbs/index.js';
import type { RpcHandler } from './memory-nodes.js';
import { callNative, findRegion, nextRegionName, regionName, spareRegionName } from './shm-process.js';

/** What a memory node on shared memory takes. */
export interface ShmNodeOptions {
  /** Name of the pool; with `mn` it names the region. Letters, digits, dots, dashes, underscores. */
  pool: string;
  mn: number;
  /** It waits to take the place of another process, under a name of its own: {@link ShmNode.takePlace}. */
  isNext?: boolean;
  /** It waits for any place, under a name of its own, and has no number yet: {@link ShmNode.aimAt}. */
  isSpare?: boolean;
  /** Bytes of MN memory, a multiple of 8; all of it is reserved at once. */
  memoryBytes: number;
  /** Maps all pages now rather than at first access. @default true */
  prefault?: boolean;
}

/**
 * The region of one MN. Format its {@link memory}, {@link serve} the RPCs, then let clients in with {@link
 * ready}.
 *
 * What clients change by verbs, the node's own process may change in `memory` only before `ready`; later only
 * the words that clients never change.
 */
export class ShmNode {
  /** Name of the region, for clients to attach to. */
  name: string;
  readonly memoryBytes: number;
  readonly process: ProcessId;
  readonly #region: NodeRegion;
  readonly #pool: string;
  #placeName: string;
  /** Tells its memory from any other of its name. */
  readonly #id: string | undefined;
  #memory: ArrayBuffer | undefined;
  #isClosed = false;

  /** @throws FabricError when the name is taken, or /dev/shm has too little room; nothing stays behind. */
  constructor(options: ShmNodeOptions) {
    const { pool, memoryBytes, prefault = true } = options;
    if (!(Number.isInteger(options.mn) && options.mn >= 0))
      throw new UsageError(`MN ${options.mn} is no index`);
    if (!(memoryBytes > 0 && memoryBytes % 8 === 0 && memoryBytes < 2 ** 48)) {
      throw new UsageError(`an MN of ${memoryBytes} bytes: choose a multiple of 8 below 2^48`);
    }
    this.#pool = pool;
    this.#placeName = regionName(pool, options.mn);
    this.name = options.isNext === true ? nextRegionName(pool, options.mn) : this.#placeName;
    if (options.isSpare === true) this.name = spareRegionName(pool, process.pid);
    this.#region = callNative(() => new (native().NodeRegion)({ name: this.name, memoryBytes, prefault }));
    this.#id = findRegion(this.name)?.id;
    this.memoryBytes = memoryBytes;
    this.process = this.#region.owner;
  }

  /**
   * The MN's memory from offset 0, zero at first.
   * @throws UsageError above 4 GiB, more than a buffer of Node can hold: use {@link window}.
   */
  get memory(): ArrayBuffer {
    this.#memory ??= this.window(0, this.memoryBytes);
    return this.#memory;
  }

  /** `lengthBytes` bytes of the memory from `offset`, at most 4 GiB. */
  window(offset: number, lengthBytes: number): ArrayBuffer {
    return callNative(() => this.#region.window(offset, lengthBytes));
  }

  /** Lets clients attach. */
  ready(): void {
    this.#region.ready();
  }

  /** The pool goes on without this node, whose master had not heard of it for a lease: its verbs FAIL. */
  get isFenced(): boolean {
    return this.#region.isFenced;
  }

  /** It is to have that place. */
  aimAt(mn: number): void {
    this.#placeName = regionName(this.#pool, mn);
  }

  /**
   * Takes the name of its place, whoever has it: clients find it there from now on.
   * @throws FabricError when it has been given up meanwhile.
   */
  takePlace(): void {
    if (this.isFenced)
      throw new FabricError(`region ${this.name} was given up by the master: it must not take a place`);
    callNative(() => this.#region.rename(this.#placeName));
    this.name = this.#placeName;
  }

  /**
   * Serves RPCs with `handler` on this thread, one at a time, each client's in its order. The process stays
   * alive until {@link close}. A request whose handler throws is refused (its verb FAILs) and the error is
   * rethrown from the event loop: a handler answers every request, so a throw is a bug.
   */
  serve(handler: RpcHandler): void {
    const buffer = new Uint8Array(RPC_BYTES);
    callNative(() =>
      this.#region.serve(() => {
        for (;;) {
          const taken = this.#region.take(buffer);
          if (taken < 0) return;
          this.#answer(taken >>> 7, buffer.slice(0, taken & 127), handler);
        }
      }),
    );
  }

  /**
   * Lets clients of other hosts in: a native thread executes their verbs in this region, beside those of
   * clients on shared memory.
   * @param options.address "host:port"; port 0 lets the system choose.
   * @param options.busyPollNs how long the thread looks for more before it sleeps. @default 0
   * @returns the port.
   * @throws FabricError when the port is taken, or the address is none of this host.
   */
  listen(
    options: { address: string; secret: Uint8Array; busyPollNs?: number },
    log: (line: string) => void,
  ): number {
    const { address, secret, busyPollNs = 0 } = options;
    return callNative(() => this.#region.listen({ address, secret, busyPollNs }, log));
  }

  #answer(slot: number, request: Uint8Array, handler: RpcHandler): void {
    let response: Uint8Array | null = null;
    try {
      const answer = handler(request);
      if (answer.length > RPC_BYTES)
        throw new UsageError(`a response of ${answer.length} bytes, at most ${RPC_BYTES}`);
      response = answer;
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    } finally {
      this.#region.respond(slot, response);
    }
  }

  /** Another region has its name: nobody who comes finds this one. */
  get isSupplanted(): boolean {
    const found = findRegion(this.name);
    return found !== undefined && found.id !== this.#id;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends the service and removes the region: clients' verbs FAIL from now on. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#region.close();
  }
}
