import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inOwnFolder } from './by-hand.js';
import { ResultError } from './error.js';
import { LatencyHistogram } from './histogram.js';
import { sampleProvenance, sampleRow } from './sample.js';
import { openRun, type Run, type RunOptions } from './store.js';
import { listRuns, readRun } from './stored-run.js';

let root: string;
inOwnFolder((folder) => {
  root = folder;
});

const open = (changes: Partial<RunOptions> = {}): Run =>
  openRun({ root, experiment: 'ycsb', resolved: { clients: 2 }, provenance: sampleProvenance, ...changes });

const histogramOf = (...values: number[]): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
};

describe('a finished run', () => {
  test('reads back as it was written', () => {
    const run = open({ now: new Date('2026-01-02T03:04:05.678Z') });
    expect(run.id).toMatch(/^20260102T030405Z-[0-9a-f]{6}$/);
    const { system, workload, fabric, clients, repetition } = sampleRow();
    const cell = { system, workload, fabric, clients, repetition };
    run.appendRow(sampleRow());
    run.appendRow(sampleRow({ repetition: 1 }));
    run.appendSeries([
      { ...cell, tMs: 0, operations: 10, p99Ns: 900 },
      { ...cell, tMs: 100, operations: 0, p99Ns: null },
    ]);
    run.appendEvent({ at: '2026-01-02T03:04:06.000Z', kind: 'kill', label: 'MN 1', workload, tMs: 50 });
    const attempt = { at: '2026-01-02T03:04:05.000Z', cell: 'ycsb-a', repetition: 0, attempt: 1 } as const;
    run.appendAttempt({ ...attempt, outcome: 'failed', reason: 'MN 1 died' });
    run.appendLatency({ tag: 'ycsb-a/search', startMs: 0, endMs: 1000, histogram: histogramOf(5, 70) });
    const interval = { tag: 'ycsb-a/update', startMs: 5, endMs: 9, histogram: histogramOf(8) };
    run.appendLatency(interval, 'a1b2');
    const folder = run.finish();

    expect(basename(folder)).toBe(run.id);
    const stored = readRun(folder);
    expect(stored.status).toMatchObject({ state: 'finished', reason: null });
    expect(stored.experiment).toEqual({ clients: 2 });
    expect(stored.provenance).toEqual(sampleProvenance);
    expect(stored.rows).toEqual([sampleRow(), sampleRow({ repetition: 1 })]);
    expect(stored.series.map((point) => [point.tMs, point.intervalMs, point.p99Ns])).toEqual([
      [0, 100, 900],
      [100, 100, null],
    ]);
    expect(stored.events[0]).toMatchObject({ kind: 'kill', tMs: 50, repetition: null });
    expect(stored.attempts[0].reason).toBe('MN 1 died');
    expect(stored.latency.map(({ tag, histogram }) => [tag, histogram.maxNs])).toEqual([
      ['ycsb-a/search', 70],
      ['ycsb-a/update', 8],
    ]);
    expect(existsSync(join(folder, 'latency', 'a1b2.hlog'))).toBe(true);
    expect(stored.damage).toEqual([]);
  });

  test('takes nothing more', () => {
    const run = open();
    run.appendRow(sampleRow());
    run.finish();
    expect(() => run.appendRow(sampleRow())).toThrow(/is finished: rows\.ndjson is closed/);
    expect(() => run.finish()).toThrow(/is finished already/);
    expect(() => run.fail(new Error('late'))).toThrow(/is finished already/);
  });
});

describe('a run that cannot begin', () => {
  const refusal = (at: string): RegExp =>
    new RegExp(`^no run can be stored in '${at}' \\(E[A-Z]+: .*\\); choose another folder with --out`);

  test.each(['/proc/fusee', '/sys/fusee', '/dev/null/fusee'])('says that %s is no place for it', (at) => {
    expect(() => open({ root: at })).toThrow(ResultError);
    expect(() => open({ root: at })).toThrow(refusal(at));
  });

  test('leaves none of the folders that it made on the way', () => {
    const name = 'x'.repeat(300);
    expect(() => open({ root: join(root, 'new', 'deep', name) })).toThrow(/ENAMETOOLONG/);
    expect(() => open({ root: join(root, 'new'), provenance: {} as never })).toThrow(ResultError);
    expect(() => open({ root: join(root, 'new'), resolved: undefined })).toThrow(/nothing to write/);
    expect(readdirSync(root)).toEqual([]);
  });

  test('leaves alone what was there before', () => {
    writeFileSync(join(root, 'ycsb'), 'a file');
    expect(() => open()).toThrow(refusal(root));
    expect(readdirSync(root)).toEqual(['ycsb']);
  });
});

describe('a run that did not finish', () => {
  test('is no result while it runs, nor when it was interrupted or failed', () => {
    const running = open();
    const interrupted = open();
    interrupted.appendRow(sampleRow({ interrupted: true }));
    const failed = open();
    failed.appendRow(sampleRow());
    const finished = open();
    finished.appendRow(sampleRow());

    expect(basename(interrupted.interrupt())).toBe(`${interrupted.id}.interrupted`);
    expect(basename(failed.fail(new Error('MN 2 is gone')))).toBe(`${failed.id}.failed`);
    finished.finish();
    expect(basename(running.folder)).toBe(`${running.id}.partial`);
    expect(listRuns(root).map((place) => place.id)).toEqual([finished.id]);
    expect(readRun(failed.folder).status).toMatchObject({ state: 'failed' });
    expect(readRun(failed.folder).status.reason).toMatch(/MN 2 is gone/);
    expect(readRun(interrupted.folder).rows[0].interrupted).toBe(true);
    const all = listRuns(root, { states: ['running', 'interrupted', 'failed', 'finished'] });
    expect(all.map((place) => place.state).sort()).toEqual(['failed', 'finished', 'interrupted', 'running']);
  });

  test('cannot finish without a row, or with an interrupted one', () => {
    const empty = open();
    expect(() => empty.finish()).toThrow(/has no row/);
    expect(existsSync(empty.folder)).toBe(true);
    const stopped = open();
    stopped.appendRow(sampleRow({ interrupted: true }));
    expect(() => stopped.finish()).toThrow(/1 interrupted rows/);
    expect(listRuns(root)).toEqual([]);
  });
});

describe('what is wrong', () => {
  test('in a row is refused before it reaches the file', () => {
    const run = open();
    run.appendRow(sampleRow());
    expect(() => run.appendRow({ ...sampleRow(), seconds: Number.NaN })).toThrow(/^rows\.ndjson: seconds/);
    expect(readFileSync(join(run.folder, 'rows.ndjson'), 'utf8').split('\n')).toHaveLength(2);
  });

  test('in a stored file is named by file and line, and the rest is read', () => {
    const run = open();
    run.appendRow(sampleRow());
    const folder = run.finish();
    const file = join(folder, 'series.ndjson');
    appendFileSync(file, '{"system":"fusee"}\n');
    const stored = readRun(folder);
    expect(stored.rows).toEqual([sampleRow()]);
    expect(stored.damage).toMatchObject([{ file, line: 1, reason: expect.stringMatching(/^workload: /) }]);
  });

  test('in the name of an experiment is refused', () => {
    for (const experiment of ['', '../up', 'a/b', '.hidden', 'a b']) {
      expect(() => open({ experiment })).toThrow(/cannot name a folder/);
    }
  });

  test('a folder that is no run is refused', () => {
    expect(() => readRun(root)).toThrow(/is no run/);
    expect(listRuns(join(root, 'nothing'))).toEqual([]);
  });
});
