/** Specification of a figure of curves: panels side by side over the same axes. */
import type { TopLevelSpec } from 'vega-lite';
import type { Line, LineFigure, LinePoint, Panel } from './figure.js';
import { axisTitle, COLOUR, frameTitle, legendLayers, originNotes } from './frame.js';
import {
  DASH,
  distinctSeries,
  INK,
  type Origin,
  type Series,
  SOFT_INK,
  SPAN_TINT,
  seriesColours,
  TEXT_SIZE,
  THEME,
} from './style.js';

/** Most panels in one row, and the width of all panels of a row together: the text width of a paper. */
const COLUMNS = 3;
const ROW_WIDTH = 500;
const SINGLE_WIDTH = 320;
/** Rows of rules' labels, and the height of one. */
const RULE_ROWS = 4;
const RULE_ROW_PX = 11;

/** All panels; since they share their axes, titles stand only at the left and in the last row. */
export const lineSpec = (figure: LineFigure): TopLevelSpec => {
  const lines = figure.panels.flatMap((panel) => panel.lines);
  const series = distinctSeries(lines);
  const columns = Math.min(figure.panels.length, figure.panels.length === 4 ? 2 : COLUMNS);
  const widthPx = columns === 1 ? SINGLE_WIDTH : Math.floor((ROW_WIDTH - 14 * (columns - 1)) / columns);
  const heightPx = columns === 1 ? 170 : columns === 2 ? 130 : 115;
  const lastRow = figure.panels.length - 1 - ((figure.panels.length - 1) % columns);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    config: THEME,
    title: frameTitle({
      ...figure,
      notes: originNotes(lines.map((line) => line.origin)),
      widthPx: columns * widthPx + 14 * (columns - 1) + 30,
    }),
    columns,
    spacing: { column: 14, row: 8 },
    align: 'each',
    resolve: {
      scale: { stroke: 'shared', strokeDash: 'shared' },
      legend: { stroke: 'shared', strokeDash: 'shared' },
    },
    concat: figure.panels.map((panel, at) => ({
      width: widthPx,
      height: heightPx,
      encoding: {
        x: xAxis(figure, { last: at >= lastRow, widthPx }),
        y: yAxis(figure, at % columns === 0),
      },
      layer: [panelTitle(panel.title, widthPx), ...panelLayers(figure, panel, series)],
    })),
  } as unknown as TopLevelSpec;
};

/**
 * A title as text of the panel. As a title of vega's it would move with the labels of the axis, and stand
 * higher in one column than in the next.
 */
const panelTitle = (text: string, widthPx: number): object => ({
  data: { values: [{ text }] },
  mark: {
    type: 'text',
    fontWeight: 'bold',
    fontSize: TEXT_SIZE,
    color: INK,
    baseline: 'bottom',
    clip: false,
  },
  encoding: { x: { value: widthPx / 2 }, y: { value: -5 }, text: { field: 'text' } },
});

const xAxis = (figure: LineFigure, place: { last: boolean; widthPx: number }): object => {
  const { scale, domain } = figure.x;
  const axis = {
    title: place.last ? axisTitle(figure.x) : null,
    labelOverlap: true,
    // Few ticks: a logarithmic axis would crowd.
    ...(scale === 'log'
      ? { values: logTicks(domain), format: '.3~r' }
      : { tickCount: place.widthPx > 200 ? 6 : 4 }),
  };
  return { type: 'quantitative', scale: { type: scale, domain, nice: false }, axis };
};

const yAxis = (figure: LineFigure, outer: boolean): object => ({
  type: 'quantitative',
  scale: { domain: figure.y.domain, nice: false },
  axis: { title: outer ? axisTitle(figure.y) : null, labels: outer, tickCount: 5 },
});

/** Powers of ten within a domain; with their double and fivefold when there would be fewer than two. */
const logTicks = (domain: readonly [number, number]): number[] => {
  const powers: number[] = [];
  const [first, last] = domain.map((end) => Math.floor(Math.log10(end)));
  for (let exponent = first; exponent <= last; exponent++) powers.push(10 ** exponent);
  const within = (ticks: number[]): number[] =>
    ticks.filter((tick) => tick >= domain[0] && tick <= domain[1]);
  const decades = within(powers);
  return decades.length >= 2 ? decades : within(powers.flatMap((power) => [power, 2 * power, 5 * power]));
};

