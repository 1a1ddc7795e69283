/** Several processes write at a time, and some are killed. `npm test` has built the store that they run. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { planPrune } from './prune.js';
import { listRuns, readRun } from './stored-run.js';

const built = (module: string): string =>
  JSON.stringify(pathToFileURL(join(import.meta.dirname, '..', 'dist', 'results', module)).href);

/** Writes rows of its own, seed by seed, as fast as it can; ends the run only when it may. */
const WRITER = `
  const { openRun } = await import(${built('store.js')});
  const { sampleRow, sampleProvenance } = await import(${built('sample.js')});
  const [root, seed, ends] = process.argv.slice(1);
  const now = new Date('2026-01-02T03:04:05Z');
  const run = openRun({ root, experiment: 'bench', resolved: { seed }, provenance: sampleProvenance, now });
  for (let repetition = 0; repetition < (ends === 'yes' ? 300 : Infinity); repetition++) {
    run.appendRow(sampleRow({ seed: Number(seed), repetition }));
    if (repetition === 200) process.stdout.write('many');
  }
  run.finish();
`;

test('writers of one folder do not damage each other, nor does one that is killed', async () => {
  const root = mkdtempSync(join(tmpdir(), 'fusee-writers-'));
  const start = (seed: number, ends: boolean) => {
    const args = ['--input-type=module', '-e', WRITER, root, String(seed), ends ? 'yes' : 'no'];
    const writer = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<number | null>((resolve) => writer.on('close', resolve));
    if (!ends) writer.stdout.on('data', () => writer.kill('SIGKILL'));
    return ended;
  };
  try {
    const codes = await Promise.all([start(1, true), start(2, true), start(3, true), start(4, false)]);
    expect(codes).toEqual([0, 0, 0, null]);
    const runs = listRuns(root, { states: ['finished', 'running'] }).map(({ folder }) => readRun(folder));
    expect(runs.map(({ status }) => status.state).sort()).toEqual([
      'finished',
      'finished',
      'finished',
      'running',
    ]);
    for (const { rows, damage, status, experiment } of runs) {
      const { seed } = experiment as { seed: string };
      expect(rows.map((row) => [row.seed, row.repetition])).toEqual(rows.map((_, i) => [Number(seed), i]));
      // A line that was cut by the kill is one line, and nothing but damage.
      if (status.state === 'finished') expect([rows.length, damage]).toEqual([300, []]);
      else expect([rows.length > 200, damage.length <= 1]).toEqual([true, true]);
    }
    expect(planPrune(root, { states: ['running'] }).goes).toHaveLength(1);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, 60_000);
