import { expect, test } from 'vitest';
import { sampleRow } from './sample.js';
import { formatTable, meanRtts } from './table.js';

test('columns line up, and unchecked is not 0', () => {
  const search = { p50: 950, p90: 1800, p99: 12_340, p999: 40_000, max: 50_000 };
  const table = formatTable([
    sampleRow(),
    sampleRow({
      workload: 'ycsb-c',
      throughputOps: 2_345_678,
      latencyNs: { search },
      perOperation: {},
      wrongValues: 3,
      trust: null,
    }),
  ]);
  expect(table.split('\n')).toEqual([
    'workload  Mops/s  search p50/p99 µs  update p50/p99 µs    RTTs/op  wrong       lost  trust',
    '--------  ------  -----------------  -----------------  ---------  -----  ---------  ---------',
    'ycsb-a     0.240        2.10 / 8.70        9.80 / 30.1       2.54      0  unchecked  ok',
    'ycsb-c     2.346        0.95 / 12.3                  -  unchecked      3  unchecked  unchecked',
    '',
  ]);
});

test('small throughputs are in kops/s', () => {
  const [head, , line] = formatTable([sampleRow({ throughputOps: 48_230 })]).split('\n');
  expect(head).toMatch(/kops\/s/);
  expect(line).toMatch(/ 48\.2 /);
});

test('a setting has a column only when rows differ in it', () => {
  expect(formatTable([sampleRow(), sampleRow()])).not.toMatch(/clients|rep/);
  const head = formatTable([sampleRow(), sampleRow({ clients: 8, repetition: 1 })]).split('\n')[0];
  expect(head).toMatch(/clients\s+rep/);
});

test('distrust is said with its reasons, each once; so are simulation and interruption', () => {
  const noisy = { verdict: 'noisy' as const, reasons: ['CPU steal 4 %', 'GC 11 % of the window'] };
  const rows = [
    sampleRow({ trust: noisy }),
    sampleRow({
      trust: { verdict: 'unusable', reasons: ['CPU steal 4 %'] },
      fabric: 'sim',
      interrupted: true,
    }),
    sampleRow({ linearizable: false }),
  ];
  const table = formatTable(rows);
  expect(table).toMatch(/ noisy \[1\] \[2\]\n/);
  expect(table).toMatch(/ unusable \[1\] simulated INTERRUPTED\n/);
  expect(table).toMatch(/ ok NOT LINEARIZABLE\n/);
  expect(table.match(/CPU steal/g)).toHaveLength(1);
  expect(table).toMatch(/\n {2}\[2\] GC 11 % of the window\n$/);
});

test('rare operations have no latency column', () => {
  const { search, update } = sampleRow().perOperation;
  const rare = { search: { ...search!, count: 1_199_000 }, update: { ...update!, count: 1000 } };
  expect(formatTable([sampleRow({ perOperation: rare })])).not.toMatch(/update p50/);
});

test('RTTs are weighted by how often each operation ran', () => {
  const { search, update } = sampleRow().perOperation;
  const costs = { search: { ...search!, count: 3, rtts: 1 }, update: { ...update!, count: 1, rtts: 5 } };
  expect(meanRtts(sampleRow({ perOperation: costs }))).toBe(2);
  expect(meanRtts(sampleRow({ perOperation: { search: { ...search!, rtts: null } } }))).toBeNull();
  expect(meanRtts(sampleRow({ perOperation: {} }))).toBeNull();
});

test('no rows are refused', () => {
  expect(() => formatTable([])).toThrow(/at least one row/);
});
