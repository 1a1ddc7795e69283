/** Latency by percentile, on an axis that gives every nine the same room. */
import type { LatencyHistogram } from '../results/histogram.js';
import type { StoredRun } from '../results/stored-run.js';
import { runCaption } from './caption.js';
import { rowOrigin, workloadLabel } from './cells.js';
import type { Line, LineFigure, LinePoint } from './figure.js';
import { frame, latencies, logDomain } from './run-parts.js';

/** A curve keeps a point when it moved this much in either direction since the last one. */
const MOVE_FACTOR = 1.01;

/**
 * The curve as points (1 / (1 - p), latency in µs), for a line that steps before each point: up to the share
 * p of operations no one was slower. It ends where one operation is left, since one can tell no more of it.
 */
export const percentilePoints = (histogram: LatencyHistogram): LinePoint[] => {
  const points: LinePoint[] = [];
  let seen = 0;
  let pending: LinePoint | null = null;
  histogram.forEachCounter((lowestNs, highestNs, count) => {
    // A logarithmic axis has no 0.
    const y = Math.max(Math.min(highestNs, histogram.maxNs), 1) / 1000;
    if (points.length === 0) points.push({ x: 1, y: Math.max(lowestNs, 1) / 1000 });
    seen += count;
    const x = Math.min(histogram.count, histogram.count / Math.max(histogram.count - seen, 1));
    const last = points[points.length - 1];
    const point = { x, y };
    if (x >= last.x * MOVE_FACTOR || y >= last.y * MOVE_FACTOR) {
      points.push(point);
      pending = null;
    } else pending = point;
  });
  if (pending !== null) points.push(pending);
  return points;
};

/** One panel for each workload, a curve for each operation. */
export const percentileFigure = (run: StoredRun): LineFigure => {
  const panels = new Map<string, Line[]>();
  const extremesUs: number[] = [];
  let most = 100;
  for (const { workload, label, operation, histogram } of latencies(run)) {
    const title = [workloadLabel(workload), label].filter((part) => part !== '').join(' · ');
    const lines = panels.get(title) ?? [];
    panels.set(title, lines);
    const row = run.rows.find((one) => one.workload === workload);
    const points = percentilePoints(histogram);
    // A marker at each nine that the curve reaches, which tells curves apart without colour.
    const marks = [10, 100, 1000, 1e4, 1e5, 1e6]
      .filter((nines) => nines <= histogram.count)
      .map((nines) => ({ x: nines, y: Math.max(histogram.percentile(100 * (1 - 1 / nines)), 1) / 1000 }));
    lines.push({ series: operation, origin: rowOrigin(row ?? run.rows[0]), points, marks });
    extremesUs.push(...points.slice(0, 1).map(({ y }) => y), ...points.slice(-1).map(({ y }) => y));
    most = Math.max(most, histogram.count);
  }
  return {
    kind: 'lines',
    id: 'percentiles',
    title: 'Latency by percentile',
    ...frame(runCaption(run), ['each curve ends where one operation is left']),
    x: { label: 'Percentile', unit: '', scale: 'nines', domain: [1, most] },
    y: { label: 'Latency', unit: 'µs', scale: 'log', domain: logDomain(extremesUs) },
    step: 'before',
    panels: [...panels].map(([title, lines]) => ({ title, lines })),
  };
};
