/**
 * The figures of a bench run: throughput of each workload, latency distribution of each operation, throughput
 * over time. Everything comes from the run's folder.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ResultError } from '../results/error.js';
import type { LatencySummary } from '../results/histogram.js';
import type { ResultRow, SeriesPoint } from '../results/schema.js';
import { readRun, type StoredRun } from '../results/stored-run.js';
import { throughputUnit } from '../results/table.js';
import { runCaption } from './caption.js';
import { cdfPoints } from './cdf.js';
import { groupCells, median, rowOrigin, workloadLabel } from './cells.js';
import { type BarFigure, type Figure, figureRows, formatCsv, type Line, type LineFigure } from './figure.js';
import { heatFigure, isHeatKnown } from './heat-figure.js';
import { renderPdf } from './pdf.js';
import { percentileFigure } from './percentiles.js';
import { renderPng, renderSvg } from './render.js';
import { frame, latencies, logDomain, rulesOf } from './run-parts.js';
import { figureSpec } from './spec.js';
import { isSweep, sweepFigure } from './sweep-figure.js';

/** Where figures go, and who is told about one that the run holds no data for. */
export interface DrawOptions {
  /** Folder of the figures; `figures` inside the run's folder unless given. */
  readonly outFolder?: string;
  /** Called for each figure left out; by default the reason goes to standard error. */
  readonly onSkip?: (figure: string, reason: string) => void;
}

/**
 * Draws a run's figures: `throughput`, `latency`, `percentiles` and `series`, `heatmap` where its latencies are
 * stored by interval, and `throughput-latency` where its load was varied; each as SVG, PNG, PDF, JSON and CSV.
 * @returns the paths written.
 * @throws ResultError when the folder holds no run, or a run without rows.
 */
export const drawRun = async (runFolder: string, options: DrawOptions = {}): Promise<string[]> => {
  const run = readRun(runFolder);
  const outFolder = options.outFolder ?? join(runFolder, 'figures');
  const skip =
    options.onSkip ?? ((figure, reason) => process.stderr.write(`no figure ${figure}: ${reason}\n`));
  if (run.rows.length === 0) throw new ResultError(`${runFolder} has no rows, so there is nothing to draw`);
  const figures: { figure: Figure; extra: object }[] = [{ figure: throughputFigure(run), extra: {} }];
  if (run.latency.length === 0) skip('latency', 'the run recorded no latencies');
  else {
    const extra = { percentilesNs: latencySummaries(run) };
    figures.push({ figure: latencyFigure(run), extra }, { figure: percentileFigure(run), extra });
  }
  if (run.series.length === 0) skip('series', 'the run recorded no throughput over time');
  else figures.push({ figure: seriesFigure(run), extra: {} });
  if (isHeatKnown(run)) figures.push({ figure: heatFigure(run), extra: {} });
  if (isSweep(run)) figures.push({ figure: sweepFigure(run), extra: {} });
  const written: string[] = [];
  for (const { figure, extra } of figures) written.push(...(await writeFigure(figure, { outFolder, extra })));
  return written;
};

/**
 * Writes one figure as SVG, PNG and PDF, and its numbers as JSON and CSV.
 * @returns the paths written.
 */
export const writeFigure = async (
  figure: Figure,
  options: { readonly outFolder: string; readonly extra?: object },
): Promise<string[]> => {
  const svg = await renderSvg(figureSpec(figure));
  const rows = figureRows(figure);
  const { id, title, caption, trusted, x, y } = figure;
  const numbers = { id, title, caption, trusted, x, y, ...options.extra, rows };
  const contents: readonly [string, string | Uint8Array][] = [
    ['svg', svg],
    ['png', renderPng(svg)],
    ['pdf', await renderPdf(svg, title)],
    ['json', `${JSON.stringify(numbers, null, 1)}\n`],
    ['csv', formatCsv(rows)],
  ];
  mkdirSync(options.outFolder, { recursive: true });
  return contents.map(([extension, content]) => {
    const path = join(options.outFolder, `${id}.${extension}`);
    writeFileSync(path, content);
    return path;
  });
};

/** Throughput of each workload: the median of its repetitions, with their least and greatest as whisker. */
export const throughputFigure = (run: StoredRun): BarFigure => {
  const cells = groupCells(run.rows);
  const unit = throughputUnit(Math.max(...run.rows.map((row) => row.throughputOps)));
  const repetitions = Math.max(...cells.map((cell) => cell.rows.length), 0);
  const caption = runCaption(run);
  const spread = repetitions > 1 ? [`median, least and greatest of ${repetitions} repetitions`] : [];
  return {
    kind: 'bars',
    id: 'throughput',
    title: 'Throughput',
    ...frame(caption, spread),
    x: { label: '', unit: '' },
    y: { label: 'Throughput', unit: unit.name },
    bars: cells.map((cell) => {
      const values = cell.rows.map((row) => row.throughputOps / unit.ops);
      return {
        category: workloadLabel(cell.workload),
        series: cell.label,
        origin: cell.origin,
        value: median(values),
        low: Math.min(...values),
        high: Math.max(...values),
        repetitions: values.length,
      };
    }),
  };
};

