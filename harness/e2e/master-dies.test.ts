/**
 * Masters that are killed in the middle of what they do: real processes, held there by others that are
 * stopped. Another one takes over, and nothing is lost.
 */
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../fusee/client/index.js';
import { isPlaced } from '../../fusee/control/placed.js';
import { Session } from '../../fusee/control/session.js';
import type { ShmNode } from '../../fusee/fabric/shm-node.js';
import { sweepRegions, thisProcess } from '../../fusee/fabric/shm-process.js';
import { startShmNode } from '../../fusee/node/index.js';
import { poolOfMemory } from '../cli/node-command.js';
import { busyClient, fusee, isRunning, RunFolder, Running } from './run-fusee.js';
import { endAll, masterSays, running, start } from './run-master.js';
import { Writer } from './writer.js';

const pools: string[] = [];
const nodes: ShmNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) node.close();
  await endAll();
  for (const pool of pools.splice(0)) sweepRegions(pool);
});
const folder = new RunFolder();
afterAll(() => folder.remove());

async function lead(pool: string, ...args: string[]): Promise<Running> {
  const master = new Running(['master', '--pool', pool, ...args]);
  running.push(master);
  await master.says(args.includes('--standby') ? /stands by/ : /is ready/);
  return master;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Nobody goes on meanwhile. */
async function standsStill(writer: Writer): Promise<void> {
  await pause(300);
  const before = writer.count;
  await pause(300);
  expect(writer.count).toBe(before);
}

describe('a master that is killed while the view changes', () => {
  it('between its stop and its adopt, with a client that has not stopped, leaves that to the next', async () => {
    const { pool, nodes: processes, master } = await start('--lease', '3s');
    pools.push(pool);
    const next = await lead(pool, '--standby', '--lease', '3s');
    const client = await connect({ pool, deadlineMs: 20_000 });
    const writer = new Writer(client);
    const busy = new Running([], { main: busyClient(folder.path, pool) });
    running.push(busy);
    await busy.says(/busy/);
    writer.begin();
    await writer.goOn();
    // One client will not say that it has stopped: the others wait for it, or for its lease.
    busy.process.kill('SIGSTOP');
    processes[1].process.kill('SIGKILL');
    await processes[1].ended;
    await standsStill(writer);
    master.process.kill('SIGKILL');
    await next.says(/is ready/);
    await writer.goOn();
    const { view, recoveries, term } = await masterSays(pool, (status) => status.recoveries.length > 0);
    // Number 2 may be known to some node already.
    expect([view, recoveries.length, term]).toEqual([{ number: 3, dead: [1] }, 1, 2]);
    expect((await busy.ended).signal).toBe('SIGKILL');
    await writer.end();
    await client.close();
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 90_000);

  it('in its repair, with a node that has not heard of the view, has that done again', async () => {
    const { pool, nodes: processes, master } = await start('--lease', '20s');
    pools.push(pool);
    const next = await lead(pool, '--standby', '--lease', '20s');
    const client = await connect({ pool, deadlineMs: 20_000 });
    const writer = new Writer(client);
    writer.begin();
    await writer.goOn();
    // It is told the view by a call, which it does not answer.
    processes[2].process.kill('SIGSTOP');
    processes[1].process.kill('SIGKILL');
    await processes[1].ended;
    await standsStill(writer);
    master.process.kill('SIGKILL');
    processes[2].process.kill('SIGCONT');
    await next.says(/is ready/);
    await writer.goOn();
    expect((await masterSays(pool, () => true)).view).toEqual({ number: 3, dead: [1] });
    expect(isRunning(processes[2].pid)).toBe(true);
    await writer.end();
    await client.close();
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 90_000);
});

describe('a master that is killed while a node joins', () => {
  const shape = { nodes: 3, indexReplicas: 2, dataReplicas: 2, regionSize: 1 << 23, blockSize: 1 << 16 };
  const config = poolOfMemory({ ...shape, memory: 32 << 20, keys: 10_000 });

  /** Offers this process for place 1, and does that when the master says so. */
  async function offer(
    pool: string,
    on: Partial<Record<'take' | 'entered', (s: Session) => void>>,
  ): Promise<void> {
    const node = startShmNode({ pool, mn: 1, config, isNext: true });
    nodes.push(node);
    const session = await Session.open({ pool });
    await new Promise<void>((resolve) => {
      session.onClosed = resolve;
      session.onMessage = ({ type }) => {
        if (type === 'take') node.takePlace();
        if (type === 'take' || type === 'entered') on[type]?.(session);
      };
      session.send({ type: 'offer', mn: 1, isReplacing: true, ...thisProcess() });
    });
  }

  it('knows by its record whether that has joined, and nobody takes one for the other', async () => {
    const { pool, master } = await start('--lease', '5s');
    pools.push(pool);
    const client = await connect({ pool, deadlineMs: 20_000 });
    const writer = new Writer(client);
    writer.begin();
    await writer.goOn();
    // It has the name of a place that lives, and no record says so.
    await offer(pool, { take: () => master.process.kill('SIGKILL') });
    await master.ended;
    const second = await lead(pool, '--lease', '5s');
    expect(await isPlaced({ pool }, 1)).toBe(false);
    expect((await masterSays(pool, ({ view }) => view.dead.length > 0)).view.dead).toEqual([1]);
    await writer.goOn();
    for (const node of nodes.splice(0)) node.close();
    // The same once more, and this time it is in when its master dies.
    const taken = (session: Session): void => session.send({ type: 'taken' });
    await offer(pool, { take: taken, entered: () => second.process.kill('SIGKILL') });
    await second.ended;
    await lead(pool, '--lease', '5s');
    expect(await isPlaced({ pool }, 1)).toBe(true);
    expect((await masterSays(pool, () => true)).view.dead).toEqual([]);
    await writer.goOn();
    await writer.end();
    await client.close();
    const fsck = await fusee('fsck', '--pool', pool);
    expect([fsck.status, fsck.stderr]).toEqual([0, '']);
  }, 120_000);
});
