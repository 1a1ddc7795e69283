/**
 * A master takes its pool over, from another master or from nobody.
 *
 * The order matters: it leads before it looks at anything; the master before is fenced before anything is
 * done in its place, for on shared memory its own CPU executes its verbs; and what it left is kept under the
 * new master's name before that one acts, so that the next one knows whom to fence.
 */
import { randomInt } from 'node:crypto';
import { readPoolConfig } from '../client/connect.js';
import type { ToldView } from '../control/messages.js';
import { type HostFabric, type NodeAccess, openFabric, placeOf } from '../fabric/open.js';
import { keepSecret, makeControlFolder, readSecret, secretPath } from '../fabric/secret.js';
import { findRegion, regionName, thisProcess } from '../fabric/shm-process.js';
import { drawClientKey } from '../fabric/tcp.js';
import { IndexCache } from '../index/index.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { REPAIR_BYTES, USHER_BYTES } from '../master/index.js';
import { ClientState, CONTEXT_BYTES } from '../ops/index.js';
import { inHands, isSamePool, type MasterState, type Term, toFence } from '../store/index.js';
import { FabricError } from '../verbs/index.js';
import { fenceAtLast, isHere } from './fence.js';
import { NodeWatch } from './node-watch.js';
import { type HostOptions, leaseOf, storeOf } from './options.js';

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
  /** Over TCP: what nodes know all connections of this master by, so that its successor can fence it. */
  readonly key: bigint | undefined;
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
    // Whoever comes next has to fence whom this one has not.
    await term.resign(term.left === undefined ? null : inHands(term.left));
    throw error;
  }
}

const secretOf = ({ pool, secretFile }: HostOptions): Buffer =>
  secretFile === undefined ? keepSecret(secretPath(pool)).secret : readSecret(secretFile);

async function attach(options: HostOptions, term: Term, secret: Buffer): Promise<Seat> {
  const { pool, fabric: kind, nodes, secretFile, log } = options;
  const given: NodeAccess = { pool, fabric: kind, nodes, secretFile };
  const { access, names, left } = await recognize(given, term.left);
  const { view: told, next } = left?.record ?? { view: { number: 1, dead: [] }, next: undefined };
  const dead = [...(next?.joins === undefined ? (next ?? told) : told).dead];
  const config = await readAnyConfig(access, { names, dead });
  const view = new View(new Geometry(config));
  if (dead.length > 0) view.change(told.number, dead);
  const places: string[] = [];
  for (let mn = 0; mn < config.nodes; mn++) {
    // A name that somebody has taken whose joining was not kept leads to no node of this pool.
    const isKnown = left === undefined || left.pool[mn] === names[mn];
    places.push(!view.isDead(mn) && isKnown && (await runs(access, mn)) ? placeOf(access, mn) : '');
  }
  const localBytes = CONTEXT_BYTES + REPAIR_BYTES + USHER_BYTES + (1 << 20);
  const key = kind === 'tcp' ? drawClientKey() : undefined;
  const known = key === undefined ? {} : { clientKey: key };
  const fabric = await openFabric(access, places, { localBytes, prefault: false, ...known });
  // Whatever a client that dies may leave behind.
  if (fabric.kind === 'shm') fabric.touchAhead();
  let watch: NodeWatch | undefined;
  try {
    watch = await NodeWatch.open({
      ...{ access, places, clientKey: key, leaseMs: leaseOf(options), log },
      ...{ expelled: left?.expelled, mayJudge: () => term.isHeld },
    });
    for (const one of left === undefined ? [] : toFence(left))
      await fenceFormer(one, { access, term, watch, log });
    const cid = MASTER_CIDS + randomInt(MASTER_CID_COUNT);
    const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
    const state = new ClientState({ view, local: fabric.local, cache, cid, clientIndex: 0, coroutines: 1 });
    return { term, secret, left, access: given, fabric, watch, state, key };
  } catch (error) {
    fabric.close();
    await watch?.close();
    throw error;
  }
}

