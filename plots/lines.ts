/** Specification of a figure of curves: panels side by side over the same axes. */
import type { TopLevelSpec } from 'vega-lite';
import type { Line, LineFigure, LinePoint, Panel } from './figure.js';
import { axisTitle, COLOUR, frameTitle, legendLayers, originNotes } from './frame.js';
import { ruleLayers } from './rules.js';
import {
  distinctSeries,
  INK,
  type Look,
  type Series,
  SOFT_INK,
  SPAN_TINT,
  seriesColours,
  seriesLooks,
  TEXT_SIZE,
  THEME,
} from './style.js';

/** Most panels in one row, and the width of all panels of a row together: the text width of a paper. */
const COLUMNS = 3;
const ROW_WIDTH = 500;
const SINGLE_WIDTH = 320;
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
    ...(scale === 'log' ? { values: logTicks(domain), format: '.3~r' } : {}),
    ...(scale === 'linear' ? { tickCount: place.widthPx > 200 ? 6 : 4 } : {}),
    ...(scale === 'nines' ? { values: nineTicks(domain), labelExpr: NINES_LABEL } : {}),
  };
  const type = scale === 'linear' ? 'linear' : 'log';
  return { type: 'quantitative', scale: { type, domain, nice: false }, axis };
};

/** Of 1 / (1 - p) the percentile, with as many digits as it takes. */
const NINES_LABEL = "format(100 * (1 - 1 / datum.value), '.7~r') + ' %'";

/** The median, and 90 %, 99 %, 99.9 % and so on. */
const nineTicks = ([lowest, highest]: readonly [number, number]): number[] =>
  [2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter((tick) => tick >= lowest && tick <= highest);

const yAxis = (figure: LineFigure, outer: boolean): object => ({
  type: 'quantitative',
  scale: { domain: figure.y.domain, nice: false, type: figure.y.scale ?? 'linear' },
  axis: {
    title: outer ? axisTitle(figure.y) : null,
    labels: outer,
    ...(figure.y.scale === 'log' ? { values: logTicks(figure.y.domain), format: '.3~r' } : { tickCount: 5 }),
  },
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
  const values = panel.lines.flatMap((line) =>
    line.points.map((point, at) => ({ ...drawn(line, point), at })),
  );
  const marks = panel.lines.flatMap((line) =>
    (line.marks ?? []).filter(visible).map((point) => drawn(line, point)),
  );
  const looks = seriesLooks(series);
  const ofSeries = distinctSeries(panel.lines).map((one) => ({
    ...one,
    look: looks[series.findIndex(({ name }) => name === one.name)],
  }));
  const banded = values.some((value) => value.low !== undefined && value.low !== value.high);
  return [
    ...legendLayers(series, { shape: 'stroke', orient: 'bottom', offset: 6 }),
    ...spanLayers(panel),
    ...ruleLayers(panel, figure.x.domain),
    ...(banded ? [bandLayer(values)] : []),
    ...ofSeries.map((one) => curveLayer(values, one, figure.step)),
    ...ofSeries.map((one) => markLayer(marks, one)),
    ...(marks.some((mark) => mark.label !== undefined) ? [labelLayer(marks, figure.x.domain)] : []),
  ];
};

/** A series of a panel, and how it is drawn. */
interface Drawn extends Series {
  readonly look: Look;
}

const only = ({ name }: Series): object[] => [{ filter: { field: 'series', equal: name } }];

const bandLayer = (values: readonly object[]): object => ({
  data: { values },
  transform: [{ filter: 'isValid(datum.low)' }],
  mark: { type: 'area', opacity: 0.2, clip: true },
  encoding: { x: X, y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' }, color: COLOUR },
});

const curveLayer = (values: readonly object[], drawn: Drawn, step: LineFigure['step']): object => ({
  data: { values },
  transform: only(drawn),
  mark: {
    type: 'line',
    clip: true,
    strokeWidth: 1.5,
    strokeDash: drawn.look.dash,
    interpolate: step === false ? 'linear' : step === 'before' ? 'step-before' : 'step-after',
  },
  encoding: {
    x: X,
    y: Y,
    // As they come: a curve may turn back.
    order: { field: 'at', type: 'quantitative' },
    detail: { field: 'series' },
    color: COLOUR,
  },
});

const markLayer = (marks: readonly object[], drawn: Drawn): object => ({
  data: { values: marks },
  transform: only(drawn),
  mark: {
    type: 'point',
    opacity: 1,
    clip: false,
    shape: drawn.look.shape,
    ...(drawn.origin === 'simulated' ? { filled: false, fill: '#ffffff' } : { filled: true }),
  },
  encoding: { x: X, y: Y, size: { value: 30 }, color: COLOUR },
});

/** Below its mark to the right, where no curve that rises passes; to the left where there is no room. */
const labelLayer = (marks: readonly LinePoint[], [lowest, highest]: readonly [number, number]): object => {
  const isRight = `datum.x > ${lowest + 0.9 * (highest - lowest)}`;
  return {
    data: { values: marks.filter(({ label }) => label !== undefined) },
    mark: {
      type: 'text',
      fontSize: 8,
      color: SOFT_INK,
      clip: false,
      dy: 9,
      align: { expr: `${isRight} ? 'right' : 'left'` },
      dx: { expr: `${isRight} ? -2 : 2` },
    },
    encoding: { x: X, y: Y, text: { field: 'label' } },
  };
};

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
