/** Clients' processes: whether they live, and how they are fenced. */
import { setTimeout as pause } from 'node:timers/promises';
import { fenceProcess, findProcess, type ProcessId } from '../fabric/shm-process.js';

/** From one try to the next. */
const RETRY_MS = 5;
/** The kernel closes the socket of a dying process before others see it gone: it is looked for so often. */
const LOOKS = 100;
const LOOK_MS = 1;

/**
 * Fences a process: afterwards none of its verbs executes any more. Nobody may be recovered who might still be
 * at work (hazard H7), so what fails is tried again, until it is over with.
 * @param regions that the process may have attached to.
 */
export async function fenceAtLast(
  process: ProcessId,
  regions: string[],
  { isOver, onFailure }: { isOver: () => boolean; onFailure: (error: Error) => void },
): Promise<void> {
  while (!isOver()) {
    try {
      await fenceProcess(process, { regions });
      return;
    } catch (error) {
      onFailure(error as Error);
      await pause(RETRY_MS);
    }
  }
}

/** Does this very process run? */
export const isAlive = ({ pid, startTime }: ProcessId): boolean => findProcess(pid)?.startTime === startTime;

/** Looks at a process whose connection has closed, for a while. True: it has ended. */
export async function ends(process: ProcessId, isOver: () => boolean): Promise<boolean> {
  for (let look = 0; look <= LOOKS && !isOver(); look++) {
    if (!isAlive(process)) return true;
    await pause(look === 0 ? 0 : LOOK_MS);
  }
  return false;
}
