/** Clients' processes: whether they live, and how clients are fenced. */
import { setTimeout as pause } from 'node:timers/promises';
import type { FromClient, FromMaster } from '../control/messages.js';
import type { FabricKind } from '../fabric/contract.js';
import { fenceAtNodes, type HostFabric, type NodeAccess } from '../fabric/open.js';
import { fenceProcess, findProcess, type ProcessId, regionName, thisHost } from '../fabric/shm-process.js';
import type { Master } from '../master/index.js';

/** A process, and where it runs. */
export interface HostProcess extends ProcessId {
  /** As `thisHost` has it. @default this one */
  readonly host?: string | undefined;
}

/** Who is to be fenced. */
export interface Fenced {
  readonly process: HostProcess;
  /** What nodes know it by; of a client that reaches them over a network. */
  readonly key: bigint | undefined;
}

/** What a client hears that wants to join and cannot be let in; undefined: it can. */
export function refusalOf(
  client: Extract<FromClient, { type: 'join' }>,
  master: Pick<Master, 'knows' | 'isLate'>,
  over: FabricKind,
): FromMaster | undefined {
  const reason = whyUnfenceable(client, over);
  if (reason !== '') return { type: 'refused', reason };
  const isLate = master.isLate(client.cid);
  // Over a network a client outlives its fence: it was recovered, and is nobody now.
  const isStranger = client.isBack === true && !master.knows(client.cid);
  if (isStranger && (isLate || client.key !== undefined)) return { type: 'expelled' };
  if (!isLate) return undefined;
  return { type: 'refused', reason: 'it has come so late that its place was taken back', isLate };
}

/** Why a client that wants to join could not be fenced, '' when it could. */
function whyUnfenceable(client: { pid: number; host: string; key?: string }, reaches: FabricKind): string {
  if (client.key !== undefined)
    return reaches === 'shm' ? 'it is on TCP, and this master is not; run the master with --fabric tcp' : '';
  if (!isHere(client))
    return (
      'it is on shared memory, and its process is none that this master can see, and fence: run both on one ' +
      'host, in one container, or use --fabric tcp'
    );
  return client.pid === process.pid
    ? "it lives in the master's own process, which cannot be fenced; give it one of its own"
    : '';
}

/** From one try to the next. */
const RETRY_MS = 5;
/** The kernel closes the socket of a dying process before others see it gone: it is looked for so often. */
const LOOKS = 100;
const LOOK_MS = 1;

/**
 * Fences a client: afterwards none of its verbs executes any more. On shared memory its process is killed;
 * over a network the nodes end its connections, wherever its process is. Nobody may be recovered who might
 * still be at work (hazard H7), so what fails is tried again, until it is over with.
 * @param nodes numbers and places of the nodes that live, asked for anew at each try.
 */
export async function fenceAtLast(
  client: Fenced,
  access: NodeAccess,
  {
    nodes,
    isOver,
    onFailure,
  }: {
    nodes: () => { mn: number; place: string }[];
    isOver: () => boolean;
    onFailure: (error: Error) => void;
  },
): Promise<void> {
  while (!isOver()) {
    try {
      const living = nodes();
      if (client.key === undefined) {
        const regions = living.map(({ mn }) => regionName(access.pool, mn));
        await fenceProcess(client.process, { regions });
      } else {
        const addresses = living.map(({ place }) => place);
        await fenceAtNodes(access, addresses, client.key);
      }
      return;
    } catch (error) {
      onFailure(error as Error);
      await pause(RETRY_MS);
    }
  }
}

/** Does it run where this process can see it? Of others nothing is known but what they tell. */
export const isHere = ({ host }: Pick<HostProcess, 'host'>): boolean =>
  host === undefined || host === thisHost();

/** Does this very process run? True of one that cannot be seen from here. */
export const isAlive = (process: HostProcess): boolean =>
  !isHere(process) || findProcess(process.pid)?.startTime === process.startTime;

/**
 * On shared memory: clients whose threads have ended without a word, as the kernel has marked it. Their
 * processes may be seen for a while yet, while their memory is given back.
 */
export function endedOf(clients: ReadonlyMap<number, Fenced>, fabric: HostFabric): number[] {
  const ended = fabric.kind === 'shm' ? fabric.endedProcesses() : [];
  if (ended.length === 0) return [];
  const isEnded = ({ process }: Fenced): boolean =>
    isHere(process) &&
    ended.some(({ pid, startTime }) => process.pid === pid && process.startTime === startTime);
  return [...clients].filter(([, client]) => isEnded(client)).map(([cid]) => cid);
}

/**
 * Looks at a process whose connection has closed, for a while. True: it has ended. One that cannot be seen
 * has until its lease ends.
 */
export async function ends(process: HostProcess, isOver: () => boolean): Promise<boolean> {
  for (let look = 0; look <= LOOKS && isHere(process) && !isOver(); look++) {
    if (!isAlive(process)) return true;
    await pause(look === 0 ? 0 : LOOK_MS);
  }
  return false;
}
