/** Specification of a bar figure. */
import type { TopLevelSpec } from 'vega-lite';
import type { BarFigure } from './figure.js';
import { textWidth } from './fonts.js';
import { axisTitle, COLOUR, frameTitle, legendLayers, originNotes } from './frame.js';
import { DASH, distinctSeries, INK, type Origin, seriesColours, TEXT_SIZE, THEME } from './style.js';

/** Bars of one column figure are this wide together, whatever their number. */
const PLOT_WIDTH = 300;
const PLOT_HEIGHT = 170;
const LABEL_SIZE = TEXT_SIZE - 1;

/** Layers: measured bars filled, simulated hollow and dashed, published grey; whiskers and values above. */
export const barSpec = (figure: BarFigure): TopLevelSpec => {
  const categories = [...new Set(figure.bars.map((bar) => bar.category))];
  const series = distinctSeries(figure.bars);
  const names = series.map(({ name }) => name);
  const colours = seriesColours(series);
  const grouped = series.length > 1;
  const values = figure.bars.map((bar) => ({
    ...bar,
    colour: colours[names.indexOf(bar.series)],
    label: formatValue(bar.value),
    top: bar.repetitions > 1 ? Math.max(bar.high, bar.value) : bar.value,
  }));
  const highest = Math.max(...values.map((bar) => bar.top));
  const slotPx = PLOT_WIDTH / categories.length / series.length;
  // Values that would run into each other stand in the CSV only.
  const labelled = values.every(
    (bar) => textWidth(bar.label, LABEL_SIZE) + 2 <= slotPx * (grouped ? 0.8 : 1),
  );
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    config: THEME,
    title: frameTitle({
      ...figure,
      notes: originNotes(figure.bars.map((one) => one.origin)),
      widthPx: PLOT_WIDTH + 40,
    }),
    width: PLOT_WIDTH,
    height: PLOT_HEIGHT,
    data: { values },
    encoding: {
      x: {
        field: 'category',
        type: 'nominal',
        scale: { domain: categories },
        axis: { title: axisTitle(figure.x), labelAngle: 0, grid: false, ticks: false, labelPadding: 5 },
      },
      y: {
        type: 'quantitative',
        scale: { domain: [0, highest === 0 ? 1 : highest * 1.12], nice: false, zero: true },
        axis: { title: axisTitle(figure.y), tickCount: 5 },
      },
      ...(grouped ? { xOffset: { field: 'series', type: 'nominal', scale: { domain: names } } } : {}),
    },
    layer: [
      ...legendLayers(series, { shape: 'square', orient: 'top', offset: 4 }),
      ...barLayers(slotPx),
      ...WHISKER_LAYERS,
      ...(labelled ? [VALUE_LAYER] : []),
    ],
  } as unknown as TopLevelSpec;
};

const barLayers = (slotPx: number): object[] => {
  const bar = (origin: Origin, mark: object): object => ({
    transform: [{ filter: `datum.origin === '${origin}'` }],
    mark: { type: 'bar', width: Math.min(slotPx * 0.6, 46), strokeWidth: 1.25, ...mark },
    encoding: { y: { field: 'value', type: 'quantitative' }, color: COLOUR },
  });
  return [
    bar('measured', {}),
    bar('simulated', { filled: false, fill: '#ffffff', strokeDash: DASH.simulated }),
    bar('published', { fillOpacity: 0.45 }),
  ];
};

/** From the least to the greatest repetition, where there are several. */
const WHISKER_LAYERS = [
  {
    transform: [{ filter: 'datum.repetitions > 1' }],
    mark: { type: 'rule', color: INK, strokeWidth: 1 },
    encoding: { y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } },
  },
  ...['low', 'high'].map((field) => ({
    transform: [{ filter: 'datum.repetitions > 1' }],
    mark: { type: 'tick', opacity: 1, color: INK, thickness: 1, size: 8, orient: 'horizontal' },
    encoding: { y: { field, type: 'quantitative' } },
  })),
];

/** The value above each bar, clear of its whisker. */
const VALUE_LAYER = {
  mark: { type: 'text', dy: -5, baseline: 'bottom', color: INK, fontSize: LABEL_SIZE },
  encoding: { y: { field: 'top', type: 'quantitative' }, text: { field: 'label' } },
};

/** Three significant digits, without an exponent. */
const formatValue = (value: number): string => {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
};