/**
 * Is what the master before has left of this very pool? Over TCP a node's place may be at another address by
 * now than was given, and that master knew it.
 */
async function recognize(
  given: NodeAccess,
  left: MasterState | undefined,
): Promise<{ access: NodeAccess; names: string[]; left: MasterState | undefined }> {
  const isOverTcp = given.fabric === 'tcp';
  if (left !== undefined) {
    // Addresses that were given may have changed since; of dead nodes none is known.
    const places = left.places?.map((place, mn) => place || (given.nodes?.[mn] ?? ''));
    const access = places === undefined || !isOverTcp ? given : { ...given, nodes: places };
    const names = isOverTcp ? await identitiesOf(access) : namesOf(access, { nodes: NODES_MAX });
    if (isSamePool(left.pool, names)) return { access, names, left };
  }
  const names = isOverTcp ? await identitiesOf(given) : namesOf(given, { nodes: NODES_MAX });
  return { access: given, names, left: undefined };
}

/**
 * What tells the memory of each node from any other that has borne its name; '' for what is not there, or is
 * reached over verbs, where nothing tells.
 * @param known.fabric to those nodes, over TCP.
 */
export function namesOf(
  { pool, fabric: kind = 'shm' }: NodeAccess,
  { nodes, fabric }: { nodes: number; fabric?: HostFabric },
): string[] {
  if (fabric?.kind === 'tcp') return fabric.nodes.map(nameOf);
  return Array.from({ length: nodes }, (_, mn) =>
    kind === 'shm' ? (findRegion(regionName(pool, mn))?.id ?? '') : '',
  );
}

/** Over a network: where nodes are by now, and which of them are elsewhere than the master was told. */
export function placesToTell({
  access,
  watch,
}: Pick<Seat, 'access' | 'watch'>): Pick<ToldView, 'nodes' | 'moved'> {
  if (access.nodes === undefined) return {};
  const { places } = watch;
  const moved = [...places.keys()].filter((mn) => places[mn] !== '' && places[mn] !== access.nodes?.[mn]);
  return { nodes: [...places], moved };
}

const nameOf = (identity: bigint): string => (identity === 0n ? '' : String(identity));

/** The same of nodes that nobody has connected to yet. */
const identitiesOf = (access: NodeAccess): Promise<string[]> =>
  Promise.all(
    (access.nodes ?? []).map(async (place) => {
      if (place === '') return '';
      try {
        const fabric = await openFabric(access, [place], { localBytes: 1 << 16, prefault: false });
        fabric.close();
        return fabric.kind === 'tcp' ? nameOf(fabric.nodes[0]) : '';
      } catch (error) {
        if (error instanceof FabricError) return '';
        throw error;
      }
    }),
  );

/** Does a node's process run? Nobody attaches to what a dead one has left. */
async function runs(access: NodeAccess, mn: number): Promise<boolean> {
  if (access.nodes?.[mn] === '') return false;
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
    if (dead.includes(mn) || (access.fabric !== 'verbs' && names[mn] === '')) continue;
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
  leader: NonNullable<MasterState['leader']>,
  {
    access,
    term,
    watch,
    log,
  }: { access: NodeAccess; term: Term; watch: NodeWatch; log: ((line: string) => void) | undefined },
): Promise<void> {
  const us = thisProcess();
  if (isHere(leader) && leader.pid === us.pid && leader.startTime === us.startTime) return;
  const gone = await watch.deadOf([]);
  // Over TCP its nodes end its connections, wherever it runs.
  const former = { process: leader, key: leader.key === undefined ? undefined : BigInt(leader.key) };
  await fenceAtLast(former, access, {
    nodes: () => watch.living(gone).filter(({ place }) => place !== ''),
    isOver: () => !term.isHeld,
    onFailure: (error) => log?.(`the master before cannot be fenced yet: ${error.message}`),
  });
  if (!term.isHeld) throw new FabricError('another master has been elected while this one took over');
  log?.(`the master before (process ${leader.pid}) is fenced`);
}
