/** How figures look: colours, marks and text, the same on every machine. */
import type { Config } from 'vega-lite';

/** Where a value comes from; each origin has marks of its own, so that none is mistaken for another. */
export type Origin = 'measured' | 'simulated' | 'published';

/**
 * Fonts that an SVG names, in order of preference. Layout follows the widths of the first; the others are
 * about as wide or narrower.
 */
export const FONT_FAMILY = 'DejaVu Sans, Verdana, Liberation Sans, Arial, sans-serif';

/**
 * Okabe and Ito's palette, told apart with every common kind of colour blindness; its yellow is too light.
 */
export const PALETTE = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#333333'] as const;

/** Each operation keeps its colour in all figures. */
const OPERATION_COLOUR: Readonly<Record<string, string>> = {
  search: PALETTE[0],
  update: PALETTE[1],
  insert: PALETTE[2],
  delete: PALETTE[3],
  put: PALETTE[4],
  rmw: PALETTE[5],
};

/** A series of a figure, as the legend names it. */
export interface Series {
  readonly name: string;
  readonly origin: Origin;
}

/** The series of bars or lines, each once, in the order they first appear. */
export const distinctSeries = (
  drawn: readonly { readonly series: string; readonly origin: Origin }[],
): Series[] => {
  const series = new Map(drawn.map((one) => [one.series, { name: one.series, origin: one.origin }]));
  return [...series.values()];
};

/** Colour of each series: grey for a published one, an operation's own, else the palette in order. */
export const seriesColours = (series: readonly Series[]): string[] =>
  series.map(({ name, origin }, at) =>
    origin === 'published' ? PUBLISHED_COLOUR : (OPERATION_COLOUR[name] ?? PALETTE[at % PALETTE.length]),
  );

/** How a series is drawn, besides its colour: so that it is told apart without one too. */
export interface Look {
  readonly dash: number[];
  readonly shape: string;
}

/** Long strokes, which are taken neither for the dashes of the simulator nor for published dots. */
const MEASURED_DASHES = [[], [10, 2.5], [10, 2, 2, 2], [16, 2.5], [10, 2, 2, 2, 2, 2], [16, 2, 4, 2], [7, 2]];
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down', 'triangle-right'];

/** Dash and marker of each series, as {@link seriesColours} gives its colour. */
export const seriesLooks = (series: readonly Series[]): Look[] =>
  series.map(({ name, origin }, at) => {
    const operation = Object.keys(OPERATION_COLOUR).indexOf(name);
    const place = (operation < 0 ? at : operation) % SHAPES.length;
    const dash = origin === 'measured' ? MEASURED_DASHES[place] : DASH[origin];
    return { dash, shape: SHAPES[place] };
  });

/** Text colours, sizes in px, and the grey of values others published. */
export const INK = '#222222';
/** Ink of what steps back: axes, captions. */
export const SOFT_INK = '#5a5a5a';
/** Ink of what the reader must not miss. */
export const WARNING_INK = '#a4001d';
/** Published values stand in grey behind ours. */
export const PUBLISHED_COLOUR = '#9a9a9a';
/** Tint of a stretch of time in which something was wrong on purpose. */
export const SPAN_TINT = '#f3d9c4';
/** Size of labels, in points. */
export const TEXT_SIZE = 10;
/** Size of the caption, in points. */
export const CAPTION_SIZE = 9;
/** Size of the title, in points. */
export const TITLE_SIZE = 12;

/** Dashes of a line or outline, by origin. */
export const DASH: Readonly<Record<Origin, number[]>> = {
  measured: [],
  simulated: [5, 3],
  published: [1.5, 2.5],
};

/** What a reader must know to tell the origins apart; nothing for the ordinary one. */
export const ORIGIN_NOTE: Readonly<Record<Origin, string | null>> = {
  measured: null,
  simulated: 'dashed or hollow: simulated',
  published: 'grey: published in the paper',
};

/** The theme: light background, quiet grid, axes in dark grey. */
export const THEME: Config = {
  background: '#ffffff',
  padding: 8,
  font: FONT_FAMILY,
  view: { stroke: '#8a8a8a', strokeWidth: 0.75 },
  axis: {
    domainColor: '#8a8a8a',
    domainWidth: 0.75,
    tickColor: '#8a8a8a',
    tickWidth: 0.75,
    tickSize: 4,
    gridColor: '#e4e4e4',
    gridWidth: 0.75,
    labelColor: INK,
    labelFontSize: TEXT_SIZE,
    titleColor: INK,
    titleFontSize: TEXT_SIZE,
    titleFontWeight: 'normal',
    titlePadding: 6,
  },
  legend: {
    labelColor: INK,
    labelFontSize: TEXT_SIZE,
    labelLimit: 0,
    symbolStrokeWidth: 1.5,
    title: null,
    rowPadding: 3,
  },
  title: {
    color: INK,
    fontSize: TITLE_SIZE,
    fontWeight: 'bold',
    subtitleColor: SOFT_INK,
    subtitleFontSize: CAPTION_SIZE,
    subtitlePadding: 4,
    offset: 10,
  },
};
