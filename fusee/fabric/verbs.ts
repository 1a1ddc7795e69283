/**
 * The verbs fabric: RDMA queue pairs to memory nodes, whose NICs execute the verbs; no processor of a node is
 * on the path, but for RPCs.
 *
 * All verbs that one {@link VerbsFabric.poll} finds posted go to each node as one chain of work requests,
 * with one completion per batch. An RPC takes its place in the posting order when its request is sent, which
 * waits while 16 of this client are with that node. FAIL says that the queue pair has failed or its node's
 * connection has ended; {@link VerbsFabric.reasonOf} has the verbs' own words. A queue pair that has failed
 * stays so.
 *
 * Who sets its queue pairs up proves to know the pool's secret first: nobody else learns the key of a node's
 * memory. Traffic itself is not encrypted: RDMA networks belong to those who trust each other.
 */
import { randomBytes } from 'node:crypto';
import { type DeviceChoice, type VerbsAddon, type VerbsClient, verbsAddon } from '../../native/verbs.js';
import { FabricError, UsageError, type VerbBatch } from '../verbs/index.js';
import { checkSettings, NativeFabric, type SessionSettings } from './native-fabric.js';
import { callNative } from './shm-process.js';

/** How queue pairs are connected: 'exchange' of their addresses over TCP, or by rdma_cm. */
export type VerbsConnect = 'exchange' | 'cm';

/** Which RDMA device is used, and how queue pairs are connected. */
export interface RdmaChoice extends DeviceChoice {
  /** @default 'exchange', which needs no IP over the RDMA network */
  connect?: VerbsConnect | undefined;
}

/** What a client of the verbs fabric takes. */
export interface VerbsFabricOptions extends SessionSettings, RdmaChoice {
  /**
   * Where the MNs listen, "host:port" each; MN i is the i-th. At most 64. An empty one stands for an MN that
   * is known to be dead: every verb to it FAILs.
   */
  addresses: readonly string[];
  /** The pool's secret, which both sides prove to know; it is never sent. */
  secret: Uint8Array;
}

/** The addon. @throws UsageError where it was not built: what to install, and how to build it. */
export function requireVerbs(): VerbsAddon {
  const addon = verbsAddon();
  if (addon !== null) return addon;
  throw new UsageError(
    'the verbs fabric was left out of this build, since the headers of rdma-core were not there: install ' +
      'libibverbs-dev, librdmacm-dev and ibverbs-providers (Debian, Ubuntu; rdma-core-devel elsewhere) and ' +
      'build again with `npm run build`',
  );
}

/** One client's fabric over queue pairs. */
export class VerbsFabric extends NativeFabric {
  readonly kind = 'verbs';
  /** Names this client to whoever fences it; drawn at random. */
  readonly clientKey: bigint;
  /** The RDMA device in use. */
  readonly device: string;
  readonly #client: VerbsClient;

  /**
   * Connects to every node, and blocks the thread meanwhile.
   * @throws UsageError when a device, port or GID is not there, listing those that are, or the secrets
   * differ;
   *   FabricError when a node cannot be reached, the device has no atomics, or locked memory is limited.
   */
  constructor(options: VerbsFabricOptions) {
    const settings = checkSettings(options);
    if (settings.rttNs > 0)
      throw new UsageError('answers are not held back over verbs: leave rttNs (--rtt) out, or use shm');
    const key = drawKey();
    const { secret, device, devicePort, gid } = options;
    const places = options.addresses.map(parseAddress);
    const client = callNative(
      () =>
        new (requireVerbs().VerbsClient)({
          ...{ device, devicePort, gid, secret, key },
          hosts: places.map(({ host }) => host),
          ports: places.map(({ port }) => port),
          isByCm: options.connect === 'cm',
          localBytes: settings.localBytes,
          queueCapacity: settings.queueCapacity,
          rpcTimeoutNs: settings.rpcTimeoutNs,
        }),
    );
    super(client, settings.queueCapacity);
    this.clientKey = key;
    this.device = client.device;
    this.#client = client;
  }

  /** Why verbs to this node FAIL, in the verbs' own words; undefined while they do not. */
  reasonOf(mn: number): string | undefined {
    return this.#client.reasonOf(mn) || undefined;
  }

  /**
   * Posts a batch natively, again and again, and returns the nanoseconds of each round trip: the yardstick
   * for what TypeScript costs. For READs only: nothing else is the same the second time.
   */
  replay(batch: VerbBatch, rounds: number): Float64Array {
    const timesNs = new Float64Array(rounds);
    this.#client.replayBatch(batch.offset, timesNs);
    return timesNs;
  }

  /** Has all nodes end another client's queue pairs. @internal */
  async fence(clientKey: bigint, deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    this.#client.fence(clientKey);
    for (let left = 1; left !== 0; ) {
      this.#client.doorbell();
      left = this.#client.fences();
      if (left < 0 || performance.now() > deadline) {
        throw new FabricError('a memory node has not acknowledged the fence; is its process alive?');
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/**
 * Has nodes destroy a client's queue pairs for good, and waits until they have: afterwards nothing it posted
 * executes there (contract, rule 6). Requests that it left with the nodes' CPUs are withdrawn, and one that
 * is being served is waited for.
 * @throws FabricError when a node has not acknowledged by the deadline.
 */
export async function fenceOverVerbs(
  clientKey: bigint,
  options: RdmaChoice & Pick<VerbsFabricOptions, 'addresses' | 'secret'> & { deadlineMs?: number },
): Promise<void> {
  const { deadlineMs = 5000, ...rest } = options;
  const fabric = new VerbsFabric({ ...rest, localBytes: 4096, queueCapacity: 1 });
  try {
    await fabric.fence(clientKey, deadlineMs);
  } finally {
    fabric.close();
  }
}

/** Never 0, which names nobody. */
const drawKey = (): bigint => randomBytes(8).readBigUInt64LE() | 1n;

function parseAddress(address: string): { host: string; port: number } {
  if (address === '') return { host: '', port: 0 };
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(address) ?? [];
  if (host !== undefined && Number(port) > 0 && Number(port) < 65_536) return { host, port: Number(port) };
  throw new UsageError(`the address '${address}' is none: give host:port, such as 10.0.0.1:7500`);
}
