/** Fences a client's process until that is done. */
import { setTimeout as pause } from 'node:timers/promises';
import { fenceProcess, type ProcessId } from '../fabric/shm-process.js';

/** From one try to the next. */
const RETRY_MS = 5;

/**
 * Fences a process: afterwards none of its verbs executes any more. Nobody may be recovered who might still
 * be at work (hazard H7), so what fails is tried again, until it is over with.
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
