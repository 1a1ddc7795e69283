/** How a master is run. */
import type { NodeAccess } from '../fabric/open.js';
import { UsageError } from '../verbs/index.js';

/** How a master is run, and how it reaches the nodes. */
export interface HostOptions extends NodeAccess {
  /** A client that is silent for so long is fenced. @default {@link DEFAULT_LEASE_MS} */
  readonly leaseMs?: number;
  /** Told what happens, a line each. */
  readonly log?: (line: string) => void;
}

/**
 * Long: on shared memory the death of a process is seen at once, and only one that is stopped waits for it.
 */
export const DEFAULT_LEASE_MS = 1000;
/** Shorter ones would end under clients that merely wait for a processor. */
export const LEASE_LEAST_MS = 50;

/** The lease asked for, in milliseconds. @throws UsageError when it is out of limits. */
export function checkLease({ leaseMs = DEFAULT_LEASE_MS }: HostOptions): number {
  if (leaseMs >= LEASE_LEAST_MS && leaseMs <= 600_000) return leaseMs;
  throw new UsageError(
    `the lease is ${leaseMs} ms; choose ${LEASE_LEAST_MS} ms to 10 min: a shorter one would end under ` +
      'clients that merely wait for a processor',
  );
}
