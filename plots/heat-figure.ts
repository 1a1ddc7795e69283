/** Latencies over time, from a log that holds them interval by interval. */
import { type LatencyInterval, parseTag } from '../results/hlog.js';
import type { StoredRun } from '../results/stored-run.js';
import { runCaption } from './caption.js';
import { rowOrigin, workloadLabel } from './cells.js';
import type { HeatCell, HeatFigure } from './figure.js';
import { frame, rulesOf } from './run-parts.js';

/** Rows of cells in a decade of latency. */
const PER_DECADE = 12;
/** Fewer intervals show nothing over time. */
const INTERVALS_MIN = 4;
/** Workloads that are drawn. */
const PANELS_MAX = 4;

/** Whether a run's latencies are stored by interval. */
export const isHeatKnown = (run: Pick<StoredRun, 'latency' | 'rows'>): boolean => windowsOf(run).length > 0;

/** Operations by time and latency, of the first repetition of each workload, all operations together. */
export const heatFigure = (
  run: Pick<StoredRun, 'rows' | 'provenance' | 'status' | 'latency' | 'events'>,
): HeatFigure => {
  const windows = windowsOf(run).slice(0, PANELS_MAX);
  const cells = windows.map(({ intervals }) => cellsOf(intervals));
  const all = cells.flat();
  const repetitions = new Set(run.rows.map((row) => row.repetition)).size;
  return {
    kind: 'heat',
    id: 'heatmap',
    title: 'Latency over time',
    ...frame(runCaption(run), repetitions > 1 ? ['the first repetition'] : []),
    x: { label: 'Time', unit: 's', domain: [0, Math.max(...all.map(({ x2 }) => x2))] },
    y: {
      label: 'Latency',
      unit: 'µs',
      domain: [Math.min(...all.map(({ y }) => y)), Math.max(...all.map(({ y2 }) => y2))],
    },
    colour: { label: 'Operations', unit: '' },
    panels: windows.map(({ workload }, at) => ({
      title: workloadLabel(workload),
      origin: rowOrigin(run.rows.find((row) => row.workload === workload) ?? run.rows[0]),
      cells: cells[at],
      rules: rulesOf(run.events, workload),
    })),
  };
};

interface Window {
  readonly workload: string;
  /** Of all operations. */
  readonly intervals: readonly LatencyInterval[];
}

/** The first window of each workload whose log has several intervals; of cells with a label, none. */
const windowsOf = ({ latency, rows }: Pick<StoredRun, 'latency' | 'rows'>): Window[] => {
  const byTag = new Map<string, LatencyInterval[]>();
  for (const interval of latency) {
    const tag = parseTag(interval.tag);
    if (tag === null || (tag.label ?? '') !== '') continue;
    const first = byTag.get(interval.tag) ?? [];
    byTag.set(interval.tag, first);
    const windowMs = 1000 * (rows.find((row) => row.workload === tag.workload)?.seconds ?? 0);
    if (first.length === 0 || interval.startMs < first[0].startMs + windowMs) first.push(interval);
  }
  const windows = new Map<string, LatencyInterval[]>();
  for (const [tag, intervals] of byTag) {
    const workload = parseTag(tag)?.workload ?? '';
    windows.set(workload, [...(windows.get(workload) ?? []), ...intervals]);
  }
  return [...windows]
    .filter(([, intervals]) => new Set(intervals.map(({ startMs }) => startMs)).size >= INTERVALS_MIN)
    .map(([workload, intervals]) => ({ workload, intervals }));
};

const cellsOf = (intervals: readonly LatencyInterval[]): HeatCell[] => {
  const startMs = Math.min(...intervals.map((one) => one.startMs));
  const cells = new Map<string, { x: number; x2: number; row: number; count: number }>();
  for (const interval of intervals) {
    const [x, x2] = [(interval.startMs - startMs) / 1000, (interval.endMs - startMs) / 1000];
    interval.histogram.forEachCounter((lowestNs, _, count) => {
      const row = Math.floor(Math.log10(Math.max(lowestNs, 1) / 1000) * PER_DECADE);
      const key = `${x} ${row}`;
      const cell = cells.get(key) ?? { x, x2, row, count: 0 };
      cell.count += count;
      cells.set(key, cell);
    });
  }
  return [...cells.values()].map(({ row, ...cell }) => ({
    ...cell,
    y: 10 ** (row / PER_DECADE),
    y2: 10 ** ((row + 1) / PER_DECADE),
  }));
};
