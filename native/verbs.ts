/**
 * The verbs addon, typed. It is one of its own: hosts without rdma-core build everything else, and lack only
 * this. Only `fusee/fabric` uses it.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { addonPath, type ClientSession } from './index.js';

/** Which RDMA device is used; what is left out is chosen: the first active port, its RoCE v2 GID of IPv4. */
export interface DeviceChoice {
  device?: string | undefined;
  devicePort?: number | undefined;
  gid?: number | undefined;
}

/** What a session over verbs takes. */
export interface VerbsClientOptions extends DeviceChoice {
  /** By node; an empty host stands for a node that is known to be dead. */
  hosts: readonly string[];
  ports: readonly number[];
  secret: Uint8Array;
  /** Names the client; not 0. */
  key: bigint;
  /** Queue pairs are connected by rdma_cm, not by an exchange of addresses. */
  isByCm: boolean;
  localBytes: number;
  queueCapacity: number;
  rpcTimeoutNs: number;
}

/** A session over verbs. */
export interface VerbsClient extends ClientSession {
  readonly device: string;
  /** Posts the batch at `offset` as often as `timesNs` is long; it gets each round trip's nanoseconds. */
  replayBatch(offset: number, timesNs: Float64Array): void;
  /** Asks all nodes to end the queue pairs of that client. */
  fence(key: bigint): void;
  /** Nodes that have not answered yet; -1: some never will. */
  fences(): number;
  /** Why verbs to a node FAIL; empty while they do not. */
  reasonOf(mn: number): string;
}

/** What a memory node's service takes. */
export interface VerbsNodeOptions extends DeviceChoice {
  region: string;
  host: string;
  port: number;
  secret: Uint8Array;
}

/** A memory node's service: a native thread. */
export interface VerbsNode {
  readonly port: number;
  readonly device: string;
  readonly hasConnectionManager: boolean;
  /** Why connections have been closed that did not simply end, since the last call. */
  takeReasons(): string[];
  close(): void;
}

/** Everything the verbs addon exports. */
export interface VerbsAddon {
  readonly VerbsClient: new (options: VerbsClientOptions) => VerbsClient;
  readonly VerbsNode: new (options: VerbsNodeOptions) => VerbsNode;
  /** RDMA devices of this host with their ports and GIDs, or "none". */
  describeDevices(): string;
}

let loaded: VerbsAddon | null | undefined;

/** The verbs addon, loaded at the first call; null where it was not built, for want of rdma-core's headers. */
export function verbsAddon(): VerbsAddon | null {
  if (loaded === undefined) {
    const path = join(dirname(addonPath()), 'verbs.node');
    loaded = existsSync(path) ? (createRequire(import.meta.url)(path) as VerbsAddon) : null;
  }
  return loaded;
}
