/**
 * Size classes of cells: each line count up to 32 lines (2 KiB), then steps of about an eighth, up to the 255
 * lines that a slot's 8-bit length can name. An object goes to the smallest class that holds it.
 */
import { assertLayout } from './assert.js';
import { MAX_LINES } from './object.js';

const FINE_LINES = 32;

function makeClasses(): number[] {
  const lines: number[] = [];
  for (let n = 1; n <= FINE_LINES; n++) lines.push(n);
  for (let n = FINE_LINES; n < MAX_LINES; ) {
    n = Math.min(n + (1 << (Math.floor(Math.log2(n)) - 3)), MAX_LINES);
    lines.push(n);
  }
  return lines;
}

/** Lines of each class's cell, ascending. */
export const CLASS_LINES: Uint8Array = Uint8Array.from(makeClasses());
/** How many classes there are. */
export const CLASS_COUNT: number = CLASS_LINES.length;

const CLASS_OF_LINES = new Uint8Array(MAX_LINES + 1);
for (let lines = 1, index = 0; lines <= MAX_LINES; lines++) {
  if (CLASS_LINES[index] < lines) index++;
  CLASS_OF_LINES[lines] = index;
}

/** The smallest class that holds an object of `lines` lines, 1 to 255. */
export const classOfLines = (lines: number): number => CLASS_OF_LINES[lines];

assertLayout(CLASS_LINES[CLASS_COUNT - 1] === MAX_LINES, 'the last class holds the longest object');
