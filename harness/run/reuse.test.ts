/** Which cells of earlier runs are taken, and which are measured anew. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inOwnFolder } from '../../results/by-hand.js';
import { LatencyHistogram } from '../../results/histogram.js';
import { sampleProvenance, sampleRow } from '../../results/sample.js';
import { openRun } from '../../results/store.js';
import type { KeyedCell } from './attempt.js';
import { findFinished } from './reuse.js';

let root: string;
inOwnFolder((folder) => {
  root = folder;
});

const KEY = '0123456789abcdef';

/** A finished run of one cell; its folder. */
function finished(): string {
  const run = openRun({ root, experiment: 'bench', resolved: {}, provenance: sampleProvenance });
  const row = sampleRow({ cellKey: KEY });
  run.appendRow(row);
  const histogram = new LatencyHistogram();
  histogram.record(1000);
  run.appendLatency({ tag: 'ycsb-a/search', startMs: 0, endMs: 1, histogram }, KEY);
  const at = '2026-01-02T03:04:07.000Z';
  run.appendAttempt({
    ...{ cellKey: KEY, at, cell: 'ycsb-a', repetition: 0, attempt: 1, outcome: 'ok', reason: null },
  });
  return run.finish();
}

const look = (): ReturnType<typeof findFinished> => {
  const cell = { key: KEY, options: { resume: true, out: root } } as unknown as KeyedCell;
  return findFinished('bench', [cell]);
};
const found = (): string[] => [...look().cells.keys()];

it('takes a cell that has finished', () => {
  finished();
  expect(found()).toEqual([KEY]);
});

it('measures a cell anew whose latencies are damaged: copied, they would look whole', () => {
  appendFileSync(join(finished(), 'latency', `${KEY}.hlog`), 'what was never written\n');
  expect(found()).toEqual([]);
});

it('takes the finished cells of a run that was killed in the middle of a line', () => {
  const folder = finished();
  for (const file of ['rows.ndjson', 'series.ndjson', 'events.ndjson'])
    appendFileSync(join(folder, file), '{"schemaVersion":3,"cellK');
  expect(found()).toEqual([KEY]);
});

it.each(['provenance.json', 'status.json', 'experiment.json'])(
  'takes a cell from another run when the %s of one is damaged, and says which',
  (file) => {
    // The newest is looked at first.
    const [sound, damaged] = [finished(), finished()].sort();
    writeFileSync(join(damaged, file), '{"schemaVersion":');
    const { cells, damaged: told } = look();
    expect(cells.get(KEY)?.run().folder).toBe(sound);
    expect(told).toEqual([expect.stringMatching(new RegExp(`^${damaged}: .*${file}.* JSON`))]);
  },
);
