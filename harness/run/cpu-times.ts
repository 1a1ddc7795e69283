/** CPU time that went to us and to others while something was measured, as the kernel counts it. */
import { readFileSync } from 'node:fs';

/** CPU time since boot, in the kernel's ticks. */
export interface CpuTimes {
  /** What the hypervisor kept. */
  readonly steal: number;
  /** Of all cores, whatever they did. */
  readonly total: number;
  /** Of all cores, in which they ran anything. */
  readonly busy: number;
  /** Of our own processes. */
  readonly own: number;
  readonly cores: number;
}

/** Reads the machine's CPU times, and those of the processes `ownPids`. */
export function readCpuTimes(ownPids: readonly number[]): CpuTimes {
  const text = readFileSync('/proc/stat', 'utf8');
  const all = /^cpu\s+(.*)$/m.exec(text)?.[1].trim().split(/\s+/).map(Number) ?? [];
  // The guests' time, behind these, is part of user time.
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softIrq = 0, steal = 0] = all;
  const busy = user + nice + system + irq + softIrq;
  return {
    steal,
    total: busy + idle + waiting + steal,
    busy,
    own: ownPids.reduce((sum, pid) => sum + ticksOf(pid), 0) + ticksOfReaped(ownPids),
    cores: Math.max(1, text.match(/^cpu\d/gm)?.length ?? 1),
  };
}

/** Share of all CPU time that the hypervisor took in between. */
export function stolenShare(before: CpuTimes, after: CpuTimes): number {
  const ticks = after.total - before.total;
  return ticks > 0 ? (after.steal - before.steal) / ticks : 0;
}

/**
 * How many cores' worth of time went to others in between: 1 is a whole core. The pressure that the kernel
 * tells (/proc/pressure) is no measure of this, since our own processes wait for each other too.
 */
export function foreignCores(before: CpuTimes, after: CpuTimes): number {
  const ticks = (after.total - before.total) / after.cores;
  const foreign = after.busy - before.busy - (after.own - before.own);
  return ticks > 0 ? Math.max(0, foreign / ticks) : 0;
}

/** What our own children have used that are gone: a killed client's time must not pass for others'. */
const ticksOfReaped = (ownPids: readonly number[]): number =>
  ownPids.includes(process.pid) ? ticksOf(process.pid, OF_CHILDREN) : 0;

/** Places of user and system time behind a process's name: its own, and that of children which have ended. */
const OWN = 11;
const OF_CHILDREN = 13;

/** CPU time of a process with all its threads; 0 when it is gone. */
function ticksOf(pid: number, place = OWN): number {
  try {
    // Behind the name, which may hold spaces and brackets, fields 3 and on; times are fields 14 to 17.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[place]) + Number(fields[place + 1]);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return 0;
    throw error;
  }
}
