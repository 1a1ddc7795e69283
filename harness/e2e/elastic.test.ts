/** `fusee bench` whose clients come and go: real processes join and leave, and are replaced when killed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isRunning, RunFolder, Running, regions } from './run-fusee.js';

const folders: RunFolder[] = [];
afterAll(() => {
  for (const folder of folders) folder.remove();
});

/** Runs a bench under a timeline to its end; nothing may be left of it. */
async function bench(timeline: readonly object[], ...args: string[]) {
  const folder = new RunFolder();
  folders.push(folder);
  const path = join(folder.path, 'faults.yaml');
  writeFileSync(path, JSON.stringify(timeline));
  const sizes = ['--records', '400', '--requests', '60000', '--kv-bytes', '128', '--rtt', '300us'];
  const running = new Running(folder.bench('-w', 'ycsb-a', ...sizes, '--loop', '--faults', path, ...args));
  const seen = new Set<number>();
  const look = setInterval(() => {
    for (const pid of running.children()) seen.add(pid);
  }, 50);
  const { status, stderr } = await running.ended;
  clearInterval(look);
  expect(stderr).not.toMatch(/fusee:/);
  expect(regions(`fusee-bench-${running.pid}-`)).toEqual([]);
  expect([...seen].filter(isRunning)).toEqual([]);
  const [run] = folder.runs();
  return { status, stderr, row: run.rows[0], run };
}

describe.concurrent('clients that come and go', () => {
  it('join and leave while others work: nothing is lost, no byte is left behind', async () => {
    const { status, stderr, row, run } = await bench(
      [
        { at: '500ms', join: 2 },
        { at: '2s', leave: 3 },
      ],
      ...['-c', '2', '--seconds', '4', '--verify'],
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(/every byte accounted for/);
    expect(row).toMatchObject({ wrongValues: 0, lostKeys: 0, linearizable: true, faults: [] });
    const changes = run.events.filter(({ kind }) => kind === 'join' || kind === 'leave');
    expect(changes.map(({ label }) => label).sort()).toEqual([
      'join client 2',
      'join client 3',
      'leave client 1',
      'leave client 2',
      'leave client 3',
    ]);
    for (const { detail } of changes) expect(detail['tookMs']).toBeGreaterThan(0);
    // Nobody had to be recovered: who leaves hands everything on.
    expect(run.events.filter(({ kind }) => kind === 'recovery')).toEqual([]);
    expect(run.rows[0].operations).toBe(run.series.reduce((sum, point) => sum + point.operations, 0));
  }, 90_000);

  it('are killed and replaced, and what the dead left is recovered', async () => {
    const { status, row, run } = await bench(
      [{ every: '400ms', until: '2400ms', kill: 'random client', replace: true }],
      ...['-c', '2', '--seconds', '20', '--verify'],
    );
    expect(status).toBe(0);
    expect(row).toMatchObject({ wrongValues: 0, lostKeys: 0, linearizable: true });
    expect(row.faults?.map(({ kind }) => kind)).toEqual(Array.from({ length: 6 }, () => 'kill'));
    const of = (kind: string) => run.events.filter((event) => event.kind === kind);
    expect([of('join').length, of('recovery').length]).toEqual([6, 6]);
    const killed = new Set(row.faults?.map(({ target }) => target));
    const recovered = of('recovery').map(({ detail }) => `client ${detail['client']}`);
    expect(new Set(recovered)).toEqual(killed);
  }, 90_000);
});
