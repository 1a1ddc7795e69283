/**
 * What recording and the result store cost: `npm run bench:results [rows]`. Prints wall and CPU time of each
 * step; on a busy machine only the latter says something.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Outcome, RequestKind } from '../../fusee/ops/index.js';
import { sampleProvenance, sampleRow } from '../../results/sample.js';
import { queryRuns } from '../../results/sql/query.js';
import { openRun } from '../../results/store.js';
import { PhaseRecorder } from './recorder.js';

const RECORDS = 20_000_000;
const ROUNDS = 5;
/** Completions come one a microsecond, so that intervals close as often as in a fast run. */
const STEP_NS = 1000;

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function timed<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  const [wall, cpu] = [performance.now(), cpuSeconds()];
  const value = await work();
  const seconds = (performance.now() - wall) / 1000;
  console.log(`${what}: ${seconds.toFixed(2)} s, ${(cpuSeconds() - cpu).toFixed(2)} s of CPU`);
  return value;
}

/** ns of CPU time for each recorded operation; of several rounds the least disturbed. */
function recordNs(isOpen: boolean): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const recorder = new PhaseRecorder(1, { isOpen });
    const before = cpuSeconds();
    for (let i = 1; i <= RECORDS / ROUNDS; i++) {
      const completedNs = i * STEP_NS;
      const serviceNs = 1500 + ((i * 7919) & 0x3fff);
      const kind = i & 1 ? RequestKind.SEARCH : RequestKind.UPDATE;
      recorder.record(kind, completedNs - serviceNs, completedNs, Outcome.OK, true);
      if (isOpen) recorder.respond(kind, serviceNs + 100, Outcome.OK);
    }
    best = Math.min(best, ((cpuSeconds() - before) / (RECORDS / ROUNDS)) * 1e9);
  }
  return best;
}

const rowCount = Number(process.argv[2] ?? 1_000_000);
console.log(`recording an operation, closed loop: ${recordNs(false).toFixed(1)} ns of CPU`);
console.log(`recording an operation, open loop: ${recordNs(true).toFixed(1)} ns of CPU`);
const root = mkdtempSync(join(tmpdir(), 'fusee-measure-'));
try {
  await timed(`writing ${rowCount} rows`, () => {
    const run = openRun({ root, experiment: 'bench', resolved: {}, provenance: sampleProvenance });
    for (let i = 0; i < rowCount; i++) {
      run.appendRow(sampleRow({ seed: i, throughputOps: 1e5 + (i % 1000), clients: 1 + (i % 8) }));
    }
    run.finish();
  });
  await timed(`ingest of ${rowCount} rows`, () => queryRuns(root, 'SELECT 1'));
  const sql = 'SELECT clients, avg(throughputOps), max(latencyNs.search.p99) FROM rows GROUP BY clients';
  const { rows, milliseconds } = await timed('a query over them, with opening the tables', () =>
    queryRuns(root, sql),
  );
  console.log(`the query itself: ${(milliseconds / 1000).toFixed(3)} s, ${rows.length} groups`);
} finally {
  rmSync(root, { recursive: true, force: true });
}
