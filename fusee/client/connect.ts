/** Joins a running pool. */
import { Janitor } from '../background/index.js';
import type { MasterLink } from '../control/link.js';
import type { ToldView } from '../control/messages.js';
import type { Fabric } from '../fabric/contract.js';
import { ShmFabric } from '../fabric/shm.js';
import { regionName } from '../fabric/shm-process.js';
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
   * The file with the pool's secret, for its master. @default the one that the master of this host has made
   */
  readonly secretFile?: string;
  /** Called when the master has declared this client dead: nothing of it may go on. */
  readonly onExpelled?: () => void;
  /** Maps the pool's memory ahead of use: slower to connect, no page faults later. @default false */
  readonly prefault?: boolean;
}

/**
 * Connects to a pool on this host and returns the promise-based client.
 * @throws FabricError when the pool is not running; UsageError when an option is out of limits, the pool has
 *   another layout version, or as many clients as it has places for.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  let client: Client | undefined;
  const onExpelled = (): void => {
    client?.expelled();
    options?.onExpelled?.();
  };
  client = new Client(await openSession(isObject(options) ? { ...options, onExpelled } : options), options);
  return client;
}

/** Attaches to all nodes of a pool, joins it and enters. Errors as {@link connect}. */
export async function openSession(options: ConnectOptions): Promise<Session<ShmFabric>> {
  const coroutines = checkOptions(options);
  const { pool, secretFile, onExpelled } = options;
  const link = await reachMaster({ pool, secretFile });
  try {
    return await openLinked(options, { coroutines, link, onExpelled });
  } catch (error) {
    link?.close('leave');
    throw error;
  }
}

async function openLinked(
  options: ConnectOptions,
  { coroutines, link, onExpelled }: { coroutines: number; link: MasterLink | null; onExpelled?: () => void },
): Promise<Session<ShmFabric>> {
  const { view, regions } = await findPool(options.pool, link?.view);
  const { config } = view.geometry;
  const cacheOptions = { ...DEFAULT_CACHE, ...options.cache };
  const fabric = new ShmFabric({
    regions,
    localBytes: coroutines * CONTEXT_BYTES + cacheOptions.bytes + (1 << 20),
    queueCapacity: 2 * coroutines,
    rttNs: options.rttNs ?? 0,
    prefault: options.prefault ?? false,
  });
  let leave: (() => Promise<void>) | undefined;
  try {
    await checkNodes(fabric, options.pool, { config, view });
    const { cid, clientIndex } = await joinPool(fabric, { nodes: config.nodes, view });
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
    const failover = link === null ? null : new Failover({ fabric, state }, link);
    if (link !== null && failover !== null) {
      const told = await link.join(
        { cid, place: clientIndex },
        {
          stop: () => failover.stop(),
          adopt: (next, decided) => failover.adopt(next, decided),
          expelled: () => onExpelled?.(),
          viewNumber: () => view.number,
          cacheCounts: () => {
            const { hits, misses, bypassed } = state.cache;
            return { hits, misses, bypassed };
          },
        },
      );
      if (told.number > view.number) view.change(told.number, told.dead);
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
 * A running pool, in the view that its master has told if it has one; regions by node, '' for dead ones. Errors
 * as {@link connect}.
 */
export async function findPool(
  pool: string,
  told: ToldView = { number: 1, dead: [] },
): Promise<{ view: View; regions: string[] }> {
  const config = await readPoolConfig(pool, told.dead);
  const view = new View(new Geometry(config));
  if (told.number > view.number) view.change(told.number, told.dead);
  const regions = Array.from({ length: config.nodes }, (_, mn) =>
    view.isDead(mn) ? '' : regionName(pool, mn),
  );
  return { view, regions };
}

/** What the superblock of a running pool's first living node says. Errors as {@link connect}. */
export async function readPoolConfig(pool: string, dead: readonly number[] = []): Promise<PoolConfig> {
  let mn = 0;
  while (dead.includes(mn)) mn++;
  const fabric = new ShmFabric({ regions: [regionName(pool, mn)], localBytes: 1 << 16, prefault: false });
  try {
    return (await readNode(fabric, pool, 0)).config;
  } finally {
    fabric.close();
  }
}

/** The superblock of one node. */
async function readNode(
  fabric: ShmFabric,
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
  fabric: ShmFabric,
  pool: string,
  { config, view }: { config: PoolConfig; view: View },
): Promise<void> {
  for (let mn = 1; mn < config.nodes; mn++) {
    if (view.isDead(mn)) continue;
    const other = (await readNode(fabric, pool, mn)).config;
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
export async function clientsOf(pool: string, mn: number): Promise<number | null> {
  let fabric: ShmFabric;
  try {
    fabric = new ShmFabric({ regions: [regionName(pool, mn)], localBytes: 1 << 16, prefault: false });
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
