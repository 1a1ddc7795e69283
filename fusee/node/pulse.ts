/**
 * The pulse of a memory node's weak CPU, by which the master knows that it lives (`master/node-leases.ts`).
 * It beats from the event loop that serves calls: a process that is stopped, or hangs, has none.
 *
 * A node that its master has given up is out for good: others may have its place by then, and its memory is
 * old. On shared memory it finds that in the header of its own region, where every verb looks too, so that
 * nothing is answered from the moment on in which it was given up. Over a network it is told (RPC EXPEL), and
 * clients take no answer of it meanwhile, since their leases end ahead of the view without it. One whose name
 * another process has taken, and which nobody has told to part, has lost its master in between: after a while
 * it is out as well.
 */
import type { ShmNode } from '../fabric/shm-node.js';
import { hostNumber, thisProcess } from '../fabric/shm-process.js';
import { SUPERBLOCK_BYTES, writePulse } from '../layout/index.js';

/** From one beat to the next: ten of them in the shortest lease of a node. */
const BEAT_MS = 50;
/** Beats from one look for its name to the next. */
const NAME_BEATS = 20;
/** Looks at which another has its name: far more than a master needs to tell it so. */
const NAME_LOOKS = 10;
/** A node that was told that it is out serves nobody behind so long: its answer is heard. */
const EXPELLED_MS = 100;

/**
 * Lets a node's pulse beat, for as long as it is open.
 * @param onExpelled called once, when the pool goes on without this node.
 * @returns what to call when the node has been told so, and now and then in work that takes long.
 */
export function beginPulse(
  node: Pick<ShmNode, 'window' | 'isFenced' | 'isSupplanted' | 'isClosed'>,
  onExpelled: () => void,
): { expelled: () => void; touch: () => void } {
  const page = new Uint8Array(node.window(0, SUPERBLOCK_BYTES));
  const of = { ...thisProcess(), host: hostNumber() };
  let beats = 0;
  let looks = 0;
  let lost = 0;
  let isOut = false;
  const expelled = (): void => {
    if (!isOut) onExpelled();
    isOut = true;
  };
  const touch = (): void => {
    // 0 says that there is no pulse.
    beats = (beats + 1) >>> 0 || 1;
    writePulse(page, { ...of, beats });
  };
  const beat = (): void => {
    if (node.isClosed || isOut) {
      clearInterval(timer);
      return;
    }
    touch();
    if (++looks % NAME_BEATS === 0) lost = node.isSupplanted ? lost + 1 : 0;
    if (node.isFenced || lost >= NAME_LOOKS) expelled();
  };
  const timer = setInterval(beat, BEAT_MS);
  // The service keeps the process alive; a pulse alone does not.
  timer.unref();
  beat();
  return { expelled: () => void setTimeout(expelled, EXPELLED_MS), touch };
}
