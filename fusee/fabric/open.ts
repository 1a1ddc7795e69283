/** Which fabric leads to a pool's nodes, and how to open it: the one place that knows all real ones. */
import { UsageError } from '../verbs/index.js';
import type { SessionSettings } from './native-fabric.js';
import { readSecret, secretPath } from './secret.js';
import { ShmFabric } from './shm.js';
import { regionName } from './shm-process.js';
import { openTcpFabric, type TcpFabric } from './tcp.js';

/** Fabrics that reach other processes. */
export const HOST_FABRICS = ['shm', 'tcp'] as const;
/** One of {@link HOST_FABRICS}. */
export type HostFabricKind = (typeof HOST_FABRICS)[number];
/** A fabric that reaches other processes. */
export type HostFabric = ShmFabric | TcpFabric;

/** How the nodes of a pool are reached. */
export interface NodeAccess {
  /** The pool's name. */
  readonly pool: string;
  /** @default 'shm' */
  readonly fabric?: HostFabricKind;
  /** Over a network: where each node listens, "host:port", in the order of their numbers. */
  readonly nodes?: readonly string[];
  /** The file with the pool's secret. @default the one that its master or its nodes have made on this host */
  readonly secretFile?: string;
}

/** Refuses an access that leads nowhere. @throws UsageError saying what is missing. */
export function checkAccess({ fabric = 'shm', nodes }: NodeAccess): void {
  if (!HOST_FABRICS.includes(fabric)) {
    throw new UsageError(`fabric '${fabric}' is unknown; choose one of ${HOST_FABRICS.join(', ')}`);
  }
  if (fabric === 'shm' && nodes !== undefined) {
    throw new UsageError('addresses of nodes are for fabrics over a network; choose one, or leave them out');
  }
  if (fabric !== 'shm' && !(Array.isArray(nodes) && nodes.length > 0)) {
    throw new UsageError(`fabric '${fabric}' needs the addresses of all nodes, such as 127.0.0.1:7300`);
  }
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
 * @throws FabricError when a node is not there; UsageError when the secret is wrong.
 */
export async function openFabric(
  access: NodeAccess,
  places: readonly string[],
  settings: SessionSettings & { prefault?: boolean },
): Promise<HostFabric> {
  if ((access.fabric ?? 'shm') === 'shm') return new ShmFabric({ ...settings, regions: places });
  const { prefault, ...rest } = settings;
  return await openTcpFabric({ ...rest, addresses: places, secret: secretOf(access) });
}

/** The pool's secret. @throws UsageError when it cannot be read. */
export const secretOf = ({ pool, secretFile }: NodeAccess): Buffer =>
  readSecret(secretFile ?? secretPath(pool));
