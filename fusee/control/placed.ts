/**
 * A process that has taken the name of a place, and whose master is gone before it has said that it is in.
 * The next master knows whether it is: the record says so, or nobody ever will.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { hostNumber, thisProcess } from '../fabric/shm-process.js';
import { FabricError } from '../verbs/index.js';
import { type MasterAddress, Session } from './session.js';

/** The next master is waited for so long. */
const NEXT_MS = 60_000;
/** From one try to reach it to the next. */
const RETRY_MS = 100;

/** Asks the next master. False: the place is not this process's, or there is no master to say so. */
export async function isPlaced(
  address: MasterAddress,
  mn: number,
  { nextMs = NEXT_MS, signal }: { nextMs?: number; signal?: AbortSignal } = {},
): Promise<boolean> {
  const endMs = performance.now() + nextMs;
  for (; performance.now() < endMs && signal?.aborted !== true; await pause(RETRY_MS)) {
    try {
      const session = await Session.open(address);
      const answer = await askIn(session, mn);
      if (answer !== undefined) return answer;
    } catch (error) {
      if (!(error instanceof FabricError)) throw error;
    }
  }
  return false;
}

/** Undefined: that master is gone too. */
async function askIn(session: Session, mn: number): Promise<boolean | undefined> {
  try {
    return await new Promise((resolve) => {
      session.onClosed = () => resolve(undefined);
      session.onMessage = ({ type }) => {
        if (type === 'entered' || type === 'refused') resolve(type === 'entered');
      };
      session.send({ type: 'placed', mn, host: hostNumber(), ...thisProcess() });
    });
  } finally {
    session.onClosed = () => {};
    session.socket.destroy();
  }
}
