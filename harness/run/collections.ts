/** Garbage collections of this process, and which of them fell into a window. */
import { PerformanceObserver } from 'node:perf_hooks';
import type { ClientReport } from './messages.js';

/** Notes collections from when it is made. Entries arrive with the event loop. */
export class CollectionLog {
  readonly #collections: { startMs: number; milliseconds: number }[] = [];

  constructor() {
    new PerformanceObserver((list) => {
      for (const e of list.getEntries())
        this.#collections.push({ startMs: e.startTime, milliseconds: e.duration });
    }).observe({ entryTypes: ['gc'] });
  }

  /** Those between two times of the host's monotonic clock, which now shows `nowNs`. */
  between(measureNs: number, endNs: number, nowNs: number): ClientReport['collections'] {
    // Both clocks are monotonic: relate them by reading them together.
    const offsetMs = performance.now() - nowNs / 1e6;
    const from = measureNs / 1e6 + offsetMs;
    const to = endNs / 1e6 + offsetMs;
    const inWindow = this.#collections.filter((c) => c.startMs >= from && c.startMs <= to);
    return {
      count: inWindow.length,
      milliseconds: inWindow.reduce((sum, c) => sum + c.milliseconds, 0),
      longestMs: inWindow.reduce((most, c) => Math.max(most, c.milliseconds), 0),
    };
  }
}
