import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { inOwnFolder } from '../by-hand.js';
import { sampleProvenance, sampleRow } from '../sample.js';
import { openRun, type Run } from '../store.js';
import { queryRuns } from './query.js';

let root: string;
inOwnFolder((folder) => {
  root = folder;
});

const open = (): Run => openRun({ root, experiment: 'bench', resolved: {}, provenance: sampleProvenance });
const finished = (...throughputs: number[]): string => {
  const run = open();
  for (const [repetition, throughputOps] of throughputs.entries()) {
    run.appendRow(sampleRow({ repetition, throughputOps }));
  }
  return run.finish();
};
const query = async (sql: string) => (await queryRuns(root, sql)).rows;

describe('a query', { timeout: 120_000 }, () => {
  test('sees every run, with its provenance, and each field of a row', async () => {
    finished(10, 20);
    const run = open();
    run.appendRow(sampleRow({ workload: 'ycsb-c', throughputOps: 70, reusedFrom: null }));
    run.appendRow(sampleRow({ workload: 'ycsb-d', reusedFrom: 'another' }));
    run.appendSeries([
      {
        ...{ system: 's', workload: 'w', fabric: 'shm', clients: 1, repetition: 0 },
        tMs: 0,
        operations: 5,
        p99Ns: 1,
      },
    ]);
    const sql =
      'SELECT workload, max(throughputOps) AS most, max(latencyNs.search.p99) AS p99, any_value(commit) AS c ' +
      'FROM rows JOIN runs USING (runId) GROUP BY workload ORDER BY workload';
    const { columns, rows, damaged } = await queryRuns(root, sql);
    expect(columns).toEqual(['workload', 'most', 'p99', 'c']);
    const c = sampleProvenance.commit;
    expect(rows).toEqual([
      { workload: 'ycsb-a', most: 20, p99: 8700, c },
      { workload: 'ycsb-c', most: 70, p99: 8700, c },
    ]);
    expect(damaged).toBe(0);
    expect(await query('SELECT outcomes, trust FROM rows LIMIT 1')).toEqual([
      {
        outcomes: expect.objectContaining({ search: { OK: 600_000 } }),
        trust: { verdict: 'ok', reasons: [] },
      },
    ]);
    expect(await query('SELECT state, count(*) AS n FROM runs GROUP BY state ORDER BY state')).toEqual([
      { state: 'finished', n: 1 },
      { state: 'running', n: 1 },
    ]);
    expect(await query('SELECT operations FROM series')).toEqual([{ operations: 5 }]);
    expect(await query('SELECT count(*) AS n FROM all_rows')).toEqual([{ n: 4 }]);
  });

  test('sees what has come, changed and gone since the last one', async () => {
    const first = finished(1);
    const running = open();
    running.appendRow(sampleRow({ throughputOps: 2 }));
    const all = 'SELECT throughputOps AS t FROM rows ORDER BY t';
    expect(await query(all)).toEqual([{ t: 1 }, { t: 2 }]);
    running.appendRow(sampleRow({ throughputOps: 3 }));
    expect(await query(all)).toEqual([{ t: 1 }, { t: 2 }, { t: 3 }]);
    running.finish();
    rmSync(first, { recursive: true });
    expect(await query(all)).toEqual([{ t: 2 }, { t: 3 }]);
    expect(await query('SELECT state FROM runs')).toEqual([{ state: 'finished' }]);
  });

  test('reads rows of older versions, and skips and reports what is damaged', async () => {
    cpSync(fileURLToPath(new URL('../older', import.meta.url)), root, { recursive: true });
    const folder = finished(5, 6, 7);
    const file = join(folder, 'rows.ndjson');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"throughputOps":6', '"throughputOps":9'));
    appendFileSync(file, '{"schemaVersion":3,"sys');
    const { rows, damaged } = await queryRuns(root, 'SELECT throughputOps AS t FROM rows ORDER BY t LIMIT 2');
    expect([rows, damaged]).toEqual([[{ t: 5 }, { t: 7 }], 2]);
    const lines = await query('SELECT file, line, reason FROM damage ORDER BY line');
    expect(lines).toEqual([
      { file, line: 2, reason: 'the line was changed after it was written: its check does not fit' },
      { file, line: 4, reason: expect.stringMatching(/^not JSON/) },
    ]);
    const versions =
      'SELECT count(*) AS n, sum((faults IS NULL)::INT) AS without FROM rows WHERE clients = 2';
    expect(await query(versions)).toEqual([{ n: 4, without: 4 }]);
    writeFileSync(join(folder, 'status.json'), '{');
    expect(await query('SELECT count(*) AS n FROM rows')).toEqual([{ n: 2 }]);
    expect(await query('SELECT line FROM damage')).toEqual([{ line: null }]);
  });

  test('changes nothing, and reaches no other file', async () => {
    const folder = finished(1);
    const other = join(root, 'out.csv');
    for (const sql of [
      'DELETE FROM _rows',
      'DROP TABLE runs',
      `COPY (SELECT 1) TO '${other}'`,
      `SELECT * FROM read_text('${join(folder, 'status.json')}')`,
      `ATTACH '${other}' AS other`,
      'SET enable_external_access = true',
    ]) {
      await expect(query(sql)).rejects.toThrow(/^the query fails: /);
    }
    await expect(query('SELECT 1; SELECT 2')).rejects.toThrow(/holds 2 statements; give one/);
    await expect(query('SELECT nothing FROM rows')).rejects.toThrow(/nothing/);
    expect(readdirSync(root).sort()).toEqual(['.index', 'bench']);
    expect(await query('SELECT throughputOps FROM rows')).toEqual([{ throughputOps: 1 }]);
  });

  test('makes an index anew that is of no use', async () => {
    finished(4);
    await query('SELECT 1');
    const [name] = readdirSync(join(root, '.index'));
    writeFileSync(join(root, '.index', name), 'not a database');
    expect(await query('SELECT throughputOps AS t FROM rows')).toEqual([{ t: 4 }]);
  });

  test('can be one of several at a time', async () => {
    finished(1, 2, 3);
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => query('SELECT count(*) AS n FROM rows')),
    );
    expect(answers).toEqual(Array(4).fill([{ n: 3 }]));
  });
});
