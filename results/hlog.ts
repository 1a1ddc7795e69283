/**
 * Standard HdrHistogram interval logs (.hlog, format 1.3), which HdrHistogram's own tools read.
 *
 * What the format cannot hold (exact extremes, overflow) stands in a comment ahead of each interval: other
 * readers skip it. So does a seal, as other lines of a run have it (`lines.ts`), over the comment and the
 * interval; that all intervals of a log have one is said in its header, and older logs do not say so.
 * Timestamps are relative to the base time in the header.
 */
import { HistogramLogWriter } from 'hdr-histogram-js';
import { ResultError } from './error.js';
import { LatencyHistogram } from './histogram.js';
import { type Damage, openLine, sealBeside } from './lines.js';

/**
 * Interval_Max is in ms, as HdrHistogram's Java tools write it by default for values in ns. Always passed,
 * since the default of the JavaScript writer is 1000.
 */
export const INTERVAL_MAX_NS_PER_UNIT = 1e6;

const BESIDE_PREFIX = '#[Beside: ';
const SEALED_COMMENT = '[Sealed: the comment ahead of each interval has a check of both]';

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
    log.outputComment(SEALED_COMMENT);
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
    this.#write(`${BESIDE_PREFIX}${sealBeside({ minNs, maxNs, overflow }, line.trimEnd())}]\n${line}`);
  }
}

/**
 * The intervals of a log, in its order, and the lines that cannot be read; also of logs other tools wrote,
 * whose extremes are then those of the outermost buckets. `file` is named in what is damaged.
 */
export const readHlog = (text: string, file: string): { intervals: LatencyInterval[]; damage: Damage[] } => {
  const intervals: LatencyInterval[] = [];
  const damage: Damage[] = [];
  let isSealed = false;
  /** The comment ahead of a line, as it stands there. */
  let beside: string | undefined;
  for (const [number, line] of text.split(/\r?\n/).entries()) {
    const before = beside;
    beside = line.startsWith(BESIDE_PREFIX) ? line.slice(BESIDE_PREFIX.length, -1) : undefined;
    isSealed ||= line === `#${SEALED_COMMENT}`;
    const isInterval = line !== '' && !line.startsWith('#') && !line.startsWith('"');
    try {
      if (isInterval) intervals.push(parseInterval(line, before, isSealed));
      else if (before !== undefined)
        throw new ResultError('the interval that belongs to the line is missing');
    } catch (error) {
      damage.push({ file, line: isInterval ? number + 1 : number, reason: (error as Error).message });
    }
  }
  return { intervals, damage };
};

/** @param beside the comment ahead of the line, if there is one. @throws Error when either is damaged. */
const parseInterval = (line: string, beside: string | undefined, isSealed: boolean): LatencyInterval => {
  const fields = line.split(',');
  const tag = fields[0].startsWith('Tag=') ? fields.shift()!.slice('Tag='.length) : '';
  const [startSec, lengthSec] = fields.map(Number);
  if (fields.length !== 4 || Number.isNaN(startSec + lengthSec))
    throw new ResultError('not an interval line');
  const opened = beside === undefined ? { value: {}, isSealed: false } : openLine(beside, line);
  if (isSealed && !opened.isSealed) throw new ResultError('the line has lost its check');
  return {
    tag,
    startMs: startSec * 1000,
    endMs: (startSec + lengthSec) * 1000,
    histogram: LatencyHistogram.decode({ ...(opened.value as object), base64: fields[3] }),
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
