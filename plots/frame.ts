/** What surrounds the marks of every figure: its title with the caption under it, and the titles of axes. */
import type { Axis } from './figure.js';
import {
  CAPTION_SIZE,
  DASH,
  ORIGIN_NOTE,
  type Origin,
  type Series,
  SOFT_INK,
  seriesColours,
  seriesLooks,
  WARNING_INK,
} from './style.js';
import { wrapText } from './wrap-text.js';

/** Title and caption as vega-lite's title, the caption wrapped to `widthPx`. */
export const frameTitle = (frame: {
  readonly title: string;
  readonly caption: readonly string[];
  readonly trusted: boolean;
  readonly notes: readonly string[];
  readonly widthPx: number;
}): object => ({
  text: frame.title,
  subtitle: wrapText(joinParts([...frame.caption, ...frame.notes]), CAPTION_SIZE, frame.widthPx),
  subtitleColor: frame.trusted ? SOFT_INK : WARNING_INK,
  anchor: 'start',
});

/** Parts joined by dots that stay at the ends of lines; a short part is not torn apart, a long one may be. */
const joinParts = (parts: readonly string[]): string =>
  parts.map((part) => (part.length <= 50 ? part.replaceAll(' ', '\u00a0') : part)).join('\u00a0· ');

/** A stroke that no symbol is long enough to end; an empty dash or one without gaps not all formats know. */
const SOLID = [1000, 1];

/** Marks carry their colour as data, so that {@link legendLayers} alone decides what the legend shows. */
export const COLOUR = { field: 'colour', type: 'nominal', scale: null } as const;

/**
 * A layer without data that brings the legend, with each series as it is drawn: simulated ones hollow
 * (`square`) or dashed (`stroke`). None when there is one series only.
 */
export const legendLayers = (
  series: readonly Series[],
  symbol: { readonly shape: 'square' | 'stroke'; readonly orient: 'top' | 'bottom'; readonly offset: number },
): object[] => {
  if (series.length < 2) return [];
  const domain = series.map(({ name }) => name);
  const colours = seriesColours(series);
  const hollow = series.map(({ origin }, at) => (origin === 'simulated' ? '#ffffff' : colours[at]));
  const legend = {
    orient: symbol.orient,
    direction: 'horizontal',
    symbolType: symbol.shape,
    symbolOpacity: 1,
    symbolSize: symbol.shape === 'square' ? 90 : 700,
    offset: symbol.offset,
  };
  const by = (range: readonly unknown[]): object => ({
    field: 'series',
    type: 'nominal',
    scale: { domain, range },
    legend,
  });
  // Published bars have no outline, so theirs is not dotted.
  const solid = (origin: Origin): boolean =>
    symbol.shape === 'square' && (origin === 'measured' || origin === 'published');
  const looks = seriesLooks(series);
  const dashOf = ({ origin }: Series, at: number): number[] =>
    symbol.shape === 'square' ? DASH[origin] : looks[at].dash;
  // Channels over the same field share one legend.
  const channels = {
    stroke: by(colours),
    strokeDash: by(
      series.map((one, at) => (solid(one.origin) || dashOf(one, at).length === 0 ? SOLID : dashOf(one, at))),
    ),
    ...(symbol.shape === 'square' ? { fill: by(hollow) } : {}),
  };
  return [{ data: { values: [] }, mark: symbol.shape === 'square' ? 'bar' : 'line', encoding: channels }];
};

/** How to tell the origins in a figure apart, where it is not all measured. */
export const originNotes = (origins: Iterable<Origin>): string[] =>
  [...new Set(origins)].map((origin) => ORIGIN_NOTE[origin]).filter((note) => note !== null);

/** "Label (unit)". */
export const axisTitle = (axis: Axis): string =>
  axis.unit === '' ? axis.label : `${axis.label} (${axis.unit})`;
