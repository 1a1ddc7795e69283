/** Joins a running pool. */
import { Janitor } from '../background/index.js';
import { askView, type MasterLink } from '../control/link.js';
import type { ToldView } from '../control/messages.js';
import type { Fabric } from '../fabric/contract.js';
import {
  accessAsTold,
  checkAccess,
  type HostFabric,
  type HostFabricKind,
  type NodeAccess,
  openFabric,
  placeOf,
  requireOwnAtomics,
} from '../fabric/open.js';
import type { RdmaChoice } from '../fabric/verbs.js';
import { type CacheOptions, DEFAULT_CACHE, IndexCache } from '../index/index.js';
import { Geometry, type PoolConfig, readSuperblock, SUPERBLOCK_USED_BYTES, View } from '../layout/index.js';
import { RpcOperation, RpcStatistic } from '../memory/index.js';
import { ClientState, CONTEXT_BYTES } from '../ops/index.js';
import { FabricError, UsageError, VerbBatch } from '../verbs/index.js';
import { call, complete } from './call.js';
import { Client } from './client.js';
import { Failover } from './failover.js';
import { checkPoolName, checkQueueLimit, QUEUE_LIMIT_DEFAULT } from './limits.js';
import { joinPool, leavePool } from './membership.js';
import { reachMaster } from './reach-master.js';
import { enter, type Session } from './session.js';

/** Most requests of one client in flight. */
export const COROUTINES_MAX = 256;

export interface ConnectOptions {
  /** The pool's name. */
  readonly pool: string;
  /**
   * What carries requests to the nodes: 'shm' on their own host, 'tcp' and 'verbs' (RDMA) from anywhere.
   * @default 'shm'
   */
  readonly fabric?: HostFabricKind;
  /**
   * Over TCP and verbs: where each node listens, "host:port", in the order of their numbers. May be left out
   * where `master` is given.
   */
  readonly nodes?: readonly string[];
  /**
   * Over TCP and verbs: where masters of the pool listen, "host:port" each. A pool that has a master on
   * another host must be given it. @default a master of this host, if there is one
   */
  readonly master?: readonly string[];
  /** Over verbs: which RDMA device, and how queue pairs are connected. */
  readonly rdma?: RdmaChoice;
  /** Requests in flight at once. @default 8 */
  readonly coroutines?: number;
  /** The index cache; `{ bytes: 0 }` switches it off. */
  readonly cache?: Partial<CacheOptions>;
  /** Holds completions back, to see what a network's round trip does. @default 0 */
  readonly rttNs?: number;
  /** A request that has only waited for others for this long ends UNAVAILABLE. @default 1000 */
  readonly deadlineMs?: number;
  /**
   * Requests that may wait for a coroutine; one more is rejected with a UsageError. They hold their keys and
   * values. @default 65536
   */
  readonly queueLimit?: number;
  /**
   * The file with the pool's secret, for its master, and for its nodes over TCP. @default the one that they
   * have made on this host
   */
  readonly secretFile?: string;
  /** Called when this client counts as dead, or may: nothing of it may go on. */
  readonly onExpelled?: (why?: string) => void;
  /** Maps the pool's memory ahead of use: slower to connect, no page faults later. @default false */
  readonly prefault?: boolean;
}

/**
 * Connects to a pool and returns the promise-based client.
 * @throws FabricError when the pool is not running; UsageError when an option is out of limits, the pool has
 *   another layout version, or as many clients as it has places for.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  let client: Client | undefined;
  const onExpelled = (why?: string): void => {
    client?.expelled(why);
    options?.onExpelled?.(why);
  };
  client = new Client(await openSession(isObject(options) ? { ...options, onExpelled } : options), options);
  return client;
}

/** A node that has died, or joined, is in the master's view by then; and from one try to the next. */
const JOIN_MS = 3000;
const RETRY_MS = 20;

/**
 * Attaches to all nodes of a pool, joins it and enters. Where a master watches the nodes, one that dies or
 * joins just then ends no joining: it begins again, in the view that follows. Errors as {@link connect}.
 */
