/** Which process writes a run, so that others can tell whether it still does. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';

/** A process, told from all others that ever had its number: by its start, and by the boot of its host. */
export const ownerSchema = z.strictObject({
  pid: z.int().min(1),
  /** Since the boot, in clock ticks. */
  startTicks: z.int().min(0),
  boot: z.string(),
});
/** A process. */
export type Owner = z.infer<typeof ownerSchema>;

let own: Owner | null = null;

/** This process. */
export const ownProcess = (): Owner => {
  own ??= { pid: process.pid, startTicks: startTicksOf(process.pid) ?? 0, boot: bootId() };
  return own;
};

/** Whether an owner still runs; null when it ran on another host, or before this one was booted. */
export const isAlive = (owner: Owner): boolean | null =>
  owner.boot === bootId() ? startTicksOf(owner.pid) === owner.startTicks : null;

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** null when there is no such process, or it has ended and nobody has asked how. */
const startTicksOf = (pid: number): number | null => {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The name in brackets may hold anything; the state is the first field behind it, the start the twentieth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19]);
};
