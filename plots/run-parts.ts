/** What the figures of a run share: captions, merged latencies, domains, events. */
import { ResultError } from '../results/error.js';
import type { LatencyHistogram } from '../results/histogram.js';
import { mergeByTag, parseTag } from '../results/hlog.js';
import type { RunEvent } from '../results/schema.js';
import type { StoredRun } from '../results/stored-run.js';
import type { Caption } from './caption.js';
import { groupCells } from './cells.js';

/** A caption as a figure has it, with what only this figure says behind it. */
export const frame = (
  caption: Caption,
  more: readonly string[],
): { caption: string[]; trusted: boolean } => ({
  caption: [...caption.parts, ...more],
  trusted: caption.trusted,
});

/** Latencies of one operation of a cell. */
export interface Latency {
  readonly workload: string;
  readonly label: string;
  readonly operation: string;
  readonly histogram: LatencyHistogram;
}

/**
 * The merged histogram of each tag.
 * @throws ResultError when a workload ran in several cells and the tags do not say which: merged, their
 * latencies would be those of neither.
 */
export const latencies = (run: StoredRun): Latency[] => {
  const found: Latency[] = [];
  for (const [tag, histogram] of mergeByTag(run.latency)) {
    const parts = parseTag(tag);
    if (parts === null) throw new ResultError(`latency tag "${tag}" is not [label/]workload/operation`);
    found.push({ ...parts, label: parts.label ?? '', histogram });
  }
  for (const { workload, label } of found) {
    const cells = groupCells(run.rows).filter((cell) => cell.workload === workload);
    if (cells.length > 1 && label === '') {
      const labels = cells.map((cell) => cell.label).join('; ');
      throw new ResultError(`latencies of ${workload} mix several cells (${labels}): tag each with a label`);
    }
  }
  return found;
};

/** From the smallest to the largest value, with a little room and at least one decade. */
export const logDomain = (valuesUs: readonly number[]): [number, number] => {
  const low = Math.min(...valuesUs) / 1.15;
  return [low, Math.max(Math.max(...valuesUs) * 1.15, low * 10)];
};

/** Events of a workload as rules over seconds of its window. */
export const rulesOf = (events: readonly RunEvent[], workload: string): { x: number; label: string }[] =>
  events
    .filter((event) => event.tMs !== null && event.workload === workload && event.label !== '')
    .map((event) => ({ x: (event.tMs as number) / 1000, label: event.label }));
