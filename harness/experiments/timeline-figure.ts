/** Throughput over time beside a published curve, both as a share of what they were before. */
import type { LineFigure, LinePoint } from '../../plots/figure.js';
import { ResultError } from '../../results/error.js';
import { loadPaperFigure } from '../../results/paper.js';
import type { RunEvent, SeriesPoint } from '../../results/schema.js';
import type { StoredRun } from '../../results/stored-run.js';

/** A stretch of time, in seconds since the window's start. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** The published curve of a figure: seconds and Mops/s. */
export function publishedCurve(id: string): LinePoint[] {
  const [figure] = loadPaperFigure(id);
  if (figure === undefined) throw new ResultError(`${id} is not among the published values`);
  return figure.series[0].points.flatMap(([x, y]) => (y === null ? [] : [{ x: Number(x), y }]));
}

/** Throughput of a run, its first cell: the middle of each whole interval in seconds, and Mops/s. */
export function measuredCurve(run: StoredRun): LinePoint[] {
  const [row] = run.rows;
  if (row === undefined) throw new ResultError(`${run.folder} has no row`);
  return run.series
    .filter((point) => point.repetition === row.repetition && isWhole(point, row.seconds * 1000))
    .map(({ tMs, intervalMs, operations }) => ({
      x: (tMs + intervalMs / 2) / 1000,
      y: operations / intervalMs / 1000,
    }));
}

const isWhole = ({ tMs, intervalMs }: SeriesPoint, windowMs: number): boolean => tMs + intervalMs <= windowMs;

/** Mean of a curve over a stretch; null where it has no point there. */
export function meanOver(curve: readonly LinePoint[], { from, to }: Stretch): number | null {
  const within = curve.filter(({ x }) => x >= from && x < to);
  return within.length === 0 ? null : within.reduce((sum, { y }) => sum + y, 0) / within.length;
}

/** A mean over a stretch, as a share of that over another. */
export function shareOf(
  curve: readonly LinePoint[],
  { over, before }: { readonly over: Stretch; readonly before: Stretch },
): number | null {
  const [part, whole] = [meanOver(curve, over), meanOver(curve, before)];
  return part === null || whole === null || whole === 0 ? null : part / whole;
}

/** When the first event of a kind happened, in seconds; null when none did. */
export function firstOf(events: readonly RunEvent[], kind: string): number | null {
  const times = events.flatMap((event) => (event.kind === kind && event.tMs !== null ? [event.tMs] : []));
  return times.length === 0 ? null : Math.min(...times) / 1000;
}

/** The figure: our curve and the published one, 100 % being each one's mean over its stretch before. */
export function comparedOverTime(
  run: StoredRun,
  {
    id,
    title,
    caption,
    isTrusted,
    paper,
    before,
    paperBefore,
  }: {
    readonly id: string;
    readonly title: string;
    readonly caption: readonly string[];
    readonly isTrusted: boolean;
    /** The published curve's name and points. */
    readonly paper: { readonly name: string; readonly points: readonly LinePoint[] };
    readonly before: Stretch;
    readonly paperBefore: Stretch;
  },
): LineFigure {
  const measured = measuredCurve(run);
  const asShare = (points: readonly LinePoint[], stretch: Stretch): LinePoint[] => {
    const mean = meanOver(points, stretch);
    if (mean === null || mean === 0) throw new ResultError(`${id}: there is no throughput before the event`);
    return points.map(({ x, y }) => ({ x, y: (100 * y) / mean }));
  };
  const lines = [
    { series: paper.name, origin: 'published' as const, points: asShare(paper.points, paperBefore) },
    { series: 'measured', origin: 'measured' as const, points: asShare(measured, before) },
  ];
  const drawn = lines.flatMap(({ points }) => points);
  return {
    kind: 'lines',
    id,
    title,
    caption: [...caption],
    trusted: isTrusted,
    x: { label: 'Time', unit: 's', scale: 'linear', domain: [0, Math.max(...drawn.map(({ x }) => x))] },
    y: { label: 'Throughput', unit: '% of before', domain: [0, Math.max(...drawn.map(({ y }) => y)) * 1.1] },
    step: false,
    panels: [
      {
        title: '',
        lines,
        rules: run.events
          .filter(({ tMs, label }) => tMs !== null && label !== '')
          .map(({ tMs, label }) => ({ x: (tMs as number) / 1000, label })),
      },
    ],
  };
}

/** A share for a table. */
export const percent = (share: number | null): string =>
  share === null ? 'unknown' : `${(100 * share).toFixed(0)} %`;
