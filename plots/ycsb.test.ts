import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sampleProvenance, sampleRow } from '../results/sample.js';
import { openRun } from '../results/store.js';
import { readRun } from '../results/stored-run.js';
import { writeSampleRun } from './sample-run.js';
import { drawRun, latencyFigure, seriesFigure, throughputFigure } from './ycsb.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fusee-plots-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('drawRun', () => {
  test('writes each figure as SVG, PNG, PDF, JSON and CSV, the same each time', {
    timeout: 60_000,
  }, async () => {
    const folder = writeSampleRun({ root, workloads: 2, repetitions: 2 });
    const written = await drawRun(folder);
    const names = ['throughput', 'latency', 'percentiles', 'series'].flatMap((id) =>
      ['svg', 'png', 'pdf', 'json', 'csv'].map((extension) => `${id}.${extension}`),
    );
    expect(written.map((path) => basename(path))).toEqual(names);
    const again = await drawRun(folder, { outFolder: join(root, 'again') });
    for (const [at, path] of written.entries()) {
      expect(readFileSync(again[at]).equals(readFileSync(path)), path).toBe(true);
    }
    const numbers = JSON.parse(readFileSync(join(folder, 'figures', 'latency.json'), 'utf8'));
    expect(numbers.x).toMatchObject({ label: 'Latency', unit: 'µs' });
    expect(numbers.percentilesNs[0]).toMatchObject({ workload: 'ycsb-a', operation: 'search', overflow: 0 });
    const csv = readFileSync(join(folder, 'figures', 'throughput.csv'), 'utf8')
      .trim()
      .split('\n');
    expect(csv[0]).toBe('category,series,origin,value,low,high,repetitions');
    expect(csv).toHaveLength(3);
  });

  test('says which figure a run holds no data for, and draws the others', async () => {
    const folder = writeSampleRun({ root, workloads: 1, withoutLatency: true, withoutSeries: true });
    const skipped: string[] = [];
    const written = await drawRun(folder, {
      onSkip: (figure, reason) => skipped.push(`${figure}: ${reason}`),
    });
    expect(written).toHaveLength(5);
    expect(skipped).toEqual([
      'latency: the run recorded no latencies',
      'series: the run recorded no throughput over time',
    ]);
  });

  test('refuses a folder that is no run, and a run without rows', async () => {
    await expect(drawRun(root)).rejects.toThrow(/is no run/);
    const run = openRun({ root, experiment: 'empty', resolved: {}, provenance: sampleProvenance });
    await expect(drawRun(run.fail(new Error('early')))).rejects.toThrow(/has no rows/);
  });
});

describe('figures', () => {
  test('of throughput show the median, and the range of the repetitions', () => {
    const run = openRun({ root, experiment: 'x', resolved: {}, provenance: sampleProvenance });
    for (const [repetition, throughputOps] of [2e6, 5e6, 3e6].entries()) {
      run.appendRow(sampleRow({ repetition, throughputOps }));
    }
    const figure = throughputFigure(readRun(run.finish()));
    expect(figure.y.unit).toBe('Mops/s');
    expect(figure.bars).toEqual([
      { category: 'YCSB-A', series: '', origin: 'measured', value: 3, low: 2, high: 5, repetitions: 3 },
    ]);
  });

  test('of latency have a panel for each workload and a curve for each operation', () => {
    const { panels, x } = latencyFigure(readRun(writeSampleRun({ root })));
    expect(panels.map((panel) => [panel.title, panel.lines.map((line) => line.series)])).toEqual([
      ['YCSB-A', ['search', 'update']],
      ['YCSB-B', ['search', 'update']],
      ['YCSB-C', ['search']],
      ['YCSB-D', ['search', 'insert']],
      ['YCSB-F', ['search', 'rmw']],
    ]);
    for (const { points, marks } of panels.flatMap((panel) => panel.lines)) {
      expect(marks![0].x).toBeLessThan(x.domain[1]);
      expect(points[0].x).toBeGreaterThan(x.domain[0]);
    }
  });

  test('of latency refuse to merge cells that are told apart nowhere', () => {
    const run = openRun({ root, experiment: 'x', resolved: {}, provenance: sampleProvenance });
    run.appendRow(sampleRow());
    run.appendRow(sampleRow({ clients: 8 }));
    const source = readRun(writeSampleRun({ root, workloads: 1 }));
    for (const interval of source.latency) run.appendLatency(interval);
    const mixed = readRun(run.finish());
    expect(() => latencyFigure(mixed)).toThrow(/mix several cells \(2 clients; 8 clients\)/);
    const latency = mixed.latency.map((interval) => ({ ...interval, tag: `8-clients/${interval.tag}` }));
    expect(latencyFigure({ ...mixed, latency }).panels[0].title).toBe('YCSB-A · 8-clients');
  });

  test('of throughput over time count a short last interval by its length, and show events', () => {
    const run = openRun({ root, experiment: 'x', resolved: {}, provenance: sampleProvenance });
    const cost = { meanBeforeOps: null, recoveryMs: null, lostOperations: null };
    const fault = { atMs: 20, endMs: 60, kind: 'stop' as const, target: 'MN 1', detail: {}, ...cost };
    run.appendRow(sampleRow({ faults: [fault, { ...fault, kind: 'kill', endMs: null }] }));
    const { system, workload, fabric, clients, repetition } = sampleRow();
    const point = { system, workload, fabric, clients, repetition, p99Ns: null };
    run.appendSeries([
      { ...point, tMs: 0, operations: 5000 },
      { ...point, tMs: 100, operations: 2500, intervalMs: 50 },
    ]);
    run.appendEvent({ at: '2026-01-02T03:04:06.000Z', kind: 'kill', label: 'MN 1', workload, tMs: 60 });
    const { panels, x } = seriesFigure(readRun(run.finish()));
    expect(panels[0].lines[0].points.map((one) => [one.x, one.y])).toEqual([
      [0.05, 50],
      [0.125, 50],
    ]);
    expect(panels[0].rules).toEqual([{ x: 0.06, label: 'MN 1' }]);
    expect(panels[0].spans).toEqual([{ from: 0.02, to: 0.06 }]);
    expect(x.domain).toEqual([0, 0.15]);
  });

  test('of the simulator are marked as such, curve by curve', () => {
    const run = readRun(writeSampleRun({ root, workloads: 1, changes: { fabric: 'sim' } }));
    const origins = [
      ...throughputFigure(run).bars,
      ...latencyFigure(run).panels[0].lines,
      ...seriesFigure(run).panels[0].lines,
    ].map((drawn) => drawn.origin);
    expect(new Set(origins)).toEqual(new Set(['simulated']));
  });
});
