/**
 * From a vega-lite specification to SVG and PNG: offline, without a canvas, and byte for byte the same for
 * the same data. No font is shipped: an SVG names families, and a PNG is drawn with DejaVu or Liberation
 * fonts where they are installed, else with whatever the system has, which {@link pngFont} says.
 */
import { existsSync } from 'node:fs';
import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { textWidth } from './text-width.js';

/** Pixels of a PNG per pixel of the SVG: about 300 dpi at the width of a column. */
const PNG_ZOOM = 3;

/** Text metrics of vega, which its types leave out. */
interface TextMetrics {
  width: (item: { fontSize?: number; fontWeight?: string | number }, text: string) => number;
}

/** Where distributions put the two families; the regular face comes first, and bold is optional. */
const FONTS: readonly { readonly name: string; readonly files: readonly string[] }[] = [
  ...[
    '/usr/share/fonts/truetype/dejavu',
    '/usr/share/fonts/dejavu-sans-fonts',
    '/usr/share/fonts/dejavu',
    '/usr/share/fonts/TTF',
  ].map((folder) => ({
    name: 'DejaVu Sans',
    files: [`${folder}/DejaVuSans.ttf`, `${folder}/DejaVuSans-Bold.ttf`],
  })),
  ...[
    '/usr/share/fonts/truetype/liberation',
    '/usr/share/fonts/truetype/liberation2',
    '/usr/share/fonts/liberation-sans',
    '/usr/share/fonts/liberation-sans-fonts',
    '/usr/share/fonts/liberation',
  ].map((folder) => ({
    name: 'Liberation Sans',
    files: [`${folder}/LiberationSans-Regular.ttf`, `${folder}/LiberationSans-Bold.ttf`],
  })),
];

/** The font PNGs are drawn with here; `files` is empty when the system's own choice must do. */
export const pngFont = (): { readonly name: string; readonly files: readonly string[] } => {
  const found = FONTS.find(({ files }) => existsSync(files[0]));
  if (found === undefined) return { name: "the system's default sans-serif", files: [] };
  return { name: found.name, files: found.files.filter((file) => existsSync(file)) };
};

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
  const font = pngFont();
  const named = font.files.length > 0;
  return new Resvg(svg, {
    fitTo: { mode: 'zoom', value: PNG_ZOOM },
    background: '#ffffff',
    font: {
      loadSystemFonts: !named,
      fontFiles: [...font.files],
      ...(named ? { defaultFontFamily: font.name, sansSerifFamily: font.name } : {}),
    },
  })
    .render()
    .asPng();
};
