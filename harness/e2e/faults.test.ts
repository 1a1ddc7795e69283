/** `fusee bench --faults`: real processes die, stop and lose their links, and the bench tells what it saw. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { complete } from '../../fusee/client/call.js';
import { ShmFabric } from '../../fusee/fabric/shm.js';
import { regionName } from '../../fusee/fabric/shm-process.js';
import { formatWord, VerbBatch, word } from '../../fusee/verbs/index.js';
import type { FaultRecord } from '../../results/schema.js';
import type { LastWords } from '../fault/crash.js';
import { fusee, isRunning, RunFolder, Running, regions, stateOf, until } from './run-fusee.js';

const folders: RunFolder[] = [];
afterAll(() => {
  for (const folder of folders) folder.remove();
});

/** Answers that are held back keep clients from playing their streams to the end on a fast machine. */
const SIZES = ['--records', '400', '--requests', '120000', '--kv-bytes', '128', '--rtt', '300us'];

/**
 * A bench with faults and without a master, so that what they leave stays as it is; in a folder of its own.
 */
function start(faults: readonly object[], ...args: string[]): { running: Running; folder: RunFolder } {
  const folder = new RunFolder();
  folders.push(folder);
  const path = join(folder.path, 'faults.yaml');
  writeFileSync(path, JSON.stringify(faults));
  return {
    folder,
    running: new Running(folder.bench('-w', 'ycsb-a', ...SIZES, '--no-master', '--faults', path, ...args)),
  };
}

/** Its end: status, row, what it said; nothing may be left of it. */
async function end({ running, folder }: ReturnType<typeof start>, children: readonly number[] = []) {
  const { status, stderr } = await running.ended;
  expect(regions(`fusee-bench-${running.pid}-`)).toEqual([]);
  expect(children.filter(isRunning)).toEqual([]);
  const [run] = folder.runs();
  return { status, stderr, run, row: run?.rows[0], faults: run?.rows[0]?.faults ?? [] };
}

/** The one fault of that kind. */
function only(faults: readonly FaultRecord[], kind: FaultRecord['kind']): FaultRecord {
  const found = faults.filter((fault) => fault.kind === kind);
  expect(found.length).toBe(1);
  return found[0];
}

/** Reads a bench's pool from outside, while it runs. */
async function readPool(pid: number, places: readonly { node: number; offset: number; bytes: number }[]) {
  const nodes = regions(`fusee-bench-${pid}-`).length;
  const names = Array.from({ length: nodes }, (_, mn) => regionName(`bench-${pid}`, mn));
  const fabric = new ShmFabric({ regions: names, localBytes: 1 << 16, prefault: false });
  try {
    const batch = new VerbBatch(fabric.local, places.length);
    const at = places.map(({ bytes }) => fabric.local.reserve(bytes));
    places.forEach(({ node, offset, bytes }, i) => {
      batch.read(node, offset, at[i], bytes);
    });
    await complete(fabric, batch);
    expect(batch.anyFailed()).toBe(false);
    return places.map(({ bytes }, i) => fabric.local.bytes.slice(at[i], at[i] + bytes));
  } finally {
    fabric.close();
  }
}

/** Waits until a client has died by itself; what it said. */
async function crashed({ running, folder }: ReturnType<typeof start>): Promise<LastWords> {
  const event = () => {
    // The harness says so when it is on record.
    const isThere = /crash client/.test(running.stderr);
    return isThere ? folder.runs()[0].events.find(({ kind }) => kind === 'crash') : undefined;
  };
  await until(() => event() !== undefined || running.process.exitCode !== null, 30_000);
  const detail = event()?.detail;
  if (detail === undefined) throw new Error(`nobody crashed: ${running.stderr}`);
  return detail as unknown as LastWords;
}

