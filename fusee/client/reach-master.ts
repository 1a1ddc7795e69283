/** Finds the master of a pool, or waits for the next one. */
import { lstatSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { socketPath } from '../control/channel.js';
import { MasterLink } from '../control/link.js';
import { hasMaster, type MasterAddress } from '../control/session.js';
import { findRegion, regionName } from '../fabric/shm-process.js';
import { FabricError } from '../verbs/index.js';

/** Longer than a failover of masters. */
const TAKEOVER_MS = 10_000;
const RETRY_MS = 50;
const NODES_MAX = 64;

/**
 * Opens a link to a pool's master; null: it has none. Where one has died, the next one is waited for: a client
 * that no master knows would be at work while the view changes.
 * @throws FabricError when none takes over; UsageError when the secrets differ.
 */
export async function reachMaster(
  address: MasterAddress,
  { takeoverMs = TAKEOVER_MS }: { takeoverMs?: number } = {},
): Promise<MasterLink | null> {
  const { pool } = address;
  for (const endMs = performance.now() + takeoverMs; ; await pause(RETRY_MS)) {
    try {
      if (await hasMaster(address)) return await MasterLink.open(address);
      if (!hasHadMaster(pool)) return null;
    } catch (error) {
      // It may be the one that is being replaced.
      if (!(error instanceof FabricError) || performance.now() > endMs) throw error;
    }
    if (performance.now() > endMs) {
      throw new FabricError(
        `the master of pool '${pool}' has died, and none has taken over within ${takeoverMs / 1000} s; ` +
          `start one: fusee master --pool ${pool}`,
      );
    }
  }
}

/** A master that ends in order takes its name away; one that was killed leaves it, younger than the pool. */
function hasHadMaster(pool: string): boolean {
  const name = lstatSync(socketPath(pool), { throwIfNoEntry: false });
  if (name === undefined) return false;
  for (let mn = 0; mn < NODES_MAX; mn++) {
    const region = findRegion(regionName(pool, mn));
    if (region !== undefined && region.madeMs <= name.mtimeMs) return true;
  }
  return false;
}
