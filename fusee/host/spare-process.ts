/**
 * A spare: a process that waits for any place of a running pool, with memory that is reserved already. It
 * belongs to the pool, and not to one master: when that is gone it waits for the next one, and tells it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { findPool } from '../client/connect.js';
import { askView } from '../control/link.js';
import { hasMaster, type MasterAddress } from '../control/session.js';
import { type SpareOutcome, waitForPlace } from '../control/spare.js';
import type { ShmNode } from '../fabric/shm-node.js';
import { findRegion, regionName, sweepRegions } from '../fabric/shm-process.js';
import type { PoolConfig } from '../layout/index.js';
import { type ReservedNode, reserveShmNode } from '../node/index.js';
import { FabricError, UsageError } from '../verbs/index.js';

/** From one look for a master to the next. */
const RETRY_MS = 100;
/** Places that it may be refused for, one after another. */
const REFUSALS_MAX = 3;

/** How a spare is run. */
export interface SpareOptions extends MasterAddress {
  /** What its memory is made for; the pool's own configuration is the one that is right. */
  readonly shapeOf: (pool: PoolConfig) => PoolConfig;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Another process has its place. */
  readonly onParted: (mn: number) => void;
  /** The pool goes on without this process. */
  readonly onExpelled: (mn: number) => void;
  /** Told how it stands, a line each. */
  readonly say: (line: string) => void;
}

/**
 * Waits for a place of the pool, and resolves when this process has one: its node, which serves; undefined
 * when it was told to end before. Nothing is left of one that has no place.
 * @throws UsageError when the pool has no master, or that cannot have this spare, or the secrets differ;
 *   FabricError when the pool does not run, or has ended.
 */
export async function runSpare(options: SpareOptions): Promise<{ mn: number; node: ShmNode } | undefined> {
  const { pool, secretFile, signal, say } = options;
  if (!(await hasMaster({ pool }))) {
    throw new UsageError(
      `pool '${pool}' has no master, and nobody else gives places to spares; start one with fusee master`,
    );
  }
  const { view } = await findPool({ pool }, await askView({ pool, secretFile }));
  const config = options.shapeOf(view.geometry.config);
  for (let refusals = 0; !signal.aborted; await nextMaster(pool, config, signal)) {
    const outcome = await waitOnce(options, config);
    switch (outcome.is) {
      case 'entered':
        return { mn: outcome.mn, node: outcome.node };
      case 'refused':
        if (outcome.mn === undefined || ++refusals === REFUSALS_MAX)
          throw new UsageError(`the master of pool '${pool}' cannot have this spare: ${outcome.reason}`);
        say(`the place of node ${outcome.mn} is not this spare's: ${outcome.reason}`);
        break;
      case 'masterless':
        say(`the master of pool '${pool}' is gone; this spare waits for the next one`);
    }
  }
  return undefined;
}

type Waited = Exclude<SpareOutcome, { is: 'entered' }> | { is: 'entered'; mn: number; node: ShmNode };

/** One session with one master, with memory that nothing has been copied to. */
async function waitOnce(options: SpareOptions, config: PoolConfig): Promise<Waited> {
  const { pool, secretFile, signal, say, onParted, onExpelled } = options;
  const reserved: ReservedNode = reserveShmNode({ pool, config });
  const { node } = reserved;
  const hands = {
    onWaiting: () => say(`a spare of pool '${pool}' waits for a place (${node.name}); end it with Ctrl-C`),
    become: (mn: number) => {
      say(`the place of node ${mn} is to be this spare's: it is filled`);
      reserved.become(mn, { onParted: () => onParted(mn), onExpelled: () => onExpelled(mn) });
    },
    take: () => node.takePlace(),
  };
  let outcome: SpareOutcome | undefined;
  try {
    outcome = await waitForPlace({ pool, secretFile }, { config, hands, signal });
    return outcome.is === 'entered' ? { ...outcome, node } : outcome;
  } catch (error) {
    // The master that was there a moment ago is not there any more.
    if (error instanceof FabricError && !(await hasMaster({ pool }))) return { is: 'masterless' };
    throw error;
  } finally {
    if (outcome?.is !== 'entered') node.close();
  }
}

/** Waits until the pool has a master. @throws FabricError when there is no pool any more. */
async function nextMaster(pool: string, { nodes }: PoolConfig, signal: AbortSignal): Promise<void> {
  do {
    await pause(RETRY_MS);
    sweepRegions(pool);
    const isThere = Array.from({ length: nodes }, (_, mn) => findRegion(regionName(pool, mn)));
    if (isThere.every((region) => region === undefined))
      throw new FabricError(`pool '${pool}' has ended, and so does its spare`);
  } while (!signal.aborted && !(await hasMaster({ pool })));
}
