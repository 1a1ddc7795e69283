/** How the kernel scheduled this process: whether it had a core when it wanted one. */
import { readFileSync } from 'node:fs';

/** Sums since the process began. */
export interface Scheduling {
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  /** How long the main thread was ready to run and had no core; null when the kernel does not count it. */
  readonly coreWaitNs: number | null;
}

/** Reads the sums of this process; those of waiting are of its main thread. */
export function readScheduling(): Scheduling {
  const { voluntaryContextSwitches, involuntaryContextSwitches } = process.resourceUsage();
  return {
    voluntarySwitches: voluntaryContextSwitches,
    involuntarySwitches: involuntaryContextSwitches,
    coreWaitNs: readCoreWaitNs(),
  };
}

/** What came to them since `before`. */
export function schedulingSince(before: Scheduling, now = readScheduling()): Scheduling {
  const isCounted = now.coreWaitNs !== null && before.coreWaitNs !== null;
  return {
    voluntarySwitches: now.voluntarySwitches - before.voluntarySwitches,
    involuntarySwitches: now.involuntarySwitches - before.involuntarySwitches,
    coreWaitNs: isCounted ? (now.coreWaitNs ?? 0) - (before.coreWaitNs ?? 0) : null,
  };
}

/** The second of three numbers: time on a core, time waited for one, times it got one. */
function readCoreWaitNs(): number | null {
  try {
    const text = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8');
    const waited = Number(text.split(' ')[1]);
    return Number.isFinite(waited) ? waited : null;
  } catch (error) {
    // A kernel without schedstats has no such file.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
