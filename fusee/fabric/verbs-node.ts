/** The memory node's side of the verbs fabric: its region is registered, and clients are let in. */
import type { DeviceChoice, VerbsNode } from '../../native/verbs.js';
import { callNative } from './shm-process.js';
import { requireVerbs } from './verbs.js';

/** What a memory node takes to be reached by verbs. */
export interface VerbsServiceOptions extends DeviceChoice {
  /** Name of its region; the process that serves it is this one. */
  region: string;
  /** The address at which clients set their queue pairs up. @default 127.0.0.1 */
  host?: string;
  /** @default 0: any that is free */
  port?: number;
  secret: Uint8Array;
  /** Hears why a connection was closed, and what the device reports. */
  log?: (line: string) => void;
}

/** From one look at what the service's thread has to say to the next. */
const LOOK_MS = 500;

/**
 * A region served over verbs by a thread of its own: the node's JavaScript is needed for RPCs only, which take
 * the way of clients on shared memory.
 *
 * The NIC is the only one to execute atomics here: a NIC's and a processor's on one word lose updates. So who
 * serves a region over verbs must have no clients on it over other fabrics, and its own CPU changes by plain
 * stores only what clients never change (its block tables).
 */
export class VerbsService {
  readonly port: number;
  readonly device: string;
  /** Whether clients may connect by rdma_cm here. */
  readonly hasConnectionManager: boolean;
  readonly #node: VerbsNode;
  readonly #timer: NodeJS.Timeout;

  /** @throws as a client's fabric, and FabricError when the address is taken. */
  constructor(options: VerbsServiceOptions) {
    const { region, host = '127.0.0.1', port = 0, secret, device, devicePort, gid } = options;
    this.#node = callNative(
      () => new (requireVerbs().VerbsNode)({ region, host, port, secret, device, devicePort, gid }),
    );
    this.port = this.#node.port;
    this.device = this.#node.device;
    this.hasConnectionManager = this.#node.hasConnectionManager;
    this.#timer = setInterval(() => {
      for (const line of this.#node.takeReasons()) options.log?.(line);
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** Ends all queue pairs. */
  close(): void {
    clearInterval(this.#timer);
    this.#node.close();
  }
}
