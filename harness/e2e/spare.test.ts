/**
 * Spares: real processes that wait for a place of a running pool, and take it by themselves when a node dies
 * or is drained, while clients work.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import type { FromMaster } from '../../fusee/control/messages.js';
import { Session } from '../../fusee/control/session.js';
import { sweepRegions, thisProcess } from '../../fusee/fabric/shm-process.js';
import { LAYOUT_VERSION } from '../../fusee/layout/index.js';
import { smallPool } from '../../fusee/node/in-process.js';
import { fusee, RunFolder, Running, regions, until } from './run-fusee.js';
import { endAll, masterSays, running, start, statusOf } from './run-master.js';

const pools: string[] = [];
const folder = new RunFolder();
afterEach(async () => {
  await endAll();
  for (const pool of pools.splice(0)) sweepRegions(pool);
});
afterAll(() => folder.remove());

function spareOf(pool: string, ...more: string[]): Running {
  const spare = new Running(['node', '--spare', '--pool', pool, ...more]);
  running.push(spare);
  pools.push(pool);
  return spare;
}

async function waiting(pool: string, count: number): Promise<Running[]> {
  const spares: Running[] = [];
  // One after the other: the first that came gets the first place.
  for (let n = 0; n < count; n++) {
    const spare = spareOf(pool);
    await spare.says(/waits for a place/);
    spares.push(spare);
  }
  return spares;
}

/** The spare that has the place. */
const placed = async (spares: readonly Running[], mn: number): Promise<Running> => {
  const has = (spare: Running): boolean => new RegExp(`node ${mn} of pool '.*' is ready`).test(spare.stdout);
  await until(() => spares.some(has), 30_000);
  return spares.find(has) ?? expect.unreachable(spares.map(({ stdout, stderr }) => stdout + stderr).join());
};

