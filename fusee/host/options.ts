/** How a master is run. */
import { parseAddress } from '../control/channel.js';
import type { NodeAccess } from '../fabric/open.js';
import { EtcdStore, FileStore, type Store } from '../store/index.js';
import { UsageError } from '../verbs/index.js';

/** How a master is run, and how it reaches the nodes. */
export interface HostOptions extends NodeAccess {
  /**
   * A client that is silent for so long is fenced. @default {@link DEFAULT_LEASE_MS}; with etcd
   *   {@link LEASE_ELECTIONS} times the election time
   */
  readonly leaseMs?: number;
  /** Where masters keep what their successor must know: `etcd://host:port[,host:port]`. @default embedded */
  readonly store?: string;
  /** With etcd: a master that it has not heard of for so many seconds is replaced. @default 2 */
  readonly electionSeconds?: number;
  /** Over a network: "host:port" at which clients and nodes of other hosts find this master. @default nowhere */
  readonly listen?: string;
  /** A client that holds a place at the nodes has so long to come to the master. @default 15 s */
  readonly joinGraceMs?: number;
  /** Waits while another master leads. @default with etcd it does, embedded that is refused */
  readonly standsBy?: boolean;
  /**
   * Prepares this process for the first recovery as soon as it leads (`rehearsal.ts`): some 200 ms of
   * processor time. For processes that are there to be masters. @default false
   */
  readonly rehearses?: boolean;
  /** Ends the wait of a master that stands by. */
  readonly signal?: AbortSignal;
  /** Another master leads, and this one waits. */
  readonly onStandby?: () => void;
  /** Another master leads in this one's place; it has ended by itself. */
  readonly onDeposed?: (reason: string) => void;
  /** Told what happens, a line each. */
  readonly log?: (line: string) => void;
}

/**
 * Long: on shared memory the death of a process is seen at once, and only one that is stopped waits for it.
 */
export const DEFAULT_LEASE_MS = 1000;
/** Shorter ones would end under clients that merely wait for a processor. */
export const LEASE_LEAST_MS = 50;
const LEASE_MOST_MS = 600_000;
/** Leases outlast the failover of a master: by default so many of its election times. */
export const LEASE_ELECTIONS = 3;
/** At least so many, since the election begins when the time is over. */
const LEASE_ELECTIONS_LEAST = 2;
/** Default of `electionSeconds`. */
export const ELECTION_SECONDS_DEFAULT = 2;

/** The lease that the options come to. @throws UsageError when it is out of limits. */
export function leaseOf({ leaseMs, store, electionSeconds }: HostOptions): number {
  const electionMs = isEmbedded(store) ? 0 : 1000 * (electionSeconds ?? ELECTION_SECONDS_DEFAULT);
  const lease = leaseMs ?? (electionMs > 0 ? LEASE_ELECTIONS * electionMs : DEFAULT_LEASE_MS);
  const leastMs = LEASE_ELECTIONS_LEAST * electionMs;
  if (lease < leastMs) {
    throw new UsageError(
      `the lease is ${lease} ms, and the election time ${electionMs} ms; choose a lease of ${leastMs} ms or more: ` +
        'it must outlast the failover of a master',
    );
  }
  if (lease >= LEASE_LEAST_MS && lease <= LEASE_MOST_MS) return lease;
  throw new UsageError(
    `the lease is ${lease} ms; choose ${LEASE_LEAST_MS} ms to 10 min: a shorter one would end under ` +
      'clients that merely wait for a processor',
  );
}

/** The store that the options name. @throws UsageError when there is no such store, or it does not fit. */
export function storeOf({
  pool,
  fabric = 'shm',
  store,
  electionSeconds,
  standsBy,
  listen,
}: HostOptions): Store {
  if (fabric === 'verbs' && (!isEmbedded(store) || standsBy === true)) {
    throw new UsageError(
      `a master that reaches the pool over ${fabric} cannot fence the one before it; ` +
        'leave --standby and --store out, and start the next one when it has ended',
    );
  }
  if (fabric === 'shm' && listen !== undefined) {
    throw new UsageError(
      `the master is to listen at ${listen}, but clients of other hosts have no way to nodes on shared ` +
        'memory; give --fabric tcp or verbs, or leave --listen out',
    );
  }
  if (listen !== undefined) parseAddress(listen);
  if (!isEmbedded(store))
    return new EtcdStore(pool, { url: store, seconds: electionSeconds ?? ELECTION_SECONDS_DEFAULT });
  if (electionSeconds === undefined) return new FileStore(pool, { waits: standsBy ?? false });
  throw new UsageError(
    `an election time of ${electionSeconds} s is given, but no etcd; leave it out, or give --store etcd://host:port`,
  );
}

/** Is it the store in a file of this host, which needs no other process? */
export const isEmbedded = (store: string | undefined): store is undefined | 'embedded' =>
  store === undefined || store === 'embedded';
