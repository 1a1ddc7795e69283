/** Specification of a heatmap: panels below each other over the same axes, with one scale of colours. */
import type { TopLevelSpec } from 'vega-lite';
import type { HeatFigure } from './figure.js';
import { axisTitle, frameTitle, originNotes } from './frame.js';
import { ruleLayers } from './rules.js';
import { INK, TEXT_SIZE, THEME } from './style.js';

const WIDTH = 400;
const PANEL_HEIGHT = 110;

/** Cells as rectangles; light is few, dark is many, told apart in grey too. */
export const heatSpec = (figure: HeatFigure): TopLevelSpec => {
  const counts = figure.panels.flatMap(({ cells }) => cells.map(({ count }) => count));
  const most = Math.max(...counts);
  const last = figure.panels.length - 1;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    config: THEME,
    title: frameTitle({
      ...figure,
      notes: originNotes(figure.panels.map(({ origin }) => origin)),
      widthPx: WIDTH + 60,
    }),
    spacing: 22,
    resolve: { scale: { color: 'shared' }, legend: { color: 'shared' } },
    vconcat: figure.panels.map((panel, at) => ({
      width: WIDTH,
      height: PANEL_HEIGHT,
      title: {
        text: panel.title,
        anchor: 'middle',
        fontSize: TEXT_SIZE,
        color: INK,
        offset: 3,
      },
      layer: [
        {
          data: { values: panel.cells },
          mark: { type: 'rect', clip: true, stroke: null },
          encoding: {
            x: {
              field: 'x',
              type: 'quantitative',
              scale: { domain: figure.x.domain, nice: false },
              axis: { title: at === last ? axisTitle(figure.x) : null, grid: false, tickCount: 8 },
            },
            x2: { field: 'x2' },
            y: {
              field: 'y',
              type: 'quantitative',
              scale: { type: 'log', domain: figure.y.domain, nice: false },
              axis: {
                title: axisTitle(figure.y),
                grid: false,
                format: '.3~r',
                values: decades(figure.y.domain),
              },
            },
            y2: { field: 'y2' },
            color: {
              field: 'count',
              type: 'quantitative',
              scale: { type: 'log', domain: [1, Math.max(most, 10)], scheme: 'viridis', reverse: true },
              legend: {
                title: axisTitle(figure.colour),
                values: decades([1, Math.max(most, 10)]),
                format: '~s',
                gradientLength: PANEL_HEIGHT,
                titleFontSize: TEXT_SIZE,
                titleFontWeight: 'normal',
                titleLimit: 0,
              },
            },
          },
        },
        ...ruleLayers(panel, figure.x.domain),
      ],
    })),
  } as unknown as TopLevelSpec;
};

const decades = ([lowest, highest]: readonly [number, number]): number[] =>
  Array.from({ length: 12 }, (_, i) => 10 ** (i - 3)).filter((tick) => tick >= lowest && tick <= highest);