const X = { field: 'x', type: 'quantitative' } as const;
const Y = { field: 'y', type: 'quantitative' } as const;

const panelLayers = (figure: LineFigure, panel: Panel, series: readonly Series[]): object[] => {
  const colours = new Map(seriesColours(series).map((colour, at) => [series[at].name, colour]));
  const drawn = (line: Line, point: LinePoint) => ({
    ...point,
    series: line.series,
    origin: line.origin,
    colour: colours.get(line.series),
  });
  const [lowest, highest] = figure.x.domain;
  const visible = ({ x }: LinePoint): boolean => x >= lowest && x <= highest;
  const values = panel.lines.flatMap((line) => line.points.map((point) => drawn(line, point)));
  const marks = panel.lines.flatMap((line) =>
    (line.marks ?? []).filter(visible).map((point) => drawn(line, point)),
  );
  const origins = [...new Set(panel.lines.map((line) => line.origin))];
  const banded = values.some((value) => value.low !== undefined && value.low !== value.high);
  return [
    ...legendLayers(series, { shape: 'stroke', orient: 'bottom', offset: 6 }),
    ...spanLayers(panel),
    ...ruleLayers(panel, figure.x.domain),
    ...(banded ? [bandLayer(values)] : []),
    ...origins.map((origin) => curveLayer(values, origin, figure.step)),
    ...origins.map((origin) => markLayer(marks, origin)),
  ];
};

const only = (origin: Origin): object[] => [{ filter: `datum.origin === '${origin}'` }];

const bandLayer = (values: readonly object[]): object => ({
  data: { values },
  transform: [{ filter: 'isValid(datum.low)' }],
  mark: { type: 'area', opacity: 0.2, clip: true },
  encoding: { x: X, y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' }, color: COLOUR },
});

const curveLayer = (values: readonly object[], origin: Origin, step: boolean): object => ({
  data: { values },
  transform: only(origin),
  mark: {
    type: 'line',
    clip: true,
    strokeWidth: 1.5,
    strokeDash: DASH[origin],
    interpolate: step ? 'step-after' : 'linear',
  },
  encoding: { x: X, y: Y, detail: { field: 'series' }, color: COLOUR },
});

const markLayer = (marks: readonly object[], origin: Origin): object => ({
  data: { values: marks },
  transform: only(origin),
  mark: {
    type: 'point',
    opacity: 1,
    clip: false,
    ...(origin === 'simulated' ? { filled: false, fill: '#ffffff' } : { filled: true }),
  },
  encoding: { x: X, y: Y, size: { value: 26 }, color: COLOUR },
});

/** Behind everything: what lasted, in a tint that a grey band of repetitions is not mistaken for. */
const spanLayers = (panel: Panel): object[] => {
  if (!panel.spans?.length) return [];
  return [
    {
      data: { values: panel.spans },
      mark: { type: 'rect', color: SPAN_TINT, opacity: 0.5, clip: true },
      encoding: { x: { field: 'from', type: 'quantitative' }, x2: { field: 'to' } },
    },
  ];
};

/** Labels that follow each other stand one below the other, and left of their rules in the right half. */
const ruleLayers = (panel: Panel, [lowest, highest]: readonly [number, number]): object[] => {
  if (!panel.rules?.length) return [];
  const rules = [...panel.rules].sort((a, b) => a.x - b.x);
  const labels = rules.map((rule, i) => {
    const isRight = rule.x > (lowest + highest) / 2;
    return {
      data: { values: [rule] },
      mark: {
        type: 'text',
        align: isRight ? 'right' : 'left',
        baseline: 'top',
        dx: isRight ? -3 : 3,
        dy: 2 + (i % RULE_ROWS) * RULE_ROW_PX,
        fontSize: 9,
        color: INK,
        clip: true,
      },
      encoding: { x: X, y: { value: 0 }, text: { field: 'label' } },
    };
  });
  const mark = { type: 'rule', color: SOFT_INK, strokeWidth: 0.75, clip: true };
  return [{ data: { values: rules }, mark, encoding: { x: X } }, ...labels];
};
