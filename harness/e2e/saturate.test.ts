/** The search for saturation, by the built command. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fusee, RunFolder, Running, regions } from './run-fusee.js';

const folder = new RunFolder();
afterAll(() => folder.remove());

// A round trip of 4 ms and one request in flight: some 250 a second are possible, on any machine.
const search = (...args: string[]): string[] => [
  ...['saturate', '-w', 'ycsb-c', '-c', '1', '--coroutines', '1', '-n', '1', '--rtt', '4ms', '--warmup', '0'],
  ...['--kv-bytes', '64', '--records', '100', '--seconds', '0.3', '--p99', '10s', '--repeats', '3'],
  ...['--out', folder.path, ...args],
];

/** Searches, and looks at what is stored: every repetition, every judgement, and what was found. */
async function found(...args: string[]) {
  const { status, stdout, stderr } = await fusee(...search(...args, '--json'));
  const told = JSON.parse(stdout);
  expect([status, stderr]).toEqual([told.isSure ? 0 : 1, '']);
  const judged = told.judged as { kept: number; broken: number; unreliable: number }[];
  const run = folder.runs().find((one) => one.folder === told.folder);
  if (run === undefined) throw new Error(`no run in ${told.folder}`);
  expect(run.status.state).toBe('finished');
  const repetitions = judged.reduce((sum, one) => sum + one.kept + one.broken + one.unreliable, 0);
  expect(run.rows).toHaveLength(repetitions);
  expect(run.events.map(({ kind }) => kind)).toEqual([...judged.map(() => 'judged'), 'saturation']);
  return told;
}

describe('fusee saturate', () => {
  it('looks for the edge on either side of where it begins, and draws what it has seen', async () => {
    // Whether a load of a few requests is kept is the machine's affair.
    const told = await found('--from', '10', '--least', '5', '--most', '20', '--tolerance', '1');
    const loads = told.judged.map(({ offeredOps }: { offeredOps: number }) => offeredOps);
    expect([
      [10, 20],
      [10, 5],
    ]).toContainEqual(loads);
    const svg = join(told.folder, 'figures', 'throughput-latency.svg');
    expect(told.figures).toContain(svg);
    expect(readFileSync(svg, 'utf8')).toContain('10/s');
  }, 120_000);

  it('knows a load that is too much for the client, and draws no curve of one', async () => {
    const told = await found('--from', '3200', '--least', '3200', '--most', '3200');
    expect(told).toMatchObject({
      ...{ underOps: null, overOps: 3200, isSure: false },
      judged: [{ offeredOps: 3200, verdict: 'over' }],
      figures: [],
    });
  }, 120_000);

  it('ends at Ctrl-C, and keeps what it has measured', async () => {
    const running = new Running(search('--from', '20', '--least', '20'));
    await running.says(/20ops: [\d.]+ Mops.*20ops: loading/s);
    running.signalGroup('SIGINT');
    expect((await running.ended).status).toBe(130);
    const kept = folder.runs().find(({ status }) => status.state === 'interrupted');
    expect(kept?.rows.length).toBeGreaterThan(0);
    expect(regions('fusee-').filter((name) => name.includes(`-${running.pid}-`))).toEqual([]);
  }, 120_000);

  it('refuses a search that could find nothing, before anything starts', async () => {
    const refused = async (...args: string[]) => {
      const { status, stderr } = await fusee(...search(...args));
      return `${status}: ${stderr}`;
    };
    expect(await refused('--from', '5', '--least', '50')).toMatch(
      /^2: .*begins at 5 requests a second, within 50 to/,
    );
    expect(await refused('--repeats', '2')).toMatch(/^2: .*2 repetitions can decide nothing; choose 3 to 99/);
    expect(await refused('-w', 'ycsb-c,ycsb-a')).toMatch(/^2: /);
    expect(await refused('--tolerance', '3')).toMatch(/^2: .*tolerance/);
  });
});
