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
  readonly x: Axis & { readonly scale: 'linear' | 'log'; readonly domain: readonly [number, number] };
  readonly y: Axis & { readonly domain: readonly [number, number] };
  /** Whether a value holds until the next point, as in a CDF, rather than being joined to it. */
  readonly step: boolean;
  readonly panels: readonly Panel[];
}

/** Any figure. */
export type Figure = BarFigure | LineFigure;

/** One number of a figure, as it stands in the CSV and JSON beside it. */
export type FigureRow = Readonly<Record<string, string | number | null>>;

/** The numbers of a figure, one record for each bar or point. */
export const figureRows = (figure: Figure): FigureRow[] => {
  if (figure.kind === 'bars') return figure.bars.map((bar) => ({ ...bar }));
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
