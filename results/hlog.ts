/**
 * Standard HdrHistogram interval logs (.hlog, format 1.3), which HdrHistogram's own tools read.
 *
 * What the format cannot hold (exact extremes, overflow) stands in a comment ahead of each interval: other
 * readers skip it. Timestamps are relative to the base time in the header.
 */
import { HistogramLogWriter } from 'hdr-histogram-js';
import { ResultError } from './error.js';
import { LatencyHistogram } from './histogram.js';
import type { Damage } from './lines.js';

/**
 * Interval_Max is in ms, as HdrHistogram's Java tools write it by default for values in ns. Always passed,
 * since the default of the JavaScript writer is 1000.
 */
export const INTERVAL_MAX_NS_PER_UNIT = 1e6;

const BESIDE_PREFIX = '#[Beside: ';

/** Where an interval belongs; `label` tells apart cells of one workload, and may be left out. */
export interface LatencyTag {
  readonly label?: string;
  readonly workload: string;
  readonly operation: string;
}

/** One interval of a log: the merged latencies of one tag between two times. */
export interface LatencyInterval {
  readonly tag: string;
  /** Milliseconds since the log's start. */
  readonly startMs: number;
  readonly endMs: number;
  readonly histogram: LatencyHistogram;
}

/**
 * The tag `workload/operation`, or `label/workload/operation`.
 * @throws ResultError when a part holds a slash, comma or white space, which would break the format.
 */
export const formatTag = (tag: LatencyTag): string => {
  const parts = tag.label ? [tag.label, tag.workload, tag.operation] : [tag.workload, tag.operation];
  for (const part of parts) {
    if (!/^[^\s,/]+$/.test(part)) {
      throw new ResultError(
        `a log tag holds "${part}"; it may not be empty nor hold a slash, comma or space`,
      );
    }
  }
  return parts.join('/');
};

/** The parts of a tag that {@link formatTag} wrote; null for a tag of another tool. */
export const parseTag = (tag: string): LatencyTag | null => {
  const parts = tag.split('/');
  if (parts.length === 2) return { workload: parts[0], operation: parts[1] };
  if (parts.length === 3) return { label: parts[0], workload: parts[1], operation: parts[2] };
  return null;
};

/** Writes an interval log through `write`, which gets whole lines. The header is written at once. */
export class HlogWriter {
  readonly #write: (lines: string) => void;

  constructor(write: (lines: string) => void, startEpochMs: number) {
    this.#write = write;
    const log = new HistogramLogWriter(write);
    const seconds = (startEpochMs / 1000).toFixed(3);
    log.outputLogFormatVersion();
    log.outputComment(
      `[StartTime: ${seconds} (seconds since epoch), ${new Date(startEpochMs).toISOString()}]`,
    );
    log.outputComment(`[BaseTime: ${seconds} (seconds since epoch)]`);
    log.outputComment(`[Interval_Max is in ms; values are in ns]`);
    log.outputLegend();
  }

  /**
   * Appends one interval; one without latencies writes nothing.
   * @throws ResultError when the interval ends before it starts or its tag would break the format.
   */
  append(interval: LatencyInterval): void {
    const { tag, startMs, endMs, histogram } = interval;
    if (!(startMs >= 0 && endMs >= startMs)) {
      throw new ResultError(`interval ${tag} runs from ${startMs} ms to ${endMs} ms of the log`);
    }
    const parsed = parseTag(tag);
    if (parsed === null) throw new ResultError(`log tag "${tag}" is not [label/]workload/operation`);
    formatTag(parsed);
    if (histogram.count === 0) return;
    const { minNs, maxNs, overflow } = histogram;
    const hdr = histogram.toHdr();
    hdr.tag = tag;
    // One write for both lines, so that a crash cannot part them.
    let line = '';
    new HistogramLogWriter((text) => {
      line += text;
    }).outputIntervalHistogram(hdr, startMs / 1000, endMs / 1000, INTERVAL_MAX_NS_PER_UNIT);
    this.#write(`${BESIDE_PREFIX}${JSON.stringify({ minNs, maxNs, overflow })}]\n${line}`);
  }
}

/**
 * The intervals of a log, in its order, and the lines that cannot be read; also of logs other tools wrote,
 * whose extremes are then those of the outermost buckets. `file` is named in what is damaged.
 */
export const readHlog = (text: string, file: string): { intervals: LatencyInterval[]; damage: Damage[] } => {
  const intervals: LatencyInterval[] = [];
  const damage: Damage[] = [];
  let beside = {};
  for (const [number, line] of text.split(/\r?\n/).entries()) {
    try {
      if (line.startsWith(BESIDE_PREFIX)) beside = JSON.parse(line.slice(BESIDE_PREFIX.length, -1));
      if (line === '' || line.startsWith('#') || line.startsWith('"')) continue;
      intervals.push(parseInterval(line, beside));
    } catch (error) {
      damage.push({ file, line: number + 1, reason: (error as Error).message });
    }
    if (!line.startsWith(BESIDE_PREFIX)) beside = {};
  }
  return { intervals, damage };
};

const parseInterval = (line: string, beside: object): LatencyInterval => {
  const fields = line.split(',');
  const tag = fields[0].startsWith('Tag=') ? fields.shift()!.slice('Tag='.length) : '';
  const [startSec, lengthSec] = fields.map(Number);
  if (fields.length !== 4 || Number.isNaN(startSec + lengthSec))
    throw new ResultError('not an interval line');
  return {
    tag,
    startMs: startSec * 1000,
    endMs: (startSec + lengthSec) * 1000,
    histogram: LatencyHistogram.decode({ ...beside, base64: fields[3] }),
  };
};

/** One histogram per tag, merged over the intervals, in the order tags first appear. */
export const mergeByTag = (intervals: readonly LatencyInterval[]): Map<string, LatencyHistogram> => {
  const merged = new Map<string, LatencyHistogram>();
  for (const { tag, histogram } of intervals) {
    let sum = merged.get(tag);
    if (sum === undefined) {
      sum = new LatencyHistogram();
      merged.set(tag, sum);
    }
    sum.merge(histogram);
  }
  return merged;
};