export async function openSession(options: ConnectOptions): Promise<Session<HostFabric>> {
  const coroutines = checkOptions(options);
  const { onExpelled } = options;
  for (const endMs = performance.now() + JOIN_MS; ; ) {
    const link = await reachMaster(options);
    try {
      return await openLinked(options, { coroutines, link, onExpelled });
    } catch (error) {
      link?.close('leave');
      const isCaught =
        link !== null && (error instanceof FabricError || (await hasViewChanged(options, link)));
      if (!isCaught || performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** A node may have joined while this client did: it has not attached to it, nor told it that it is there. */
class ViewChanged extends FabricError {}

/** Whoever was refused may have been caught between two views. */
async function hasViewChanged(options: ConnectOptions, link: MasterLink): Promise<boolean> {
  try {
    return (await askView(options)).number !== link.view.number;
  } catch {
    // Without a master nobody can tell; what has failed before is what the caller is told.
    return false;
  }
}

async function openLinked(
  options: ConnectOptions,
  {
    coroutines,
    link,
    onExpelled,
  }: { coroutines: number; link: MasterLink | null; onExpelled?: (why?: string) => void },
): Promise<Session<HostFabric>> {
  const { view, places } = await findPool(options, link?.view);
  const { config } = view.geometry;
  const cacheOptions = { ...DEFAULT_CACHE, ...options.cache };
  const fabric = await openFabric(options, places, {
    localBytes: coroutines * CONTEXT_BYTES + cacheOptions.bytes + (1 << 20),
    queueCapacity: 2 * coroutines,
    rttNs: options.rttNs ?? 0,
    prefault: options.prefault ?? false,
  });
  let leave: (() => Promise<void>) | undefined;
  try {
    requireOwnAtomics(fabric, options.pool);
    await checkNodes(fabric, options.pool, { config, view });
    const { cid, clientIndex } = await joinPool(fabric, {
      ...{ nodes: config.nodes, view, hasMaster: link !== null },
    });
    leave = async () => {
      await leavePool(fabric, { nodes: config.nodes, cid, view });
      link?.close('leave');
    };
    const state = new ClientState({
      view,
      local: fabric.local,
      cache: new IndexCache(cacheOptions, cacheStorage(fabric, cacheOptions.bytes)),
      cid,
      clientIndex,
      coroutines,
    });
    state.hasMaster = link !== null;
    let known = link?.view;
    const port = link && {
      stopped: link.stopped.bind(link),
      suspect: link.suspect.bind(link),
      attach: (mn: number) => attachTo(fabric, mn, placeOf(accessAsTold(options, known), mn)),
    };
    const failover = port === null ? null : new Failover({ fabric, state }, port);
    if (link !== null && failover !== null) {
      const told = await link.join(
        { cid, place: clientIndex },
        {
          stop: (out) => failover.stop(out),
          adopt: (next, decided, how) => {
            known = next;
            failover.adopt(next, decided, how);
          },
          takeMarks: () => failover.takeMarks(),
          expelled: (why) => {
            onExpelled?.(why);
            // Whoever waits for an answer that nobody will ever take is told so.
            if (why === undefined) return;
            failover.abandon(why);
            fabric.close();
          },
          // On shared memory nobody outlives its fence.
          ...(fabric.kind === 'tcp' ? { keeper: fabric } : {}),
          viewNumber: () => view.number,
          cacheCounts: () => {
            const { hits, misses, bypassed } = state.cache;
            return { hits, misses, bypassed };
          },
        },
        fabric.kind === 'shm' ? undefined : fabric.clientKey,
      );
      if (told.number !== link.view.number)
        throw new ViewChanged(`the view of pool '${options.pool}' keeps changing; connect again`);
      failover.note(told.filling !== undefined);
    }
    const session = {
      fabric,
      state,
      janitor: new Janitor(state),
      failover,
      giveUpPlace: leave,
      resign: () => link?.close('resign'),
    };
    await enter(session);
    return session;
  } catch (error) {
    await leave?.();
    fabric.close();
    throw error;
  }
}

/**
 * Attaches to the process that has taken a node's place. Over a network that may fail, though the master has
 * reached it: then all verbs to it FAIL, and whether it is dead the view will say.
 */
function attachTo(fabric: HostFabric, mn: number, place: string): void {
  try {
    fabric.reattach(mn, place);
  } catch (error) {
    if (fabric.kind === 'shm' || !(error instanceof FabricError)) throw error;
  }
}

/** Largest index cache of one client. */
export const CACHE_BYTES_MAX = 2 ** 31;

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
const kindOf = (value: unknown): string => (value === null ? 'null' : typeof value);

/** Callers without types get sentences too. Returns the number of coroutines. */
function checkOptions(options: ConnectOptions): number {
  if (!isObject(options)) {
    throw new UsageError(`the options are ${kindOf(options)}; give an object such as { pool: 'demo' }`);
  }
  const { pool, coroutines = 8, deadlineMs = 1000, cache = {}, queueLimit = QUEUE_LIMIT_DEFAULT } = options;
  checkPoolName(pool);
  checkAccess(options);
  checkQueueLimit(queueLimit);
  if (!Number.isInteger(coroutines) || coroutines < 1 || coroutines > COROUTINES_MAX) {
    throw new UsageError(`coroutines is ${coroutines}; a client has 1 to ${COROUTINES_MAX}`);
  }
  if (!isObject(cache)) {
    throw new UsageError(`the cache is ${kindOf(cache)}; give an object such as { bytes: 0 }`);
  }
  const { bytes: cacheBytes = 0 } = cache;
  if (!Number.isInteger(cacheBytes) || cacheBytes < 0 || cacheBytes > CACHE_BYTES_MAX) {
    throw new UsageError(
      `the cache has ${cacheBytes} bytes; choose a whole number from 0 to ${CACHE_BYTES_MAX}`,
    );
  }
  if (typeof deadlineMs !== 'number' || !(deadlineMs > 0)) {
    throw new UsageError(`the deadline is ${deadlineMs} ms; it must be a number above 0`);
  }
  return coroutines;
}

/** The cache's entries lie in registered memory: the fabric gets that in large pages where it can. */
const cacheStorage = ({ local }: Fabric, bytes: number): Uint32Array =>
  new Uint32Array(local.buffer, local.reserve(bytes), Math.floor(bytes / 4));

/**
 * A running pool, in the view that its master has told if it has one; where its nodes are, '' for dead ones.
 * Errors as {@link connect}.
 */
export async function findPool(
  access: NodeAccess,
  told: ToldView = { number: 1, dead: [] },
): Promise<{ view: View; places: string[] }> {
  const as = accessAsTold(access, told);
  const config = await readPoolConfig(as, told.dead);
  const view = new View(new Geometry(config));
  if (told.number > view.number) view.change(told.number, told.dead);
  if (access.nodes !== undefined && access.nodes.length !== config.nodes) {
    throw new UsageError(
      `pool '${access.pool}' has ${config.nodes} nodes, ${access.nodes.length} addresses were given; give all`,
    );
  }
  const places = Array.from({ length: config.nodes }, (_, mn) => (view.isDead(mn) ? '' : placeOf(as, mn)));
  return { view, places };
}

/** What the superblock of a running pool's first living node says. Errors as {@link connect}. */
export async function readPoolConfig(access: NodeAccess, dead: readonly number[] = []): Promise<PoolConfig> {
  let mn = 0;
  while (dead.includes(mn)) mn++;
  const fabric = await openFabric(access, [placeOf(access, mn)], { localBytes: 1 << 16, prefault: false });
  try {
    return (await readNode(fabric, access.pool, 0)).config;
  } finally {
    fabric.close();
  }
}

/** The configuration that one node was formatted with. @throws as {@link connect}. */
export const readNodeConfig = async (
  fabric: HostFabric,
  { pool, mn }: { pool: string; mn: number },
): Promise<PoolConfig> => (await readNode(fabric, pool, mn)).config;

/** The superblock of one node. */
async function readNode(
  fabric: HostFabric,
  pool: string,
  mn: number,
): Promise<ReturnType<typeof readSuperblock>> {
  const batch = new VerbBatch(fabric.local, 1);
  const at = fabric.local.reserve(SUPERBLOCK_USED_BYTES);
  batch.reset().read(mn, 0, at, SUPERBLOCK_USED_BYTES);
  await complete(fabric, batch);
  if (batch.anyFailed()) throw new FabricError(`pool '${pool}': node ${mn} has died; start the pool anew`);
  return readSuperblock(fabric.local.bytes.subarray(at, at + SUPERBLOCK_USED_BYTES), `pool '${pool}'`);
}

/** Nodes are started one by one, each with options of its own: they must agree on what the pool is. */
async function checkNodes(
  fabric: HostFabric,
  pool: string,
  { config, view }: { config: PoolConfig; view: View },
): Promise<void> {
  for (let mn = 0; mn < config.nodes; mn++) {
    if (view.isDead(mn)) continue;
    const { config: other, node } = await readNode(fabric, pool, mn);
    if (node !== mn) {
      throw new UsageError(
        `pool '${pool}': at the address of node ${mn} is node ${node}; give addresses in the nodes' order`,
      );
    }
    for (const name of Object.keys(config) as (keyof PoolConfig)[]) {
      if (other[name] === config[name]) continue;
      throw new UsageError(
        `pool '${pool}': node 0 was started with ${name} ${config[name]}, node ${mn} with ${other[name]}; ` +
          'start all nodes of a pool with the same options',
      );
    }
  }
}

/**
 * How many clients have ever joined a node of a pool; null when that node does not run.
 * @throws FabricError when it runs and does not answer.
 */
export async function clientsOf(access: NodeAccess, mn: number): Promise<number | null> {
  let fabric: HostFabric;
  try {
    fabric = await openFabric(access, [placeOf(access, mn)], { localBytes: 1 << 16, prefault: false });
  } catch (error) {
    if (error instanceof FabricError) return null;
    throw error;
  }
  try {
    const what = { operation: RpcOperation.STATS, cid: 0, argument: RpcStatistic.CLIENTS };
    return (await call(fabric, 0, what)).value;
  } finally {
    fabric.close();
  }
}
