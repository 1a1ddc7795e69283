import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { BarFigure, LineFigure } from './figure.js';
import { FONT_FILES, textWidth } from './fonts.js';
import { renderPdf } from './pdf.js';
import { renderPng, renderSvg } from './render.js';
import { figureSpec } from './spec.js';

const bars: BarFigure = {
  kind: 'bars',
  id: 'bars',
  title: 'Throughput',
  caption: ['fusee', 'tcp'],
  trusted: true,
  x: { label: '', unit: '' },
  y: { label: 'Throughput', unit: 'Mops/s' },
  bars: (['measured', 'simulated', 'published'] as const).map((origin, at) => ({
    category: 'YCSB-A',
    series: origin,
    origin,
    value: 2 + at,
    low: 1.9 + at,
    high: 2.2 + at,
    repetitions: 3,
  })),
};

const lines: LineFigure = {
  ...bars,
  kind: 'lines',
  id: 'lines',
  x: { label: 'Latency', unit: 'µs', scale: 'log', domain: [1, 100] },
  y: { label: 'Operations', unit: '%', domain: [0, 102] },
  step: true,
  panels: ['YCSB-A', 'YCSB-B'].map((title) => ({
    title,
    rules: [{ x: 5, label: 'MN 1 killed' }],
    lines: (['measured', 'simulated', 'published'] as const).map((origin) => ({
      series: origin,
      origin,
      points: [
        { x: 1, y: 0 },
        { x: 10, y: 60, low: 50, high: 70 },
        { x: 100, y: 100 },
      ],
      marks: [{ x: 100, y: 99 }],
    })),
  })),
};

/** One origin only, so that whatever is dashed or hollow comes from it. */
const only = (origin: 'measured' | 'simulated'): string[] => [
  JSON.stringify(figureSpec({ ...bars, bars: bars.bars.filter((bar) => bar.origin === origin) })),
  JSON.stringify(
    figureSpec({
      ...lines,
      panels: lines.panels.map((panel) => ({
        ...panel,
        lines: panel.lines.filter((line) => line.origin === origin),
      })),
    }),
  ),
];

const drawn = async (origin: 'measured' | 'simulated'): Promise<string[]> =>
  Promise.all(only(origin).map((spec) => renderSvg(JSON.parse(spec))));

describe('SVG', { timeout: 30_000 }, () => {
  test('is byte for byte the same for the same data, whatever was drawn in between', async () => {
    for (const figure of [bars, lines]) {
      const first = await renderSvg(figureSpec(figure));
      await renderSvg(figureSpec(figure === bars ? lines : bars));
      expect(await renderSvg(figureSpec(figure))).toBe(first);
    }
  });

  test('differs when a value differs', async () => {
    const changed = { ...bars, bars: bars.bars.map((bar) => ({ ...bar, value: bar.value + 0.05 })) };
    expect(await renderSvg(figureSpec(changed))).not.toBe(await renderSvg(figureSpec(bars)));
  });

  test('dashes what was simulated, and nothing that was measured', async () => {
    for (const svg of await drawn('simulated')) {
      expect(svg).toMatch(/stroke-dasharray="5,3"/);
      expect(svg).toContain('simulated');
    }
    for (const svg of await drawn('measured')) {
      expect(svg).not.toMatch(/stroke-dasharray="5,3"/);
      expect(svg).not.toContain('hollow');
    }
  });

  test('names its fonts, and holds every label', async () => {
    const svg = await renderSvg(figureSpec(lines));
    expect(svg).toContain('DejaVu Sans');
    for (const label of ['Latency (µs)', 'Operations (%)', 'YCSB-B', 'MN 1 killed', 'published']) {
      expect(svg).toContain(label);
    }
  });

  test('is refused when vega has to guess', async () => {
    const x = { field: 'a', type: 'quantitative', scale: { type: 'log', zero: true } };
    const spec = { data: { values: [{ a: 1 }] }, mark: 'point', encoding: { x } };
    await expect(renderSvg(spec as never)).rejects.toThrow(/vega: /);
  });
});

describe('PNG', { timeout: 30_000 }, () => {
  test('is a PNG three times the size of the SVG, the same each time', async () => {
    const svg = await renderSvg(figureSpec(bars));
    const png = Buffer.from(renderPng(svg));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    const width = Number(/width="([\d.]+)"/.exec(svg)![1]);
    expect(png.readUInt32BE(16)).toBe(Math.ceil(width * 3));
    expect(Buffer.from(renderPng(svg)).equals(png)).toBe(true);
  });

  test('is drawn and laid out with the font that comes along', () => {
    for (const file of Object.values(FONT_FILES)) expect(existsSync(file), file).toBe(true);
    // DejaVu Sans: 974 thousandths for m, 278 for i; bold 1042.
    expect(textWidth('m', 1000)).toBeCloseTo(974, 0);
    expect(textWidth('iii', 1000) / 3).toBeCloseTo(278, 0);
    expect(textWidth('m', 1000, true)).toBeCloseTo(1042, 0);
  });
});

describe('PDF', { timeout: 30_000 }, () => {
  test('is the same each time, of the size of the SVG in points, and holds lines and text, no picture', async () => {
    const svg = await renderSvg(figureSpec(lines));
    const pdf = Buffer.from(await renderPdf(svg, 'Lines'));
    expect(Buffer.from(await renderPdf(svg, 'Lines')).equals(pdf)).toBe(true);
    const text = pdf.toString('latin1');
    expect(text).toMatch(/^%PDF-1\.\d/);
    const width = Number(/width="([\d.]+)"/.exec(svg)![1]);
    const box = /\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/.exec(text)!;
    expect(Number(box[1])).toBeCloseTo(width * 0.75, 1);
    expect(text).toMatch(/\/FontFile2/);
    expect(text).toMatch(/DejaVuSans/);
    expect(text).not.toMatch(/\/Subtype \/Image/);
  });

  test('is refused of an SVG without a size', async () => {
    await expect(renderPdf('<svg></svg>', 'T')).rejects.toThrow(/without a width/);
  });
});
