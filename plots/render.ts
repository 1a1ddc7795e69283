/**
 * From a vega-lite specification to SVG and PNG: offline, without a canvas, and byte for byte the same for
 * the same data, on every machine.
 */
import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { FONT_FILES, FONT_NAME, textWidth } from './fonts.js';

/** Pixels of a PNG per pixel of the SVG: about 300 dpi at the width of a column. */
const PNG_ZOOM = 3;

/** Text metrics of vega, which its types leave out. */
interface TextMetrics {
  width: (item: { fontSize?: number; fontWeight?: string | number }, text: string) => number;
}

/**
 * Draws a specification as SVG.
 * @throws Error when vega-lite warns: a specification of ours that it has to guess at is wrong.
 */
export const renderSvg = async (spec: TopLevelSpec): Promise<string> => {
  const metrics = (vega as unknown as { textMetrics: TextMetrics }).textMetrics;
  metrics.width = (item, text) =>
    textWidth(text, item.fontSize ?? 11, item.fontWeight === 'bold' || Number(item.fontWeight) >= 600);
  const warnings: string[] = [];
  const logger = vega.logger(vega.Warn);
  logger.warn = (...messages) => {
    warnings.push(messages.join(' '));
    return logger;
  };
  const compiled = compile(spec, { logger }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: 'none', logger });
  try {
    // Definitions are numbered through the whole process otherwise, and the second drawing differs from the
    // first.
    vega.resetSVGDefIds();
    const svg = await view.toSVG();
    if (warnings.length > 0) throw new Error(`vega: ${warnings.join('; ')}`);
    return svg;
  } finally {
    view.finalize();
  }
};

/** Draws an SVG as PNG, three pixels for one. */
export const renderPng = (svg: string): Uint8Array => {
  return new Resvg(svg, {
    fitTo: { mode: 'zoom', value: PNG_ZOOM },
    background: '#ffffff',
    font: {
      loadSystemFonts: false,
      fontFiles: [FONT_FILES.regular, FONT_FILES.bold],
      defaultFontFamily: FONT_NAME,
      sansSerifFamily: FONT_NAME,
    },
  })
    .render()
    .asPng();
};
