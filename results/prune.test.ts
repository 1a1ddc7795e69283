import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inOwnFolder } from './by-hand.js';
import { exportRows } from './export.js';
import { planPrune, prune } from './prune.js';
import { sampleProvenance, sampleRow } from './sample.js';
import { openRun, type Run } from './store.js';

let root: string;
inOwnFolder((folder) => {
  root = folder;
});

const open = (day: number, experiment = 'bench'): Run => {
  const now = new Date(Date.UTC(2026, 0, day));
  const run = openRun({ root, experiment, resolved: {}, provenance: sampleProvenance, now });
  run.appendRow(sampleRow());
  return run;
};
const names = (experiment = 'bench'): string[] => readdirSync(join(root, experiment)).sort();

describe('pruning', () => {
  test('removes what was chosen, and nothing else', () => {
    const kept = open(1).finish();
    const [old, young] = [open(2), open(4)].map((run) => run.interrupt());
    const other = open(2, 'other').fail('x');
    const before = new Date(Date.UTC(2026, 0, 3));
    const plan = planPrune(root, { states: ['interrupted', 'failed'], before, experiment: 'bench' });
    expect(plan.goes.map(({ folder }) => folder)).toEqual([old]);
    expect([old, young, kept, other].every((folder) => existsSync(folder))).toBe(true);
    expect(prune(root, plan)).toBe(1);
    expect([old, young, kept, other].map((folder) => existsSync(folder))).toEqual([false, true, true, true]);
  });

  test('keeps the newest of each experiment', () => {
    const runs = [1, 2, 3].map((day) => open(day).finish());
    const other = open(1, 'other').finish();
    prune(root, planPrune(root, { states: ['finished'], keep: 1 }));
    expect([...runs, other].map((folder) => existsSync(folder))).toEqual([false, false, true, true]);
  });

  test('leaves a run alone that somebody writes, until its process is gone', () => {
    const running = open(1);
    const choice = { states: ['running'] as const };
    expect(planPrune(root, choice).goes).toEqual([]);
    expect(planPrune(root, choice).stays[0].reason).toBe(`process ${process.pid} is writing it`);
    const status = join(running.folder, 'status.json');
    const changed = (owner: object): void => {
      const { owner: own, ...rest } = JSON.parse(readFileSync(status, 'utf8'));
      writeFileSync(status, JSON.stringify({ ...rest, owner: { ...own, ...owner } }));
    };
    changed({ boot: 'another host' });
    expect(planPrune(root, choice).stays[0].reason).toMatch(/maybe by another host/);
    expect(planPrune(root, choice, new Date(Date.now() + 48 * 3600e3)).goes).toHaveLength(1);
    changed({ boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), startTicks: 1 });
    expect(planPrune(root, choice).goes).toHaveLength(1);
  });

  test('that was interrupted leaves no half of a run, and the next one removes the rest', () => {
    open(1).finish();
    const half = join(root, 'bench', '.removed-20260101T000000Z-abcdef');
    cpSync(join(root, 'bench', names()[0]), half, { recursive: true });
    mkdirSync(join(half, 'figures'));
    expect(planPrune(root, { states: ['finished', 'running'] }).goes).toHaveLength(1);
    prune(root, { goes: [], stays: [] });
    expect(names()).toHaveLength(1);
  });

  test('passes over a run that has ended since it was chosen', () => {
    const run = open(1);
    const plan = {
      goes: [{ experiment: 'bench', id: run.id, state: 'running' as const, folder: run.folder }],
      stays: [],
    };
    const folder = run.finish();
    expect([prune(root, plan), existsSync(folder)]).toEqual([0, true]);
  });
});

describe('an export', () => {
  const row = sampleRow({ workload: 'a,"b"', lostKeys: null, trust: { verdict: 'ok', reasons: ['x'] } });
  const rows = [{ runId: 'r1', row, provenance: sampleProvenance }];

  test('as CSV has a column for each path, and quotes what must be', () => {
    const [head, line, rest] = exportRows(rows, 'csv').split('\r\n');
    const cells = line.match(/("([^"]|"")*"|[^,]*)(,|$)/g)?.map((cell) => cell.replace(/,$/, '')) ?? [];
    const at = (column: string): string => cells[head.split(',').indexOf(column)];
    expect([at('runId'), at('workload'), at('lostKeys')]).toEqual(['r1', '"a,""b"""', '']);
    expect([at('latencyNs.search.p99'), at('provenance.machine.cores')]).toEqual(['8700', '2']);
    expect([at('trust.reasons'), rest]).toEqual(['"[""x""]"', '']);
  });

  test('as NDJSON and JSON holds rows and provenance as they are', () => {
    const expected = { runId: 'r1', ...row, provenance: sampleProvenance };
    expect(JSON.parse(exportRows(rows, 'ndjson'))).toEqual(expected);
    expect(JSON.parse(exportRows(rows, 'json'))).toEqual([expected]);
  });
});
