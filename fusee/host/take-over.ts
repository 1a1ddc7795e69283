/**
 * A master takes its pool over, from another master or from nobody.
 *
 * The order matters: it leads before it looks at anything; the master before is fenced before anything is
 * done in its place, for on shared memory its own CPU executes its verbs; and what it left is kept under the
 * new master's name before that one acts, so that the next one knows whom to fence.
 */
import { randomInt } from 'node:crypto';
import { readPoolConfig } from '../client/connect.js';
import { keepSecret, makeControlFolder, readSecret, secretPath } from '../control/channel.js';
import { ShmFabric } from '../fabric/shm.js';
import { findRegion, type ProcessId, regionName, thisProcess } from '../fabric/shm-process.js';
import { IndexCache } from '../index/index.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { REPAIR_BYTES } from '../master/index.js';
import { ClientState, CONTEXT_BYTES } from '../ops/index.js';
import { isSamePool, type MasterState, type Term } from '../store/index.js';
import { FabricError } from '../verbs/index.js';
import { fenceAtLast } from './fence.js';
import { NodeWatch } from './node-watch.js';
import { type HostOptions, storeOf } from './options.js';

const NODES_MAX = 64;
/**
 * Client ids of masters are drawn from here on, far above those that nodes grant. So a master needs no place
 * in the client table, which it does not use; it can take over while the node that grants ids is dead; and
 * a master that is killed leaves nothing behind at the nodes.
 */
const MASTER_CIDS = 0xff000000;
const MASTER_CID_COUNT = 0x00fffffe;

/** What a master begins with. */
export interface Seat {
  readonly term: Term;
  readonly secret: Buffer;
  /** What the master before has left of this very pool. */
  readonly left: MasterState | undefined;
  /** Names the memory of each node. */
  readonly pool: readonly string[];
  readonly fabric: ShmFabric;
  readonly watch: NodeWatch;
  readonly state: ClientState;
}

/**
 * Waits until this master leads, and prepares it to act. Nothing is left of it when it fails.
 * @throws UsageError when another master leads and this one does not stand by; FabricError when the pool does
 *   not run.
 */
export async function takeOver(options: HostOptions): Promise<Seat> {
  const store = storeOf(options);
  makeControlFolder();
  const { signal, onStandby } = options;
  const term = await store.lead({ secret: secretOf(options), signal, onStandby });
  try {
    // One that has ended meanwhile may have taken the secret with it.
    return await attach(options, term, secretOf(options));
  } catch (error) {
    await term.resign(term.left ?? null);
    throw error;
  }
}

const secretOf = ({ pool, secretFile }: HostOptions): Buffer =>
  secretFile === undefined ? keepSecret(secretPath(pool)) : readSecret(secretFile);

async function attach({ pool, log }: HostOptions, term: Term, secret: Buffer): Promise<Seat> {
  const names = Array.from({ length: NODES_MAX }, (_, mn) => findRegion(regionName(pool, mn))?.id ?? '');
  const left = term.left !== undefined && isSamePool(term.left.pool, names) ? term.left : undefined;
  const { view: told, next } = left?.record ?? { view: { number: 1, dead: [] }, next: undefined };
  const dead = [...(next ?? told).dead];
  const config = await readAnyConfig(pool, { names, dead });
  const view = new View(new Geometry(config));
  if (dead.length > 0) view.change(told.number, dead);
  const regions = Array.from({ length: config.nodes }, (_, mn) =>
    !view.isDead(mn) && names[mn] !== '' && runs(regionName(pool, mn)) ? regionName(pool, mn) : '',
  );
  const fabric = new ShmFabric({
    regions,
    localBytes: CONTEXT_BYTES + REPAIR_BYTES + (1 << 20),
    prefault: false,
  });
  const watch = new NodeWatch(regions);
  try {
    if (left?.leader !== undefined) await fenceFormer(left.leader, { term, watch, log });
    const cid = MASTER_CIDS + randomInt(MASTER_CID_COUNT);
    const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
    const state = new ClientState({ view, local: fabric.local, cache, cid, clientIndex: 0, coroutines: 1 });
    return { term, secret, left, pool: names.slice(0, config.nodes), fabric, watch, state };
  } catch (error) {
    fabric.close();
    watch.close();
    throw error;
  }
}

/** Does a node's process run? Nobody attaches to what a dead one has left. */
function runs(region: string): boolean {
  try {
    new ShmFabric({ regions: [region], localBytes: 1 << 16, prefault: false }).close();
    return true;
  } catch (error) {
    if (error instanceof FabricError) return false;
    throw error;
  }
}

/** The configuration of a running pool, by its first node alive: node 0 may have died unseen by any master. */
async function readAnyConfig(
  pool: string,
  { names, dead }: { names: readonly string[]; dead: readonly number[] },
): Promise<PoolConfig> {
  let failure: unknown;
  for (let mn = 0; mn < NODES_MAX; mn++) {
    if (dead.includes(mn) || names[mn] === '') continue;
    try {
      return await readPoolConfig(pool, [...Array(mn).keys()]);
    } catch (error) {
      if (!(error instanceof FabricError)) throw error;
      failure ??= error;
    }
  }
  // None is there: the usual words for it.
  throw failure ?? (await readPoolConfig(pool).catch((error: unknown) => error));
}

/**
 * The master before may only have been stopped, in the middle of a repair or a recovery: none of its verbs
 * executes any more.
 */
async function fenceFormer(
  leader: ProcessId,
  { term, watch, log }: { term: Term; watch: NodeWatch; log?: ((line: string) => void) | undefined },
): Promise<void> {
  const us = thisProcess();
  if (leader.pid === us.pid && leader.startTime === us.startTime) return;
  const gone = await watch.deadOf([]);
  const regions = watch.regions.filter((name, mn) => name !== '' && !gone.includes(mn));
  await fenceAtLast(leader, regions, {
    isOver: () => !term.isHeld,
    onFailure: (error) => log?.(`the master before cannot be fenced yet: ${error.message}`),
  });
  if (!term.isHeld) throw new FabricError('another master has been elected while this one took over');
  log?.(`the master before (process ${leader.pid}) is fenced`);
}
