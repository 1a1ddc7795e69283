/**
 * Widths of text without a canvas: those of DejaVu Sans, rounded, so that layout is the same on every machine
 * whatever fonts it has.
 */

/** Advance widths of the characters from space to ~, in thousandths of the font size. */
// biome-ignore format: a table is read by rows
const WIDTHS = [
  318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, // space to /
  636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, // 0 to ?
  1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787, // @ to O
  603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, // P to _
  500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, // ` to o
  635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838, // p to ~
];
const OTHERS: Readonly<Record<string, number>> = {
  µ: 636,
  '·': 318,
  '–': 500,
  '—': 1000,
  '…': 1000,
  '\u00a0': 318,
};
/** Any other character (×, ±, ≥, arrows) is as wide as an operator. */
const OTHER_WIDTH = 838;
/** Bold letters are about an eighth wider. */
const BOLD_FACTOR = 1.12;

/** Width in px of one line of text. */
export const textWidth = (text: string, sizePx: number, bold = false): number => {
  let thousandths = 0;
  for (const character of text) {
    thousandths += WIDTHS[character.charCodeAt(0) - 32] ?? OTHERS[character] ?? OTHER_WIDTH;
  }
  return (thousandths / 1000) * sizePx * (bold ? BOLD_FACTOR : 1);
};

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
