/** A pool of three nodes with a master, every process of its own, for tests that let them die. */
import { askStatus } from '../../fusee/control/link.js';
import type { MasterStatus } from '../../fusee/host/status.js';
import { isRunning, Running } from './run-fusee.js';

/** What a test has started; ended by {@link endAll}. */
export const running: Running[] = [];
let count = 0;

/** Starts the pool, and a master with these arguments. */
export async function start(...args: string[]): Promise<{ pool: string; nodes: Running[]; master: Running }> {
  const pool = `e2e-master-${process.pid}-${count++}`;
  const shape = ['--nodes', '3', '--index-replicas', '2', '--data-replicas', '2'];
  const nodes = await Promise.all(
    [0, 1, 2].map(async (id) => {
      const sizes = ['--memory', '32MiB', '--keys', '10k', '--id', String(id)];
      const node = new Running(['node', '--pool', pool, ...sizes, ...shape]);
      running.push(node);
      await node.says(/is ready/, 60_000);
      return node;
    }),
  );
  const master = new Running(['master', '--pool', pool, ...args]);
  running.push(master);
  await master.says(/is ready/, 60_000);
  return { pool, nodes, master };
}

/** Ends what was started. */
export async function endAll(): Promise<void> {
  for (const one of running) {
    // One that is stopped would not hear of its end.
    if (isRunning(one.pid)) one.process.kill('SIGCONT');
    if (isRunning(one.pid)) one.process.kill('SIGTERM');
  }
  await Promise.all(running.splice(0).map((one) => one.ended));
}

/** What the pool's master says of itself. */
export const statusOf = async (pool: string, secretFile?: string): Promise<MasterStatus> =>
  (await askStatus({ pool, ...(secretFile === undefined ? {} : { secretFile }) })) as MasterStatus;

/** Waits until the master says so; what it said last. */
export async function masterSays(
  pool: string,
  isSo: (status: MasterStatus) => boolean,
  secretFile?: string,
): Promise<MasterStatus> {
  const patienceMs = secretFile === undefined ? 10_000 : 20_000;
  let status = await statusOf(pool, secretFile);
  for (const end = performance.now() + patienceMs; !isSo(status) && performance.now() < end; )
    status = await statusOf(pool, secretFile);
  return status;
}