describe('a spare of a running pool', () => {
  it('takes the place of a node that dies under a bench, by itself, and nothing is lost', async () => {
    const bench = new Running(folder.verifiedBench([{ at: '3s', kill: 'node 1' }], '--seconds', '6'));
    running.push(bench);
    const name = (): string | undefined => regions(`fusee-bench-${bench.pid}-`)[0];
    await bench.says(/loading|running/);
    await until(() => name() !== undefined, 30_000);
    const pool = (name() as string).replace(/^fusee-/, '').replace(/-\d+$/, '');
    const [spare] = await waiting(pool, 1);
    await placed([spare], 1);
    const { status, stderr } = await bench.ended;
    expect([status, stderr]).toEqual([0, expect.stringMatching(/every byte accounted for/)]);
    const { rows, events } = folder.runs()[0];
    expect(rows[0]).toMatchObject({ wrongValues: 0, lostKeys: 0, linearizable: true });
    // Two views: without the node, and with its place being filled; and one in which it is back.
    expect(events.filter(({ kind }) => kind === 'view').length).toBeGreaterThanOrEqual(3);
  }, 120_000);

  it('is followed by the next when it dies itself; and gets the place of a node that is drained', async () => {
    const { pool, nodes } = await start('--lease', '10s');
    const client = await connect({ pool });
    for (let i = 0; i < 200; i++) await client.put(`k${i}`, `v${i}`);
    const spares = await waiting(pool, 3);
    expect((await fusee('stats', '--pool', pool)).stdout).toMatch(/^spares that wait for a place: 3$/m);
    // One that is killed while it waits is of no account.
    spares[0].process.kill('SIGKILL');
    await spares[0].ended;
    nodes[1].process.kill('SIGKILL');
    await spares[1].says(/the place of node 1 is to be this spare's/);
    // In the middle of it, or just in: the last one comes to have the place either way.
    spares[1].process.kill('SIGKILL');
    await placed([spares[2]], 1);
    expect((await masterSays(pool, ({ view }) => view.dead.length === 0)).spares).toBe(0);
    // The place of one that lives: only when somebody waits for it.
    const none = await fusee('drain', '--pool', pool, '--id', '0');
    expect([none.status, none.stderr]).toEqual([2, expect.stringMatching(/no spare waits for its place/)]);
    const [last] = await waiting(pool, 1);
    const drained = await fusee('drain', '--pool', pool, '--id', '0');
    expect([drained.status, drained.stderr]).toEqual([0, '']);
    expect((await nodes[0].ended).stdout).toMatch(/has been drained; it ends/);
    await placed([last], 0);
    for (let i = 0; i < 200; i++) expect(await client.search(`k${i}`)).toMatchObject({ outcome: 'OK' });
    await client.close();
    expect((await fusee('fsck', '--pool', pool)).stdout).toMatch(/^clean: /m);
    expect(regions(`fusee-${pool}-spare`)).toEqual([]);
  }, 120_000);

  it('waits for the next master when its own dies, and ends with Ctrl-C, leaving nothing', async () => {
    const { pool, nodes, master } = await start('--lease', '10s');
    const [spare, other] = await waiting(pool, 2);
    master.process.kill('SIGKILL');
    await master.ended;
    await spare.says(/the master of pool '.*' is gone; this spare waits for the next one/);
    const next = new Running(['master', '--pool', pool, '--lease', '10s']);
    running.push(next);
    await next.says(/is ready/);
    expect((await masterSays(pool, ({ spares }) => spares === 2)).spares).toBe(2);
    other.signalGroup('SIGINT');
    expect(await other.ended).toMatchObject({ status: 0, stderr: '' });
    expect(regions(`fusee-${pool}-spare`).length).toBe(1);
    expect((await masterSays(pool, ({ spares }) => spares === 1)).spares).toBe(1);
    nodes[2].process.kill('SIGKILL');
    await placed([spare], 2);
    spare.signalGroup('SIGINT');
    expect(await spare.ended).toMatchObject({ status: 0, stderr: '' });
    expect(regions(`fusee-${pool}-2`)).toEqual([]);
  }, 120_000);
});

describe('a spare is refused', () => {
  /** Ends with that status, having said so, and leaves nothing. */
  async function refused(pool: string, args: string[], status: number, message: RegExp): Promise<void> {
    const ended = await spareOf(pool, ...args).ended;
    expect([ended.status, ended.stderr]).toEqual([status, expect.stringMatching(message)]);
    expect(regions(`fusee-${pool}-spare`)).toEqual([]);
  }

  it('by a pool without a master, or that is not there', async () => {
    await refused(`e2e-no-${process.pid}`, [], 2, /pool '.*' has no master, and nobody else gives places/);
  }, 60_000);

  it('with another shape, layout or secret, and when its master does not answer', async () => {
    const { pool, master } = await start('--lease', '10s');
    const shapes: [string[], RegExp][] = [
      [['--memory', '64MiB'], /regionsPerNode \d+, the pool with \d+; use the same options/],
      [['--block-size', '128KiB'], /blockBytes 131072, the pool with 65536; use the same options/],
      [['--id', '1'], /a spare has no --id: it takes whatever place is free/],
    ];
    for (const [args, message] of shapes) await refused(pool, args, 2, message);
    const secret = join(folder.path, 'secret');
    writeFileSync(secret, 'f'.repeat(64), { mode: 0o600 });
    await refused(pool, ['--secret-file', secret], 2, /the secret of the master of pool '.*' is another/);
    expect(await answerTo(pool, LAYOUT_VERSION + 1)).toMatch(
      /it has layout version \d+, the pool \d+; use the/,
    );
    expect((await statusOf(pool)).spares).toBe(0);
    master.process.kill('SIGSTOP');
    await refused(pool, [], 1, /the master of pool '.*' did not answer within 3000 ms/);
  }, 120_000);

  /** What the master tells a spare of that layout. */
  async function answerTo(pool: string, layout: number): Promise<string> {
    const session = await Session.open({ pool });
    const answered = new Promise<FromMaster>((resolve) => {
      session.onMessage = resolve;
    });
    session.send({ type: 'spare', layout, config: smallPool(), ...thisProcess() });
    const answer = await answered;
    session.socket.destroy();
    return answer.type === 'refused' ? answer.reason : answer.type;
  }
});
