/** Which fabric leads to a pool's nodes, and how to open it: the one place that knows all real ones. */
import { UsageError } from '../verbs/index.js';
import type { SessionSettings } from './native-fabric.js';
import { readSecret, secretPath } from './secret.js';
import { ShmFabric } from './shm.js';
import { regionName } from './shm-process.js';
import { fenceOverTcp, openTcpFabric, type TcpFabric } from './tcp.js';
import { fenceOverVerbs, type RdmaChoice, VerbsFabric } from './verbs.js';

/** Fabrics that reach other processes. */
export const HOST_FABRICS = ['shm', 'tcp', 'verbs'] as const;
/** One of {@link HOST_FABRICS}. */
export type HostFabricKind = (typeof HOST_FABRICS)[number];
/** A fabric that reaches other processes. */
export type HostFabric = ShmFabric | TcpFabric | VerbsFabric;

/** How the nodes of a pool are reached. */
export interface NodeAccess {
  /** The pool's name. */
  readonly pool: string;
  /** @default 'shm' */
  readonly fabric?: HostFabricKind;
  /** Over a network: where each node listens, "host:port", in the order of their numbers. */
  readonly nodes?: readonly string[];
  /**
   * Over a network: where masters of the pool listen, "host:port" each; the one that leads tells where the
   * nodes are. @default a master of this host, if there is one
   */
  readonly master?: readonly string[];
  /** The file with the pool's secret. @default the one that its master or its nodes have made on this host */
  readonly secretFile?: string;
  /** Over verbs: which RDMA device, and how queue pairs are connected. */
  readonly rdma?: RdmaChoice;
}

/** Refuses an access that leads nowhere. @throws UsageError saying what is missing. */
export function checkAccess({ fabric = 'shm', nodes, master }: NodeAccess): void {
  if (!HOST_FABRICS.includes(fabric)) {
    throw new UsageError(`fabric '${fabric}' is unknown; choose one of ${HOST_FABRICS.join(', ')}`);
  }
  if (fabric === 'shm' && (nodes ?? master) !== undefined) {
    const what = nodes === undefined ? 'of masters' : 'of nodes';
    throw new UsageError(`addresses ${what} are for fabrics over a network; choose one, or leave them out`);
  }
  const isGiven = (list: unknown): boolean => Array.isArray(list) && list.length > 0;
  if (fabric !== 'shm' && !isGiven(nodes) && !(nodes === undefined && isGiven(master))) {
    throw new UsageError(
      `fabric '${fabric}' needs the addresses of all nodes, such as 127.0.0.1:7300, or that of the master`,
    );
  }
}

/** Where a master says that nodes are. */
interface ToldPlaces {
  /** By node. */
  readonly nodes?: readonly string[] | undefined;
  /** Nodes that are elsewhere now than when the master was started. */
  readonly moved?: readonly number[] | undefined;
}

/**
 * The access by what a master has told. Addresses that were given stay, since hosts may see others than the
 * master does, but for nodes whose place another process has taken since.
 */
export function accessAsTold(access: NodeAccess, { nodes: told, moved = [] }: ToldPlaces = {}): NodeAccess {
  if ((access.fabric ?? 'shm') === 'shm' || told === undefined) return access;
  const { nodes } = access;
  if (nodes === undefined) return { ...access, nodes: told };
  return { ...access, nodes: nodes.map((given, mn) => (moved.includes(mn) ? (told[mn] ?? given) : given)) };
}

/** Where node `mn` is: the name of a region, or an address. @throws UsageError when none was given. */
export function placeOf(access: NodeAccess, mn: number): string {
  if ((access.fabric ?? 'shm') === 'shm') return regionName(access.pool, mn);
  const address = access.nodes?.[mn];
  if (address !== undefined && address !== '') return address;
  throw new UsageError(`node ${mn} of pool '${access.pool}' has no address; give those of all its nodes`);
}

/**
 * Opens a fabric to nodes at those places, '' for those that are known to be dead.
 * @param settings.clientKey over TCP: what nodes are to know this client by. @default drawn
 * @throws FabricError when a node is not there; UsageError when the secret is wrong.
 */
export async function openFabric(
  access: NodeAccess,
  places: readonly string[],
  settings: SessionSettings & { prefault?: boolean; clientKey?: bigint },
): Promise<HostFabric> {
  const { prefault, clientKey, ...rest } = settings;
  if ((access.fabric ?? 'shm') === 'shm')
    return new ShmFabric({ ...rest, ...(prefault === undefined ? {} : { prefault }), regions: places });
  if (access.fabric === 'verbs') {
    return new VerbsFabric({ ...rest, ...access.rdma, addresses: places, secret: secretOf(access) });
  }
  const key = clientKey === undefined ? {} : { clientKey };
  return await openTcpFabric({ ...rest, ...key, addresses: places, secret: secretOf(access) });
}

/**
 * Refuses a fabric whose CAS and FAA would not be atomic with those of the pool's other clients.
 * @throws UsageError saying which fabric to use.
 */
export function requireOwnAtomics(fabric: HostFabric, pool: string): void {
  if (fabric.kind !== 'shm' || !fabric.meetsNic) return;
  throw new UsageError(
    `pool '${pool}' is served over verbs: atomics of a NIC and of a processor on one word lose updates; ` +
      'use --fabric verbs here too',
  );
}

/** The pool's secret. @throws UsageError when it cannot be read. */
export const secretOf = ({ pool, secretFile }: NodeAccess): Buffer =>
  readSecret(secretFile ?? secretPath(pool));

/**
 * Has the nodes at those places end a client for good: afterwards nothing it posted executes there. Errors as
 * of the fabric's own fence.
 */
export function fenceAtNodes(access: NodeAccess, addresses: readonly string[], key: bigint): Promise<void> {
  const secret = secretOf(access);
  if (access.fabric === 'verbs') return fenceOverVerbs(key, { ...access.rdma, addresses, secret });
  return fenceOverTcp(key, { addresses, secret });
}
