/** What every client process of the harness does with the messages of its parent. */
import { followParent } from '../../fusee/fabric/shm-process.js';
import { failed } from './messages.js';

/**
 * A terminal, or a supervisor, signals the whole group: the parent ends the run in order, which takes its
 * processes. Whoever died of the signal at once would make a failure of it.
 */
export function leaveSignalsToParent(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
}

/** Time for a last message to leave. */
const FAREWELL_MS = 100;

/**
 * Obeys the parent's messages one after another, until the parent is gone; those of a type that `overtakes`
 * at once. An error is told, and ends the process; signals to the whole group are left to the parent. To be
 * called once, before the process holds anything that outlives it.
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
  leaveSignalsToParent();
}
