/** A fresh memory node's end of the control channel: how it comes to a place. */
import { thisProcess } from '../fabric/shm-process.js';
import { FabricError, UsageError } from '../verbs/index.js';
import { isPlaced } from './placed.js';
import { type MasterAddress, Session } from './session.js';

/** What is offered, and for which place. */
export interface Offer {
  readonly mn: number;
  /** The place may be another process's, which lives and is to part with it. */
  readonly isReplacing: boolean;
  /** Where it listens, for clients and the master, over a network. */
  readonly place?: string;
  /** Takes the name under which clients find the place's memory. */
  readonly take: () => void;
}

/**
 * Offers this process, whose memory is formatted and ready, and resolves when it has the place: all that the
 * pool has there is copied by then.
 * @throws UsageError when the master cannot have it, saying why; FabricError when it is gone.
 */
export async function offerNode(
  address: MasterAddress,
  { mn, isReplacing, place, take }: Offer,
): Promise<void> {
  const session = await Session.open(address);
  let hasTaken = false;
  try {
    await new Promise<void>((resolve, reject) => {
      const gone = new FabricError(`the master of pool '${address.pool}' is gone; start this node again`);
      session.onClosed = () => {
        if (!hasTaken) reject(gone);
        else isPlaced(address, mn).then((isIn) => (isIn ? resolve() : reject(gone)), reject);
      };
      session.onMessage = (message) => {
        switch (message.type) {
          case 'take':
            take();
            hasTaken = true;
            session.send({ type: 'taken' });
            return;
          case 'entered':
            return resolve();
          case 'refused':
            return reject(new UsageError(`the master cannot have this node: ${message.reason}`));
        }
      };
      session.send({ type: 'offer', mn, isReplacing, place, ...thisProcess() });
    });
  } finally {
    session.onClosed = () => {};
    session.socket.destroy();
  }
}
