/** `fusee experiment`: real processes die, and the run says what it cost, beside the paper's values. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fusee, RunFolder, regions } from './run-fusee.js';

const folder = new RunFolder();
afterAll(() => folder.remove());

/** Runs an experiment to its end; its conclusion, and its run. */
async function experiment(name: string, ...args: string[]) {
  const { status, stdout, stderr } = await fusee('experiment', name, '--out', folder.path, '--json', ...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const conclusion = JSON.parse(stdout) as {
    table: Record<string, unknown>[];
    verdicts: { text: string; holds: boolean | null }[];
  };
  const run = folder.runs().find((one) => one.folder.includes(`/${name}/`));
  if (run === undefined) throw new Error(`${name} has left no run`);
  expect(run.status.state).toBe('finished');
  return { ...conclusion, run };
}

describe('an experiment', () => {
  it('kills 20 random processes under load, a memory node among them, and nothing is lost', async () => {
    const { table, verdicts, run } = await experiment('kills', '--kills', '20', '--no-figures');
    expect(table[0]).toMatchObject({ 'clients killed': 19, 'nodes killed': 1, 'clients joined': 19 });
    expect(verdicts.map(({ holds }) => holds)).toEqual([true, true, true]);
    // Killed for real: as many processes as were named.
    const pids = run.events.flatMap(({ kind, detail }) => (kind === 'kill' ? [detail['pid']] : []));
    expect(new Set(pids).size).toBe(20);
    expect(run.events.filter(({ kind }) => kind === 'recovery').length).toBe(19);
    expect(run.events.filter(({ kind }) => kind === 'view').length).toBe(1);
    expect(regions('fusee-bench-')).toEqual([]);
  }, 200_000);

  it('recovers a client that crashed after 1,000 UPDATEs, step by step beside Table 1', async () => {
    const { table, run } = await experiment('table1', '--quick', '--repeats', '1');
    expect(table.map(({ step, paperMs }) => [step, paperMs])).toEqual([
      ['Recover connection & MR', 163.1],
      ['Get Metadata', 0.3],
      ['Traverse Log', 3.5],
      ['Recover KV Requests', 3.5],
      ['Construct Free List', 6.6],
      ['Give the place up', null],
      ['Total', 177],
    ]);
    const steps = table.slice(0, -1).reduce((sum, { measuredMs }) => sum + Number(measuredMs), 0);
    // Between two steps the clock is read once more, and the process may wait for a processor.
    expect(steps / Number(table.at(-1)?.['measuredMs'])).toBeCloseTo(1, 1);
    const crash = run.events.find(({ kind }) => kind === 'crash');
    expect(crash?.detail['point']).toMatchObject({ operation: 'UPDATE', occurrence: 1000 });
    for (const file of ['conclusion.json', 'conclusion.csv', 'figures/table1.svg', 'figures/table1.png'])
      expect(existsSync(join(run.folder, file))).toBe(true);
    const svg = readFileSync(join(run.folder, 'figures', 'table1.svg'), 'utf8');
    // Captions are wrapped to their width.
    expect(svg.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')).toContain('shm (no network)');
  }, 120_000);

  it('that there is none of is wrong usage, and so is one of no size', async () => {
    expect(await fusee('experiment', 'fig99')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/Allowed choices are table1, fig20, fig21, crash-every-second/),
    });
    expect(await fusee('experiment', 'kills', '--kills', '1', '--out', folder.path)).toMatchObject({
      status: 2,
      stderr: 'fusee: kills is 1; choose a whole number from 2 to 10000\n',
    });
  });
});
