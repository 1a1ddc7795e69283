/**
 * A master takes its pool over, from another master or from nobody.
 *
 * The order matters: it leads before it looks at anything; the master before is fenced before anything is
 * done in its place, for on shared memory its own CPU executes its verbs; and what it left is kept under the
 * new master's name before that one acts, so that the next one knows whom to fence.
 */
import { randomInt } from 'node:crypto';
import { readPoolConfig } from '../client/connect.js';
import { type HostFabric, type NodeAccess, openFabric, placeOf } from '../fabric/open.js';
import { keepSecret, makeControlFolder, readSecret, secretPath } from '../fabric/secret.js';
import { findRegion, type ProcessId, regionName, thisProcess } from '../fabric/shm-process.js';
import { IndexCache } from '../index/index.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { REPAIR_BYTES, USHER_BYTES } from '../master/index.js';
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
  readonly access: NodeAccess;
  readonly fabric: HostFabric;
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
  secretFile === undefined ? keepSecret(secretPath(pool)).secret : readSecret(secretFile);

async function attach(options: HostOptions, term: Term, secret: Buffer): Promise<Seat> {
  const { pool, fabric: kind, nodes, secretFile, log } = options;
  const access: NodeAccess = { pool, fabric: kind, nodes, secretFile };
  const names = namesOf(access, NODES_MAX);
  const left = term.left !== undefined && isSamePool(term.left.pool, names) ? term.left : undefined;
  const { view: told, next } = left?.record ?? { view: { number: 1, dead: [] }, next: undefined };
  const dead = [...(next?.joins === undefined ? (next ?? told) : told).dead];
  const config = await readAnyConfig(access, { names, dead });
  const view = new View(new Geometry(config));
  if (dead.length > 0) view.change(told.number, dead);
  const places: string[] = [];
  for (let mn = 0; mn < config.nodes; mn++)
    places.push(!view.isDead(mn) && (await runs(access, mn)) ? placeOf(access, mn) : '');
  const localBytes = CONTEXT_BYTES + REPAIR_BYTES + USHER_BYTES + (1 << 20);
  const fabric = await openFabric(access, places, { localBytes, prefault: false });
  let watch: NodeWatch | undefined;
  try {
    watch = await NodeWatch.open(access, places);
    if (left?.leader !== undefined) await fenceFormer(left.leader, { access, term, watch, log });
    const cid = MASTER_CIDS + randomInt(MASTER_CID_COUNT);
    const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
    const state = new ClientState({ view, local: fabric.local, cache, cid, clientIndex: 0, coroutines: 1 });
    return { term, secret, left, access, fabric, watch, state };
  } catch (error) {
    fabric.close();
    await watch?.close();
    throw error;
  }
}

/**
 * What tells the memory of each node from any other that has borne its name; '' for what is not there, or is
 * reached over a network, where nothing tells.
 */
export const namesOf = ({ pool, fabric = 'shm' }: NodeAccess, nodes: number): string[] =>
  Array.from({ length: nodes }, (_, mn) =>
    fabric === 'shm' ? (findRegion(regionName(pool, mn))?.id ?? '') : '',
  );

/** Does a node's process run? Nobody attaches to what a dead one has left. */
async function runs(access: NodeAccess, mn: number): Promise<boolean> {
  try {
    (await openFabric(access, [placeOf(access, mn)], { localBytes: 1 << 16, prefault: false })).close();
    return true;
  } catch (error) {
    if (error instanceof FabricError) return false;
    throw error;
  }
}

/** The configuration of a running pool, by its first node alive: node 0 may have died unseen. */
async function readAnyConfig(
  access: NodeAccess,
  { names, dead }: { names: readonly string[]; dead: readonly number[] },
): Promise<PoolConfig> {
  let failure: unknown;
  for (let mn = 0; mn < (access.nodes?.length ?? NODES_MAX); mn++) {
    if (dead.includes(mn) || (access.nodes === undefined && names[mn] === '')) continue;
    try {
      return await readPoolConfig(access, [...Array(mn).keys()]);
    } catch (error) {
      if (!(error instanceof FabricError)) throw error;
      failure ??= error;
    }
  }
  // None is there: the usual words for it.
  throw failure ?? (await readPoolConfig(access).catch((error: unknown) => error));
}

/**
 * The master before may only have been stopped, in the middle of a repair or a recovery: none of its verbs
 * executes any more.
 */
async function fenceFormer(
  leader: ProcessId,
  {
    access,
    term,
    watch,
    log,
  }: { access: NodeAccess; term: Term; watch: NodeWatch; log: ((line: string) => void) | undefined },
): Promise<void> {
  const us = thisProcess();
  if (leader.pid === us.pid && leader.startTime === us.startTime) return;
  const gone = await watch.deadOf([]);
  const former = { process: leader, key: undefined };
  await fenceAtLast(former, access, {
    nodes: () => watch.living(gone).filter(({ place }) => place !== ''),
    isOver: () => !term.isHeld,
    onFailure: (error) => log?.(`the master before cannot be fenced yet: ${error.message}`),
  });
  if (!term.isHeld) throw new FabricError('another master has been elected while this one took over');
  log?.(`the master before (process ${leader.pid}) is fenced`);
}
