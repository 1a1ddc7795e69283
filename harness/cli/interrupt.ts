/** How commands that run a while end early: the first signal ends them in order, the next one at once. */

/** A closed terminal ends a run as Ctrl-C does. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs something that a signal aborts. */
export async function untilInterrupted<T>(work: (abort: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const interrupt = (): void => {
    // The processes of the cell end with this one: they lose their channel.
    if (abort.signal.aborted) process.exit(130);
    process.stderr.write('\ninterrupted: finishing what is in flight; again to give up on it\n');
    abort.abort(new Error('interrupted'));
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    return await work(abort.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}
