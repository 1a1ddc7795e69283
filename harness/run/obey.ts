/** What every client process of the harness does with the messages of its parent. */
import { followParent } from '../../fusee/fabric/shm-process.js';
import { failed } from './messages.js';

/** Time for a last message to leave. */
const FAREWELL_MS = 100;

/**
 * Obeys the parent's messages one after another, until the parent is gone; those of a type that `overtakes`
 * at once. An error is told, and ends the process; Ctrl-C is left to the parent. To be called once, before
 * the process holds anything that outlives it.
 */
export function obeyParent<M extends { readonly type: string }>(
  make: () => { obey(message: M): Promise<void> },
  overtakes: readonly M['type'][],
): void {
  if (!followParent(Number(process.argv[2]))) process.exit(0);
  const worker = make();
  let busy: Promise<void> = Promise.resolve();
  process.on('message', (message: M) => {
    const atOnce = overtakes.includes(message.type);
    const obeyed = atOnce ? worker.obey(message) : busy.then(() => worker.obey(message));
    if (!atOnce) busy = obeyed;
    obeyed.catch((error: unknown) => {
      process.send?.(failed(error));
      setTimeout(() => process.exit(1), FAREWELL_MS);
    });
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => {});
}
