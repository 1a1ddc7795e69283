/** Processes and names on one host's shared memory: who lives, whom to fence, what to sweep. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { native, type ProcessId } from '../../native/index.js';
import { FabricError, UsageError } from '../verbs/index.js';

export type { ProcessId };

/** The name of an MN's region: `fusee-<pool>-<mn>`, a file in /dev/shm. */
export const regionName = (pool: string, mn: number): string => `fusee-${pool}-${mn}`;

/** The name of the region of a process that is to take an MN's place. */
export const nextRegionName = (pool: string, mn: number): string => `${regionName(pool, mn)}.next`;

/** The name of the region of a process that waits for any place. */
export const spareRegionName = (pool: string, pid: number): string => `fusee-${pool}-spare.${pid}`;

/**
 * A region that is there: what tells it from any other that has borne its name, and when it was made, in ms
 * since 1970. undefined: there is none.
 */
export function findRegion(name: string): { id: string; madeMs: number } | undefined {
  const stats = statSync(`/dev/shm/${name}`, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { id: `${boot}:${stats.ino}`, madeMs: stats.ctimeMs };
}

/** This process, as others may fence it. */
export const thisProcess = (): ProcessId => findProcess(process.pid)!;

/**
 * Names the set of processes that this one can see: a host since its boot, or a container on it. Only there a
 * pid says anything.
 */
export function thisHost(): string {
  host ??= `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${statSync('/proc/self/ns/pid').ino}`;
  return host;
}
let host: string | undefined;

/** The same as 32 bits, where there is no room for more. */
export const hostNumber = (): number => createHash('sha256').update(thisHost()).digest().readUInt32LE();

/** The living process of that pid, or null; a zombie counts as gone. */
export const findProcess = (pid: number): ProcessId | null => native().findProcess(pid);

/**
 * Ties this process to the one that started it, for the case that that one is killed while this one is
 * stopped, or is too busy to see its channel close. To be called first of all.
 *
 * The kernel watches the parent's *thread*. Children are forked by the main thread of the bench, and a Node
 * process ends with its main thread: whoever forks from a worker thread would lose them with that worker.
 * @param parentPid who the parent was when it started this process.
 * @param options.isWoken only wake this process, so that it ends itself in order: one that holds a region has
 *   to remove it. @default it is killed
 * @returns false when the parent has died already.
 */
export const followParent = (parentPid: number, options: { isWoken?: boolean } = {}): boolean =>
  callNative(() => native().followParent(parentPid, options.isWoken ?? false));

/**
 * Removes regions of dead runs: those whose recorded owner is gone. Regions of living owners, of other users,
 * and files of other programs stay.
 * @param pool only this pool's. @default all pools
 * @returns the names removed.
 */
export const sweepRegions = (pool?: string): string[] =>
  native().sweepRegions(pool === undefined ? 'fusee-' : `fusee-${pool}-`);

/**
 * Kills a client and waits until its threads that had sessions at these regions have ended, or it is gone;
 * afterwards nothing it posted executes (contract, rule 6). Those threads execute its verbs; requests that it
 * left in the regions' RPC slots are withdrawn, and one being served is waited for.
 * @param options.regions names of all regions the client could call.
 * @throws FabricError when the process has not exited by the deadline, or a node still serves its request.
 */
export async function fenceProcess(
  id: ProcessId,
  options: { regions?: readonly string[]; deadlineMs?: number } = {},
): Promise<void> {
  const { regions = [], deadlineMs = 5000 } = options;
  try {
    await native().fenceProcess(id, { regions, deadlineNs: deadlineMs * 1e6 });
  } catch (error) {
    throw asFuseeError(error);
  }
}

/** Runs a native call and gives its errors their class. */
export function callNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asFuseeError(error);
  }
}

/** An error of the addon in its class; others as they are. */
export function asFuseeError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'USAGE') return new UsageError(error.message);
  if (error.code === 'FABRIC') return new FabricError(error.message, { definite: true, cause: error });
  return error;
}
