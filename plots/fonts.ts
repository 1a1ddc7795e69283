/**
 * The font of all figures, which comes with the package `dejavu-fonts-ttf`: its outlines are drawn in PNG and
 * PDF, and its widths lay every figure out, so that both are the same on every machine. An SVG names it.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Font, openSync } from 'fontkit';

const folder = join(dirname(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json')), 'ttf');

/** Name of the font's family. */
export const FONT_NAME = 'DejaVu Sans';
/** Its files, by weight. */
export const FONT_FILES = {
  regular: join(folder, 'DejaVuSans.ttf'),
  bold: join(folder, 'DejaVuSans-Bold.ttf'),
} as const;

const opened = new Map<string, Font>();
const widths = new Map<string, number>();

/** Width in px of one line of text, kerning included. */
export const textWidth = (text: string, sizePx: number, bold = false): number => {
  const file = bold ? FONT_FILES.bold : FONT_FILES.regular;
  const key = `${file}:${text}`;
  let ems = widths.get(key);
  if (ems === undefined) {
    let font = opened.get(file);
    if (font === undefined) {
      font = openSync(file);
      opened.set(file, font);
    }
    ems = font.layout(text).advanceWidth / font.unitsPerEm;
    widths.set(key, ems);
  }
  return ems * sizePx;
};
