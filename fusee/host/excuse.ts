/**
 * Who was silent because it had no processor. On shared memory a client that was to renew its lease, and
 * waits for a processor on a busy machine, does nothing meanwhile: to fence it would help nobody. A lease of
 * such a client counts the time that it had a processor. One that is stopped, sleeps, or runs without
 * renewing its lease hangs, and is not excused; nor is one on another host, which cannot be looked at.
 */
import { readFileSync } from 'node:fs';
import { type HostProcess, isAlive, isHere } from './fence.js';

/** Nobody is excused for longer: what waits for a processor for so many leases is as good as dead. */
const LEASES_MOST = 10;
/** So much of a lease on a processor is time enough to renew it. */
const LEASE_SHARE = 0.5;

/** How a process stood when it was heard last. */
interface Heard {
  readonly atNs: number;
  readonly onProcessorNs: number;
}

/** Keeps, of every client, how long it had a processor since it was heard. */
export class Excuses {
  readonly #leaseNs: number;
  readonly #heard = new Map<number, Heard>();

  constructor(leaseNs: number) {
    this.#leaseNs = leaseNs;
  }

  /** A client has renewed its lease. */
  heard(cid: number, process: HostProcess | undefined, nowNs: number): void {
    const thread = process === undefined || !isHere(process) ? undefined : readThread(process.pid);
    if (thread !== undefined) this.#heard.set(cid, { atNs: nowNs, onProcessorNs: thread.onProcessorNs });
  }

  /** Nothing more will be heard of a client. */
  forget(cid: number): void {
    this.#heard.delete(cid);
  }

  /** Has a client that is silent for a lease just had no processor? */
  isExcused(cid: number, process: HostProcess | undefined, nowNs: number): boolean {
    const heard = this.#heard.get(cid);
    if (heard === undefined || process === undefined || !isAlive(process)) return false;
    if (nowNs - heard.atNs > LEASES_MOST * this.#leaseNs) return false;
    const thread = readThread(process.pid);
    if (thread === undefined || thread.state !== 'R') return false;
    return thread.onProcessorNs - heard.onProcessorNs < LEASE_SHARE * this.#leaseNs;
  }
}

/** The thread that runs a process's event loop: its state, and how long it had a processor so far. */
function readThread(pid: number): { state: string; onProcessorNs: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8');
    const schedule = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8');
    return { state: stat.slice(stat.lastIndexOf(')') + 2)[0], onProcessorNs: Number(schedule.split(' ')[0]) };
  } catch (error) {
    // It has ended; or this kernel keeps no such account, and nobody is excused.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
