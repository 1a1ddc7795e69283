import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LatencyHistogram } from '../results/histogram.js';
import { sampleRow } from '../results/sample.js';
import type { OpenLoop } from '../results/schema.js';
import { readRun } from '../results/stored-run.js';
import { heatFigure, isHeatKnown } from './heat-figure.js';
import { percentileFigure, percentilePoints } from './percentiles.js';
import { renderSvg } from './render.js';
import { writeSampleRun } from './sample-run.js';
import { figureSpec } from './spec.js';
import { seriesLooks } from './style.js';
import { isSweep, sweepFigure } from './sweep-figure.js';
import { drawRun } from './ycsb.js';

const OPEN: OpenLoop = {
  arrivals: 'poisson',
  offeredOps: 0,
  catchUp: 'all',
  skipAfterNs: null,
  scheduled: 1000,
  late: 0,
  lateAfterNs: 1e6,
  skipped: 0,
  dropped: 0,
  verdict: 'sustained',
  responseNs: null,
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fusee-plots-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('percentiles', () => {
  test('rise to the slowest operation, and end where one is left', () => {
    const histogram = new LatencyHistogram();
    for (let i = 1; i <= 1000; i++) histogram.record(i * 1000);
    const points = percentilePoints(histogram);
    expect(points[0].x).toBe(1);
    expect(points.at(-1)).toEqual({ x: 1000, y: 1000 });
    for (let i = 1; i < points.length; i++) {
      expect(points[i].x).toBeGreaterThanOrEqual(points[i - 1].x);
      expect(points[i].y).toBeGreaterThanOrEqual(points[i - 1].y);
    }
    // Up to p99, which is 100 on this axis, nobody was slower than 990 µs.
    const atP99 = points.find(({ x }) => x >= 100 * (1 - 1e-9));
    expect(atP99?.y).toBeGreaterThan(985);
    expect(atP99?.y).toBeLessThan(1000);
    expect(percentilePoints(new LatencyHistogram())).toEqual([]);
  });

  test('have an axis of nines, with a marker at each', async () => {
    const figure = percentileFigure(readRun(writeSampleRun({ root, workloads: 1, repetitions: 1 })));
    const [search, update] = figure.panels[0].lines;
    expect(search.marks?.map(({ x }) => x)).toEqual([10, 100, 1000]);
    expect(update.points.at(-1)?.x).toBe(6000);
    const svg = await renderSvg(figureSpec(figure));
    for (const label of ['50 %', '90 %', '99 %', '99.9 %']) expect(svg).toContain(`>${label}<`);
  });
});

describe('a heatmap', () => {
  test('counts every operation of the first repetition, and shows an interval that waited', async () => {
    const run = readRun(writeSampleRun({ root, workloads: 1, repetitions: 2, byInterval: true }));
    expect(isHeatKnown(run)).toBe(true);
    const figure = heatFigure(run);
    const [{ cells, rules }] = figure.panels;
    expect(cells.reduce((sum, { count }) => sum + count, 0)).toBe(12_000);
    expect(new Set(cells.map(({ x }) => x)).size).toBe(50);
    expect(figure.x.domain[1]).toBeCloseTo(5, 6);
    const lowest = (x: number) =>
      Math.min(...cells.filter((c) => Math.abs(c.x - x) < 0.01).map(({ y }) => y));
    expect(lowest(2.5)).toBeGreaterThan(2.5 * lowest(2.4));
    expect(rules).toEqual([{ x: 2.5, label: 'MN 1 killed' }]);
    const svg = await renderSvg(figureSpec(figure));
    expect(svg).toContain('MN 1 killed');
    expect(await renderSvg(figureSpec(figure))).toBe(svg);
  });

  test('is left out where latencies are not stored by interval', () => {
    expect(isHeatKnown(readRun(writeSampleRun({ root, workloads: 1 })))).toBe(false);
  });
});

describe('throughput and latency', () => {
  test('are drawn over the loads of a sweep, from the least on, with the loads beside them', async () => {
    const folder = writeSampleRun({
      root,
      workloads: 1,
      sweep: [8, 1, 16],
      withoutLatency: true,
      withoutSeries: true,
    });
    const run = readRun(folder);
    expect(isSweep(run)).toBe(true);
    const [search, update] = sweepFigure(run).panels[0].lines;
    expect(search.points.map(({ label }) => label)).toEqual(['1×8', '8×8', '16×8']);
    expect(search.points.map(({ y }) => y)).toEqual(
      [...search.points.map(({ y }) => y)].sort((a, b) => a - b),
    );
    // What is beyond saturation comes back to the left.
    expect(search.points[2].x).toBeLessThan(1.05 * search.points[1].x);
    expect(update.marks?.every(({ label }) => label === undefined)).toBe(true);
    const written = await drawRun(folder, { outFolder: join(root, 'out'), onSkip: () => {} });
    expect(written.map((path) => basename(path))).toContain('throughput-latency.pdf');
  }, 60_000);

  test('of open loops are response times over the loads that were offered, and say what was not sustained', () => {
    const { provenance, status } = readRun(writeSampleRun({ root, workloads: 1, withoutLatency: true }));
    const latency = (p99: number) => ({ p50: 1, p90: 1, p99, p999: p99, max: p99 });
    const at = (offeredOps: number, p99Us: number, verdict: 'sustained' | 'not sustained') =>
      sampleRow({
        throughputOps: Math.min(offeredOps, 18_000),
        openLoop: { ...OPEN, offeredOps, verdict },
        responseNs: { search: latency(p99Us * 1000) },
        // What would be drawn if nobody waited.
        latencyNs: { search: latency(5000) },
      });
    const rows = [at(10_000, 30, 'sustained'), at(20_000, 900, 'not sustained'), at(5000, 20, 'sustained')];
    expect(isSweep({ rows })).toBe(true);
    const { panels, caption } = sweepFigure({ rows, provenance, status });
    expect(panels[0].lines[0].points).toEqual([
      { x: 5, y: 20, label: '5,000/s' },
      { x: 10, y: 30, label: '10,000/s' },
      { x: 18, y: 900, label: '20,000/s not sustained' },
    ]);
    expect(caption.join(' ')).toContain('labels: offered load; open loop: response times');
    // A closed loop beside them is a curve of its own.
    const mixed = sweepFigure({ rows: [...rows, sampleRow()], provenance, status });
    expect(mixed.panels[0].lines.length).toBeGreaterThan(1);
  });

  test('of one load are no curve', () => {
    expect(isSweep(readRun(writeSampleRun({ root, workloads: 2, withoutLatency: true })))).toBe(false);
  });
});

test('series have dashes and markers of their own, which are not those of other origins', () => {
  const names = ['search', 'update', 'insert', 'delete', 'put', 'rmw'];
  const looks = seriesLooks(names.map((name) => ({ name, origin: 'measured' as const })));
  expect(new Set(looks.map(({ dash }) => dash.join())).size).toBe(names.length);
  expect(new Set(looks.map(({ shape }) => shape)).size).toBe(names.length);
  const [simulated] = seriesLooks([{ name: 'search', origin: 'simulated' }]);
  expect(looks.map(({ dash }) => dash.join())).not.toContain(simulated.dash.join());
});
