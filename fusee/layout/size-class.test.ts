import { expect, it } from 'vitest';
import { CLASS_COUNT, CLASS_LINES, classOfLines } from './size-class.js';

const LINES = Array.from({ length: 255 }, (_, i) => i + 1);

it('classes ascend from one line to 255, each once', () => {
  expect([CLASS_LINES[0], CLASS_LINES[CLASS_COUNT - 1], CLASS_LINES.length]).toEqual([1, 255, CLASS_COUNT]);
  for (let c = 1; c < CLASS_COUNT; c++) expect(CLASS_LINES[c]).toBeGreaterThan(CLASS_LINES[c - 1]);
});

it('up to 2 KiB there is a class per line; beyond, steps of an eighth of the power of two below', () => {
  expect([...CLASS_LINES.subarray(0, 32)]).toEqual(LINES.slice(0, 32));
  expect([...CLASS_LINES.subarray(32)]).toEqual([
    36, 40, 44, 48, 52, 56, 60, 64, 72, 80, 88, 96, 104, 112, 120, 128, 144, 160, 176, 192, 208, 224, 240,
    255,
  ]);
});

it('an object goes to the smallest class that holds it', () => {
  const smallest = (lines: number): number => CLASS_LINES.findIndex((size) => size >= lines);
  expect(LINES.map(classOfLines)).toEqual(LINES.map(smallest));
});

it('a cell is never an eighth longer than the longest object of the class below', () => {
  for (const lines of LINES) {
    const cell = CLASS_LINES[classOfLines(lines)];
    expect({ lines, isWasteful: cell - lines > lines / 8 }).toEqual({ lines, isWasteful: false });
  }
});
