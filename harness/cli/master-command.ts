/** `fusee master` and `fusee recover`: the pool's master on this host, and what it has recovered. */
import { Command } from 'commander';
import { checkPoolName } from '../../fusee/client/limits.js';
import { askStatus } from '../../fusee/control/link.js';
import { checkAccess } from '../../fusee/fabric/open.js';
import { MasterHost } from '../../fusee/host/master-host.js';
import { DEFAULT_LEASE_MS } from '../../fusee/host/options.js';
import { describeLoss, type MasterStatus } from '../../fusee/host/status.js';
import { RECOVERY_STEPS } from '../../fusee/recovery/index.js';
import { type AccessFlags, accessOf, withAccess } from './access.js';
import { explain } from './explain.js';
import { parseDuration } from './parse.js';
import { textTable } from './text-table.js';

interface MasterFlags extends AccessFlags {
  readonly lease: number;
}

/** The `master` command. */
export function masterCommand(): Command {
  const master = new Command('master').description(
    'run the master of a pool on this host: leases, changes of the view, recovery of dead clients',
  );
  return withAccess(master)
    .option(
      '--lease <time>',
      'a client that is silent for so long is fenced: by SIGKILL, or by its nodes over a network',
      parseDuration('the lease'),
      DEFAULT_LEASE_MS * 1e6,
    )
    .action((flags: MasterFlags) => serve(flags));
}

async function serve(flags: MasterFlags): Promise<void> {
  const { pool, lease } = flags;
  checkPoolName(pool);
  checkAccess(accessOf(flags));
  const host = await MasterHost.start({
    ...accessOf(flags),
    leaseMs: lease / 1e6,
    log: (line) => process.stdout.write(`${line}\n`),
  });
  const end = (): void => {
    host.close().catch((error: unknown) => {
      process.stderr.write(`fusee: ${explain(error).text}\n`);
      process.exitCode = 1;
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  process.stdout.write(`the master of pool '${pool}' is ready; end it with Ctrl-C\n`);
}

interface RecoverFlags {
  readonly pool: string;
  readonly secretFile?: string;
  readonly json?: boolean;
}

/** The `recover` command. */
export function recoverCommand(): Command {
  return new Command('recover')
    .description(
      "tell what a pool's master has recovered, step by step (FUSEE, Table 1), and the view in force",
    )
    .option('-p, --pool <name>', 'the pool', 'default')
    .option('--secret-file <path>', "the pool's secret")
    .option('--json', 'one JSON object')
    .action((flags: RecoverFlags) => tell(flags));
}

async function tell({ pool, secretFile, json }: RecoverFlags): Promise<void> {
  checkPoolName(pool);
  const status = (await askStatus({ pool, secretFile })) as MasterStatus;
  process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : describe(status));
}

function describeFilling({ mn, bytes, leftBytes, rounds }: NonNullable<MasterStatus['filling']>): string {
  const share = ((100 * (bytes - Math.min(bytes, leftBytes))) / bytes).toFixed(1);
  return `the place of node ${mn} is being filled: ${share} % of ${bytes} bytes, round ${rounds + 1}`;
}

function describe(status: MasterStatus): string {
  const { view, clients, recoveries } = status;
  const dead = view.dead.length === 0 ? 'all nodes alive' : `without node ${view.dead.join(', ')}`;
  const lines = [`view ${view.number}, ${dead}; ${clients} clients, lease ${status.leaseMs} ms`];
  if (status.filling !== undefined) lines.push(describeFilling(status.filling));
  const loss = describeLoss(status);
  if (loss !== undefined) lines.push(loss);
  if (recoveries.length === 0) lines.push('no client has been recovered');
  else {
    const milliseconds = (x: number | undefined): string => (x ?? 0).toFixed(2);
    const rows = recoveries.map(({ cid, fenceMs, steps, totalMs, entries }) => [
      String(cid),
      milliseconds(fenceMs),
      ...RECOVERY_STEPS.map((step) => milliseconds(steps[step])),
      milliseconds(totalMs),
      String(entries),
    ]);
    lines.push(
      'milliseconds:',
      ...textTable([['client', 'fence', ...RECOVERY_STEPS, 'all', 'log entries'], ...rows]),
    );
  }
  return `${lines.join('\n')}\n`;
}
