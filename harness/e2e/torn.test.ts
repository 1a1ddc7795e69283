/** A client of which the log cannot be followed: it costs its own recovery, and no master. */
import { afterAll, afterEach, expect, it } from 'vitest';
import { complete } from '../../fusee/client/call.js';
import { findPool } from '../../fusee/client/connect.js';
import { SequentialClient } from '../../fusee/client/sequential.js';
import type { Fabric } from '../../fusee/fabric/contract.js';
import { openFabric } from '../../fusee/fabric/open.js';
import { MasterHost } from '../../fusee/host/master-host.js';
import { LOG_HEAD_BYTES } from '../../fusee/layout/index.js';
import { type Op, VerbBatch } from '../../fusee/verbs/index.js';
import { busyClient, fusee, isRunning, RunFolder, Running } from './run-fusee.js';
import { endAll, masterSays, running, start, statusOf } from './run-master.js';

afterEach(endAll);
const folder = new RunFolder();
afterAll(() => folder.remove());

async function run<T>(fabric: Fabric, op: Op<T>): Promise<T> {
  let step = op.next();
  for (; !step.done; step = op.next()) await complete(fabric, step.value);
  return step.value;
}

/** Lets the log lists in the blocks of a client begin where none of its cells is. */
async function tear(pool: string, cid: number): Promise<void> {
  const { view, places } = await findPool({ pool });
  const fabric = await openFabric({ pool }, places, { localBytes: 1 << 22, prefault: false });
  const { coroutine } = new SequentialClient(fabric, { view, cid: 30_000 });
  const { local } = fabric;
  const batch = new VerbBatch(local, 64);
  const nowhere = local.reserve(LOG_HEAD_BYTES);
  local.words.set([64, 0, 64, 0], nowhere >>> 2);
  for (let mn = 0; mn < 3; mn++) {
    for (const { pointer } of (await run(fabric, coroutine.cx.allocator.list(mn, cid))) ?? []) {
      const head = pointer + view.geometry.headsOffset;
      batch.reset();
      for (let r = 0; r < 2; r++)
        batch.write(view.dataMn(head, r), view.dataOffset(head, r), nowhere, LOG_HEAD_BYTES);
      await complete(fabric, batch);
    }
  }
  fabric.close();
}

it('is told of, and neither a recovery nor the change of the view behind it ends the master', async () => {
  const { pool, nodes, master } = await start('--lease', '10s');
  const busy = new Running([], { main: busyClient(folder.path, pool) });
  running.push(busy);
  await busy.says(/busy/, 60_000);
  busy.process.kill('SIGSTOP');
  await tear(pool, 1);
  busy.process.kill('SIGKILL');
  const { torn } = await masterSays(pool, (status) => status.torn.length > 0);
  expect(torn).toEqual([{ cid: 1, why: expect.stringMatching(/does not come to its head/) }]);
  nodes[0].process.kill('SIGKILL');
  const { view } = await masterSays(pool, (status) => status.view.number > 1);
  expect(view).toEqual({ number: 2, dead: [0] });
  expect(await fusee('kv', 'put', 'k', 'v', '--pool', pool)).toMatchObject({ status: 0 });
  const { stdout } = await fusee('recover', '--pool', pool);
  expect(stdout).toMatch(/^client 1 stays fenced and is not recovered, its log contradicts itself: the log/m);
  expect((await statusOf(pool)).recoveries).toEqual([]);
  expect(isRunning(master.pid)).toBe(true);
  // Whoever waits until all that can be done is done does not wait for it: with the next master as well.
  master.process.kill('SIGTERM');
  await master.ended;
  const next = await MasterHost.start({ pool, leaseMs: 10_000 });
  try {
    await next.settled(20_000);
    expect(next.status().torn).toEqual([{ cid: 1, why: expect.any(String) }]);
  } finally {
    await next.close();
  }
}, 90_000);
