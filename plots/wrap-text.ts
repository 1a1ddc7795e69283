/** Text broken into lines. */
import { textWidth } from './fonts.js';

/**
 * Breaks text at spaces so that no line is wider than `widthPx`; a word that is wider has a line of its own.
 */
export const wrapText = (text: string, sizePx: number, widthPx: number): string[] => {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const joined = lines.length === 0 ? word : `${lines[lines.length - 1]} ${word}`;
    if (lines.length > 0 && textWidth(joined, sizePx) <= widthPx) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines;
};
