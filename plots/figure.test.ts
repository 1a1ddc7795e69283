import { describe, expect, test } from 'vitest';
import { type BarFigure, figureRows, formatCsv, type LineFigure } from './figure.js';
import { textWidth } from './fonts.js';
import { figureSpec } from './spec.js';
import { PALETTE, seriesColours } from './style.js';
import { wrapText } from './wrap-text.js';

const frame = { title: 'T', caption: ['c'], trusted: true, y: { label: 'Throughput', unit: 'kops/s' } };
const bar = { category: 'A', series: 's', origin: 'measured', value: 1, low: 1, high: 1 } as const;
const barFigure = (bars: BarFigure['bars']): BarFigure => ({
  ...frame,
  kind: 'bars',
  id: 'throughput',
  x: { label: '', unit: '' },
  bars,
});
const lineFigure = (panels: LineFigure['panels']): LineFigure => ({
  ...frame,
  kind: 'lines',
  id: 'latency',
  x: { label: 'Latency', unit: 'µs', scale: 'log', domain: [1, 10] },
  y: { ...frame.y, domain: [0, 1] },
  step: false,
  panels,
});

describe('a figure', () => {
  test('without data is refused by name', () => {
    expect(() => figureSpec(barFigure([]))).toThrow(/^figure throughput has no data/);
    expect(() => figureSpec(lineFigure([]))).toThrow(/^figure latency has no data/);
    const line = { series: 's', origin: 'measured', points: [{ x: 1, y: 1 }] } as const;
    const panels = [
      { title: 'YCSB-A', lines: [line] },
      { title: 'YCSB-B', lines: [{ ...line, points: [] }] },
    ];
    expect(() => figureSpec(lineFigure(panels))).toThrow(/panel "YCSB-B" has no data/);
  });

  test('with a value that is no number is refused', () => {
    const broken = barFigure([{ ...bar, value: Number.NaN, repetitions: 1 }]);
    expect(() => figureSpec(broken)).toThrow(/throughput: value is NaN/);
  });

  test('has its numbers as rows, one for each bar or point', () => {
    expect(figureRows(barFigure([{ ...bar, repetitions: 2 }]))).toEqual([{ ...bar, repetitions: 2 }]);
    const points = [{ x: 1, y: 2 }];
    const lines = [{ series: 's', origin: 'simulated' as const, points }];
    expect(figureRows(lineFigure([{ title: 'P', lines }]))).toEqual([
      { panel: 'P', series: 's', origin: 'simulated', x: 1, y: 2, low: null, high: null },
    ]);
  });
});

test('CSV quotes what would break it, and leaves null empty', () => {
  expect(formatCsv([{ a: 'x,"y"', b: null, c: 1.5 }])).toBe('a,b,c\n"x,""y""",,1.5\n');
});

describe('text', () => {
  test('is wrapped within the width, and no word is lost', () => {
    const text = 'fusee · shm (no network) · 2 clients · 8 coroutines · commit 3d78098f · trust ok';
    const lines = wrapText(text, 9, 120);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.join(' ')).toBe(text);
    for (const line of lines) expect(textWidth(line, 9)).toBeLessThanOrEqual(120);
    expect(wrapText('averyveryverylongword', 9, 10)).toEqual(['averyveryverylongword']);
  });

  test('is as wide as its letters, and wider in bold', () => {
    expect(textWidth('m', 10)).toBeCloseTo(9.74);
    expect(textWidth('iiii', 10)).toBeLessThan(textWidth('mmmm', 10));
    expect(textWidth('µs', 10, true)).toBeGreaterThan(textWidth('µs', 10));
  });
});

test('an operation keeps its colour whatever stands beside it; published values are grey', () => {
  const series = (...names: string[]) => names.map((name) => ({ name, origin: 'measured' as const }));
  expect(seriesColours(series('update', 'search'))).toEqual([PALETTE[1], PALETTE[0]]);
  expect(seriesColours(series('search'))).toEqual([PALETTE[0]]);
  expect(seriesColours([{ name: 'search', origin: 'published' }])).toEqual(['#9a9a9a']);
});
