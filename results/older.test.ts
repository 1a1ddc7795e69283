/** Runs that older versions of the program have written, as they wrote them: `older/`. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isAlive, ownProcess } from './owner.js';
import { listRuns, readRun } from './stored-run.js';

const root = fileURLToPath(new URL('older', import.meta.url));
const [first, second] = listRuns(root).map(({ folder }) => readRun(folder));

test('a run of version 1 is read whole: what was unknown then is null', () => {
  expect(first.damage).toEqual([]);
  const [row] = first.rows;
  expect(row).toMatchObject({ schemaVersion: 3, workload: 'ycsb-a', operations: 26157 });
  const unknown = {
    cellKey: null,
    openLoop: null,
    responseNs: null,
    faults: null,
    cache: null,
    warmupMs: null,
  };
  expect(row).toMatchObject(unknown);
  expect(first.provenance).toMatchObject({ commit: null, nics: null, build: null, benchmark: null });
  expect(first.status.owner).toBeNull();
  expect(first.series.reduce((sum, point) => sum + point.operations, 0)).toBe(row.operations);
  expect(first.latency.reduce((sum, { histogram }) => sum + histogram.count, 0)).toBe(row.operations);
});

test('a run of version 2 is read whole', () => {
  expect(second.damage).toEqual([]);
  const [row] = second.rows;
  expect(row).toMatchObject({ schemaVersion: 3, cellKey: null, openLoop: null, cache: { bypassed: 6823 } });
  expect(row.warmupMs).toBeGreaterThan(0);
  expect(second.attempts).toMatchObject([{ cellKey: null, outcome: 'ok' }]);
  expect(second.latency.reduce((sum, { histogram }) => sum + histogram.count, 0)).toBe(row.operations);
});

test('a process is told from one that had its number before, or on another host', () => {
  const own = ownProcess();
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, startTicks: own.startTicks - 1 })).toBe(false);
  expect(isAlive({ ...own, boot: 'another' })).toBeNull();
});