/** Latency distribution of each operation, one panel for each workload, from the buckets of the run's log. */
export const latencyFigure = (run: StoredRun): LineFigure => {
  const panels = new Map<string, Line[]>();
  const extremesUs: number[] = [];
  for (const { workload, label, operation, histogram } of latencies(run)) {
    const title = [workloadLabel(workload), label].filter((part) => part !== '').join(' · ');
    const lines = panels.get(title) ?? [];
    panels.set(title, lines);
    const row = run.rows.find((one) => one.workload === workload);
    const p99 = histogram.percentile(99);
    lines.push({
      series: operation,
      origin: rowOrigin(row ?? run.rows[0]),
      points: cdfPoints(histogram),
      marks: Number.isFinite(p99) ? [{ x: p99 / 1000, y: 99 }] : [],
    });
    extremesUs.push(Math.max(histogram.percentile(0), 1) / 1000, histogram.percentile(99.9) / 1000);
  }
  return {
    kind: 'lines',
    id: 'latency',
    title: 'Latency distribution',
    ...frame(runCaption(run), ['dots: p99; the axis ends at p99.9']),
    x: { label: 'Latency', unit: 'µs', scale: 'log', domain: logDomain(extremesUs) },
    y: { label: 'Operations', unit: '%', domain: [0, 102] },
    step: true,
    panels: [...panels].map(([title, lines]) => ({ title, lines })),
  };
};

/** Throughput over time, one panel for each cell: the median of its repetitions, with their range as band. */
export const seriesFigure = (run: StoredRun): LineFigure => {
  const panels = new Map<string, SeriesPoint[]>();
  const keys = ['system', 'fabric', 'clients'] as const;
  const differing = keys.filter((key) => run.series.some((point) => point[key] !== run.series[0][key]));
  for (const point of run.series) {
    const label = differing.map((key) => (key === 'clients' ? `${point[key]} clients` : point[key]));
    const title = [workloadLabel(point.workload), ...label].join(' · ');
    const points = panels.get(title) ?? [];
    panels.set(title, points);
    points.push(point);
  }
  const rates = run.series.map(rateOf);
  const unit = throughputUnit(Math.max(...rates));
  const endMs = Math.max(...run.series.map((point) => point.tMs + point.intervalMs));
  const intervals = [...new Set(run.series.map((point) => point.intervalMs))].sort((a, b) => a - b);
  const repetitions = new Set(run.series.map((point) => point.repetition)).size;
  const spread = repetitions > 1 ? [`line: median, band: range of ${repetitions} repetitions`] : [];
  return {
    kind: 'lines',
    id: 'series',
    title: 'Throughput over time',
    ...frame(runCaption(run), [`${intervals[intervals.length - 1]} ms intervals`, ...spread]),
    x: { label: 'Time', unit: 's', scale: 'linear', domain: [0, endMs / 1000] },
    y: { label: 'Throughput', unit: unit.name, domain: [0, (Math.max(...rates, 1) / unit.ops) * 1.1] },
    step: false,
    panels: [...panels].map(([title, points]) => ({
      title,
      lines: [overTime(points, unit.ops)],
      rules: rulesOf(run.events, points[0].workload),
      spans: spansOf(run.rows, points[0].workload),
    })),
  };
};

const latencySummaries = (run: StoredRun): object[] =>
  latencies(run).map(({ workload, label, operation, histogram }) => {
    const summary: LatencySummary | null = histogram.summary();
    return { workload, label, operation, count: histogram.count, overflow: histogram.overflow, ...summary };
  });

const rateOf = (point: SeriesPoint): number => (point.operations / point.intervalMs) * 1000;

const overTime = (points: readonly SeriesPoint[], unitOps: number): Line => {
  const byTime = new Map<number, SeriesPoint[]>();
  for (const point of points) {
    const together = byTime.get(point.tMs) ?? [];
    byTime.set(point.tMs, together);
    together.push(point);
  }
  const drawn = [...byTime]
    .sort(([a], [b]) => a - b)
    .map(([tMs, together]) => {
      const rates = together.map((point) => rateOf(point) / unitOps);
      // A point stands in the middle of its interval.
      const halfMs = Math.max(...together.map((point) => point.intervalMs)) / 2;
      const band = rates.length > 1 ? { low: Math.min(...rates), high: Math.max(...rates) } : {};
      return { x: (tMs + halfMs) / 1000, y: median(rates), ...band };
    });
  return { series: 'throughput', origin: rowOrigin(points[0]), points: drawn };
};

/** Faults that lasted: stops, slow and cut links. */
const spansOf = (rows: readonly ResultRow[], workload: string): { from: number; to: number }[] =>
  rows
    .filter((row) => row.workload === workload)
    .flatMap((row) => row.faults ?? [])
    .flatMap(({ atMs, endMs }) => (endMs === null ? [] : [{ from: atMs / 1000, to: endMs / 1000 }]));
