/** A figure as data, and its numbers as rows. Nothing here measures or draws. */
import { ResultError } from '../results/error.js';
import type { Origin } from './style.js';

/** What every figure has. */
export interface FigureText {
  /** Name of the files it is written to. */
  readonly id: string;
  readonly title: string;
  /**
   * What a reader must know: fabric, commit, seed, trust. Wrapped to the figure's width, between the parts.
   */
  readonly caption: readonly string[];
  /** False draws the caption as a warning. */
  readonly trusted: boolean;
}

/** One axis; the unit stands in brackets behind the label. */
export interface Axis {
  readonly label: string;
  readonly unit: string;
}

/** One bar: `value`, with `low` to `high` as its whisker; equal when there was one repetition. */
export interface Bar {
  readonly category: string;
  readonly series: string;
  readonly origin: Origin;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly repetitions: number;
}

/** A bar for each category and series. */
export interface BarFigure extends FigureText {
  readonly kind: 'bars';
  readonly x: Axis;
  readonly y: Axis;
  readonly bars: readonly Bar[];
}

/** A point of a line; `low` and `high` draw a band where they differ. */
export interface LinePoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  /** Stands beside the point where it is marked. */
  readonly label?: string;
}

/** One curve of a panel; `marks` are single points of it to be seen. */
export interface Line {
  readonly series: string;
  readonly origin: Origin;
  readonly points: readonly LinePoint[];
  readonly marks?: readonly LinePoint[];
}

/** A vertical rule with a label: something that happened. */
export interface Rule {
  readonly x: number;
  readonly label: string;
}

/** A shaded stretch of the x axis: something that lasted. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** One panel of curves. */
export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly rules?: readonly Rule[];
  readonly spans?: readonly Span[];
}

/** Panels of curves over the same axes. */
export interface LineFigure extends FigureText {
  readonly kind: 'lines';
  /** On the scale `nines` a value is 1 / (1 - p), and its label the percentile p. */
  readonly x: Axis & {
    readonly scale: 'linear' | 'log' | 'nines';
    readonly domain: readonly [number, number];
  };
  /** @default linear */
  readonly y: Axis & { readonly scale?: 'linear' | 'log'; readonly domain: readonly [number, number] };
  /**
   * Whether a value holds until the next point, as in a CDF, rather than being joined to it; `before`: since
   * the last one.
   */
  readonly step: boolean | 'before';
  readonly panels: readonly Panel[];
}

/** One cell of a heatmap: `count` operations between two times and two latencies. */
export interface HeatCell {
  readonly x: number;
  readonly x2: number;
  readonly y: number;
  readonly y2: number;
  readonly count: number;
}

/** Panels of cells over the same axes, the darker the more operations. */
export interface HeatFigure extends FigureText {
  readonly kind: 'heat';
  readonly x: Axis & { readonly domain: readonly [number, number] };
  /** Logarithmic. */
  readonly y: Axis & { readonly domain: readonly [number, number] };
  readonly colour: Axis;
  readonly panels: readonly {
    readonly title: string;
    readonly origin: Origin;
    readonly cells: readonly HeatCell[];
    readonly rules?: readonly Rule[];
  }[];
}

/** Any figure. */
export type Figure = BarFigure | LineFigure | HeatFigure;

/** One number of a figure, as it stands in the CSV and JSON beside it. */
export type FigureRow = Readonly<Record<string, string | number | null>>;

/** The numbers of a figure, one record for each bar or point. */
export const figureRows = (figure: Figure): FigureRow[] => {
  if (figure.kind === 'bars') return figure.bars.map((bar) => ({ ...bar }));
  if (figure.kind === 'heat') {
    return figure.panels.flatMap(({ title, origin, cells }) =>
      cells.map((cell) => ({ panel: title, origin, ...cell })),
    );
  }
  return figure.panels.flatMap((panel) =>
    panel.lines.flatMap(({ series, origin, points }) =>
      points.map(({ x, y, low, high }) => ({
        panel: panel.title,
        series,
        origin,
        x,
        y,
        low: low ?? null,
        high: high ?? null,
      })),
    ),
  );
};

/** Records as CSV, with the fields of the first one as its head. */
export const formatCsv = (rows: readonly FigureRow[]): string => {
  const fields = Object.keys(rows[0] ?? {});
  const quote = (value: string | number | null): string => {
    const text = value === null ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [fields, ...rows.map((row) => fields.map((field) => row[field]))];
  return lines.map((line) => `${line.map(quote).join(',')}\n`).join('');
};

/**
 * Refuses what would draw an empty or misleading picture.
 * @throws ResultError when there is nothing to draw, or a value that is no number.
 */
export const checkDrawable = (figure: Figure): void => {
  const rows = figureRows(figure);
  if (rows.length === 0) throw new ResultError(`figure ${figure.id} has no data to draw`);
  if (figure.kind === 'lines') {
    const empty = figure.panels.find((panel) => panel.lines.every((line) => line.points.length === 0));
    if (empty) throw new ResultError(`figure ${figure.id}: panel "${empty.title}" has no data to draw`);
  }
  for (const row of rows) {
    for (const [field, value] of Object.entries(row)) {
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new ResultError(`figure ${figure.id}: ${field} is ${value} in ${JSON.stringify(row)}`);
      }
    }
  }
};
