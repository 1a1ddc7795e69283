/** The search for saturation, by the built command. */
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
const only = (load: string): string[] => ['--from', load, '--least', load, '--most', load, '--json'];

describe('fusee saturate', () => {
  it.each([
    ['20', 'under'],
    ['3200', 'over'],
  ])(
    'judges a load of %s as %s, and stores every repetition and what it found',
    async (load, verdict) => {
      const { status, stdout, stderr } = await fusee(...search(...only(load)));
      // One load has no edge.
      expect([status, stderr]).toEqual([1, '']);
      const found = JSON.parse(stdout);
      const ops = Number(load);
      expect(found).toMatchObject({
        underOps: verdict === 'under' ? ops : null,
        overOps: verdict === 'over' ? ops : null,
        isSure: false,
        judged: [{ offeredOps: ops, verdict }],
      });
      const [{ kept, broken, unreliable }] = found.judged;
      const run = folder.runs().find((one) => one.folder === found.folder);
      expect(run?.status.state).toBe('finished');
      expect(run?.rows).toHaveLength(kept + broken + unreliable);
      expect(run?.rows[0].openLoop?.offeredOps).toBe(ops);
      expect(run?.events.map(({ kind }) => kind)).toEqual(['judged', 'saturation']);
    },
    120_000,
  );

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
