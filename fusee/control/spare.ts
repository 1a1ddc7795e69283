/** A spare's end of the control channel: it waits for any place, and how a place is drained onto one. */
import { thisProcess } from '../fabric/shm-process.js';
import { LAYOUT_VERSION, type PoolConfig } from '../layout/index.js';
import { FabricError, UsageError } from '../verbs/index.js';
import { isPlaced } from './placed.js';
import { type MasterAddress, Session } from './session.js';

/** What a spare does when the master says so. */
export interface SpareHands {
  /** The master knows it. */
  onWaiting(): void;
  /** It is to be that node: its memory is formatted, and ready to be written to, when this returns. */
  become(mn: number): void;
  /** It takes the name under which clients find the place's memory. */
  take(): void;
}

/** What came of waiting. */
export type SpareOutcome =
  /** It has the place, and all that the pool has there. */
  | { readonly is: 'entered'; readonly mn: number }
  /** The master cannot have it; `mn` is the place that it was given before, if it was. */
  | { readonly is: 'refused'; readonly reason: string; readonly mn: number | undefined }
  | { readonly is: 'masterless' }
  | { readonly is: 'aborted' };

/**
 * Offers this process for any place, and resolves when it has one, or will have none by this session. What
 * was copied to its memory meanwhile is of no use then.
 * @throws FabricError when no master answers; UsageError when the secrets differ.
 */
export async function waitForPlace(
  address: MasterAddress,
  { config, hands, signal }: { config: PoolConfig; hands: SpareHands; signal: AbortSignal },
): Promise<SpareOutcome> {
  const session = await Session.open(address);
  let given: number | undefined;
  let hasTaken = false;
  try {
    return await new Promise<SpareOutcome>((resolve, reject) => {
      const obey = (message: Parameters<Session['onMessage']>[0]): void => {
        switch (message.type) {
          case 'waiting':
            hands.onWaiting();
            return;
          case 'assign': {
            const { mn, isReplacing } = message;
            given = mn;
            hands.become(mn);
            session.send({ type: 'offer', mn, isReplacing, isSpare: true, ...thisProcess() });
            return;
          }
          case 'take':
            hands.take();
            hasTaken = true;
            session.send({ type: 'taken' });
            return;
          case 'entered':
            resolve({ is: 'entered', mn: given as number });
            return;
          case 'refused':
            resolve({ is: 'refused', reason: message.reason, mn: given });
        }
      };
      session.onClosed = () => {
        if (!hasTaken) return resolve({ is: 'masterless' });
        const mn = given as number;
        const outcome = (isIn: boolean): SpareOutcome =>
          isIn ? { is: 'entered', mn } : { is: 'masterless' };
        isPlaced(address, mn, { signal }).then((isIn) => resolve(outcome(isIn)), reject);
      };
      session.onMessage = (message) => {
        try {
          obey(message);
        } catch (error) {
          reject(error);
        }
      };
      if (signal.aborted) resolve({ is: 'aborted' });
      signal.addEventListener('abort', () => resolve({ is: 'aborted' }), { once: true });
      session.send({ type: 'spare', layout: LAYOUT_VERSION, config, ...thisProcess() });
    });
  } finally {
    session.onClosed = () => {};
    session.socket.destroy();
  }
}

/**
 * Has the place of a living node moved to a spare, while clients run; the node's process ends.
 * @throws UsageError when the master cannot, saying why; FabricError when it is gone.
 */
export async function drainNode(address: MasterAddress, mn: number): Promise<void> {
  const session = await Session.open(address);
  try {
    await new Promise<void>((resolve, reject) => {
      session.onClosed = () =>
        reject(
          new FabricError(
            `the master of pool '${address.pool}' is gone; look at its next one, and try again`,
          ),
        );
      session.onMessage = (message) => {
        if (message.type === 'drained') resolve();
        if (message.type === 'refused')
          reject(new UsageError(`node ${mn} is not drained: ${message.reason}`));
      };
      session.send({ type: 'drain', mn });
    });
  } finally {
    session.onClosed = () => {};
    session.socket.destroy();
  }
}
