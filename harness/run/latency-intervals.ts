/** Latencies of a cell's window as intervals of a log. */
import { LatencyHistogram, type PackedHistogram } from '../../results/histogram.js';
import type { LatencyInterval } from '../../results/hlog.js';
import type { CellResult } from './row.js';

/**
 * One interval for each operation and interval of the window that has latencies, in ms since `originMs` of the
 * wall clock; merged they are all latencies of the window.
 */
export function* latencyIntervals(
  { startNs, intervalMs, intervals }: NonNullable<CellResult['intervals']>,
  { originMs, tagOf }: { readonly originMs: number; readonly tagOf: (operation: string) => string },
): Generator<LatencyInterval> {
  const sinceStartMs = (Number(process.hrtime.bigint()) - startNs) / 1e6;
  // Whole milliseconds, as the log keeps them: intervals then join without a gap.
  const firstMs = Math.max(0, Math.round(Date.now() - sinceStartMs - originMs));
  for (const [i, interval] of intervals.entries()) {
    const startMs = firstMs + i * intervalMs;
    for (const [operation, packed] of Object.entries(interval) as [string, PackedHistogram][]) {
      const histogram = LatencyHistogram.unpack(packed);
      yield { tag: tagOf(operation), startMs, endMs: startMs + intervalMs, histogram };
    }
  }
}
