/** How late an idle thread wakes: what the machine does to whoever has nothing to do with the store. */
import { Worker } from 'node:worker_threads';
import type { Conditions } from '../../results/conditions.js';
import { LatencyHistogram, type PackedHistogram } from '../../results/histogram.js';

/** A histogram of hiccups, summarised. */
export type Hiccups = NonNullable<Conditions['hiccups']>;

/** A watch that has not answered for so long will not: the process goes on without. */
const END_MS = 2000;

/**
 * A thread of this process that sleeps a millisecond at a time, and measures by how much it overslept. It
 * takes a hundredth of a core, and runs from its making to {@link end}.
 */
export class HiccupWatch {
  /** Resolves when the thread has begun to sleep, or never will. */
  readonly begun: Promise<void>;
  readonly #worker: Worker;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #packed: Promise<PackedHistogram | null>;

  constructor() {
    // Sources (tests) cannot be run in a thread: theirs is the compiled one too.
    const source = import.meta.url.endsWith('.ts');
    const path = source ? '../../dist/harness/run/hiccup-thread.js' : './hiccup-thread.js';
    this.#worker = new Worker(new URL(path, import.meta.url), { workerData: this.#stop.buffer });
    let begin = (): void => {};
    this.begun = new Promise((resolve) => {
      begin = resolve;
    });
    this.#packed = new Promise((resolve) => {
      this.#worker.on('message', (message: PackedHistogram | 'begun') => {
        if (message === 'begun') begin();
        else resolve(message);
      });
      const give = (): void => {
        begin();
        resolve(null);
      };
      this.#worker.once('error', give);
      this.#worker.once('exit', give);
    });
    // It keeps no process whose run has failed; whoever listens to it would, so this comes behind.
    this.#worker.unref();
  }

  /** Ends the thread; null when it measured nothing. */
  async end(): Promise<Hiccups | null> {
    Atomics.store(this.#stop, 0, 1);
    Atomics.notify(this.#stop, 0);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), END_MS);
    });
    const packed = await Promise.race([this.#packed, late]);
    clearTimeout(timer);
    await this.#worker.terminate();
    return packed === null ? null : summarise(packed);
  }
}

/** null without a single sleep. */
function summarise(packed: PackedHistogram): Hiccups | null {
  const histogram = LatencyHistogram.unpack(packed);
  const summary = histogram.summary();
  if (summary === null) return null;
  return { count: histogram.count, p50Ns: summary.p50, p99Ns: summary.p99, maxNs: summary.max };
}