describe.concurrent('faults', () => {
  it('of processes and links happen at their time, and the history stays linearizable', async () => {
    const bench = start(
      [
        { from: '200ms', to: '500ms', delay: { client: 0, node: 1, by: '2ms' } },
        { at: '300ms', stop: 'client 2', for: '700ms' },
        { from: '800ms', to: '1100ms', drop: { client: 1, node: 2 } },
        { at: '1200ms', kill: 'client 2' },
      ],
      ...['-c', '3', '--seconds', '2', '--verify'],
    );
    const { running } = bench;
    await running.says(/running\n/);
    const victim = running.child('client-process', 2);
    // A process that is stopped is in state T, and nothing but a signal makes it so.
    let wasStopped = false;
    await until(() => {
      wasStopped = stateOf(victim) === 'T';
      return wasStopped;
    });
    await running.says(/kill client 2/);
    await until(() => !isRunning(victim));
    expect([wasStopped, isRunning(victim), running.process.exitCode]).toEqual([true, false, null]);
    const { status, stderr, row, run, faults } = await end(bench, [victim]);
    expect(stderr).not.toMatch(/fusee:/);
    expect(status).toBe(0);
    expect(row).toMatchObject({ wrongValues: 0, linearizable: true, interrupted: false });
    // When the link was cut in a bad moment, its client cannot come back to read: then nobody knows.
    expect([0, null]).toContain(row.lostKeys);
    expect(run.events.map(({ kind }) => kind)).toEqual(['delay', 'stop', 'drop', 'kill']);
    expect(only(faults, 'delay')).toMatchObject({ atMs: 200, target: 'client 0 to node 1' });
    const stop = only(faults, 'stop');
    expect([stop.target, stop.detail['pid']]).toEqual(['client 2', victim]);
    expect((stop.endMs ?? 0) - stop.atMs).toBeGreaterThanOrEqual(699);
    const kill = only(faults, 'kill');
    expect(kill.atMs).toBeGreaterThanOrEqual(1200);
    expect(kill.detail['countedMsBefore']).toBeGreaterThan(0);
    expect(kill.meanBeforeOps).toBeGreaterThan(0);
    // What was delayed 2 ms took so long; a cut link leaves requests without an answer.
    expect(row.latencyNs.search?.max).toBeGreaterThan(2e6);
    expect(row.outcomes.update?.['UNAVAILABLE']).toBeGreaterThan(0);
    expect(run.rows[0].operations).toBe(run.series.reduce((sum, point) => sum + point.operations, 0));
  }, 90_000);

  it.each([
    ['primary CAS', 0, [false, true, true]],
    ['backup CAS', 1, [false, true, false]],
  ] as const)(
    'a client dies at %s after %i verbs, and exactly those slots hold its word that executed',
    async (batch, verb, holds) => {
      const crash = { operation: 'UPDATE', batch, verb, occurrence: 100 };
      // Keys of its own: nobody else writes to the slot.
      const args = ['-w', 'micro-update', '-c', '2', '-r', '3', '--seconds', '3'];
      const bench = start([{ client: 1, crash }], ...args);
      const words = await crashed(bench);
      const survivor = bench.running.children();
      expect(bench.running.child('client-process', 1)).toBeUndefined();
      expect([words.step, words.executed, words.slot.length]).toEqual([batch, verb, 3]);
      const places = words.slot.map((place) => ({ ...place, bytes: 8 }));
      const found = (await readPool(bench.running.pid, places)).map((bytes) => {
        const view = new DataView(bytes.buffer);
        return formatWord(word(view.getUint32(4, true), view.getUint32(0, true)));
      });
      expect(found).toEqual(holds.map((isNew) => (isNew ? words.vNew : words.vOld)));
      const { status, row, faults } = await end(bench, survivor);
      expect([status, row.lostKeys, row.wrongValues]).toEqual([0, 0, 0]);
      expect(only(faults, 'crash')).toMatchObject({ target: 'client 1', detail: { countedMsBefore: 0 } });
    },
    90_000,
  );

  it('a client dies in the middle of a WRITE, of which so many bytes have landed and no more', async () => {
    const crash = { operation: 'UPDATE', batch: 'write', bytes: 24, occurrence: 50 };
    const bench = start([{ client: 0, crash }], '-c', '2', '--seconds', '2');
    const { verbs, executed } = await crashed(bench);
    const objects = verbs.filter(({ opcode }) => opcode === 'WRITE');
    expect([executed, objects.length, objects[0].bytes]).toEqual([0, 2, 192]);
    const [torn, never] = await readPool(bench.running.pid, objects);
    // The other replica holds what was in the cell before, be it nothing. Header and key take 31 bytes.
    expect([...torn.subarray(24)]).toEqual([...never.subarray(24)]);
    expect([...torn.subarray(0, 24)]).not.toEqual([...never.subarray(0, 24)]);
    expect([...torn.subarray(8, 24)].every((byte) => byte !== 0)).toBe(true);
    expect((await end(bench)).status).toBe(0);
  }, 90_000);

  it('a memory node that is killed leaves requests UNAVAILABLE, and a bench that ends in order', async () => {
    const bench = start([{ at: '500ms', kill: 'node 1' }], '-c', '2', '--seconds', '1');
    const { running } = bench;
    await running.says(/running\n/);
    const node = running.child('node-process', 1);
    await running.says(/kill node 1/);
    await until(() => !isRunning(node));
    const { status, row, faults } = await end(bench, [node]);
    expect(status).toBe(0);
    expect(only(faults, 'kill')).toMatchObject({ target: 'node 1', detail: { pid: node } });
    // Keys whose primary has died cannot be looked for: nobody knows of them.
    expect([row.wrongValues, row.lostKeys]).toEqual([0, null]);
    expect(row.outcomes.update?.['UNAVAILABLE']).toBeGreaterThan(0);
  }, 90_000);

  it('a death that nobody has planned still fails the cell', async () => {
    const bench = start([{ at: '4s', kill: 'client 0' }], '-c', '2', '--seconds', '5');
    await bench.running.says(/running\n/);
    process.kill(bench.running.child('client-process', 1), 'SIGKILL');
    const { status, stderr, run } = await end(bench);
    expect(status).toBe(1);
    expect(stderr).toMatch(/fusee: ycsb-a: client 1 ended unexpectedly \(SIGKILL\)/);
    expect([run.status.state, run.rows.length]).toEqual(['failed', 0]);
  }, 90_000);

  it('a fault that the window did not live to see is a failure that says so', async () => {
    const crash = { operation: 'DELETE', batch: 'write' };
    const { status, stderr } = await end(start([{ client: 0, crash }], '-c', '2', '--seconds', '0.3'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/before crash of client 0 at DELETE, write, occurrence 1; raise --requests/);
  }, 90_000);

  it('for nobody there are wrong usage, before anything starts', async () => {
    const folder = new RunFolder();
    folders.push(folder);
    const path = join(folder.path, 'faults.yaml');
    writeFileSync(path, '- {at: 1s, kill: client 0}\n- {at: 1s, kill: client 4}\n');
    const { status, stderr } = await fusee(...folder.bench('--faults', path));
    expect(status).toBe(2);
    expect(stderr).toBe(
      `fusee: ${path}:2:18: there is no client 4: this bench has clients 0 to 3; --clients gives more\n`,
    );
    const none = await fusee(...folder.bench('--faults', `${path}.not`));
    expect([none.status, none.stderr]).toEqual([2, expect.stringMatching(/cannot be read .*ENOENT/)]);
  });
});
