/** `fusee master` and `fusee recover`: the pool's master on this host, and what it has recovered. */
import { Command } from 'commander';
import { checkPoolName } from '../../fusee/client/limits.js';
import { askStatus } from '../../fusee/control/link.js';
import { checkAccess } from '../../fusee/fabric/open.js';
import { MasterHost } from '../../fusee/host/master-host.js';
import { DEFAULT_LEASE_MS, ELECTION_SECONDS_DEFAULT, LEASE_ELECTIONS } from '../../fusee/host/options.js';
import { describeLoss, type MasterStatus } from '../../fusee/host/status.js';
import { RECOVERY_STEPS } from '../../fusee/recovery/index.js';
import { type AccessFlags, accessOf, masterOption, withNodes } from './access.js';
import { explain } from './explain.js';
import { parseDuration } from './parse.js';
import { textTable } from './text-table.js';

interface MasterFlags extends AccessFlags {
  readonly lease?: number;
  readonly store?: string;
  readonly election?: number;
  readonly standby?: boolean;
  readonly listen?: string;
}

/** The `master` command. */
export function masterCommand(): Command {
  const master = new Command('master').description(
    'run the master of a pool on this host: leases, changes of the view, recovery of dead clients',
  );
  return withNodes(master)
    .option(
      '--lease <time>',
      'a client that is silent for so long is fenced: by SIGKILL, or by its nodes over a network (default: ' +
        `${DEFAULT_LEASE_MS}ms; with etcd ${LEASE_ELECTIONS} times the election time)`,
      parseDuration('the lease'),
    )
    .option(
      '--store <where>',
      'where masters keep what their successor must know: embedded, or etcd://host:port[,host:port]',
      'embedded',
    )
    .option(
      '--election <time>',
      'with etcd: a master that it has not heard of for so long is replaced; whole seconds (default: ' +
        `${ELECTION_SECONDS_DEFAULT}s)`,
      parseDuration('the election time'),
    )
    .option(
      '--listen <host:port>',
      'over a network: where clients and nodes of other hosts find this master (default: on this host only)',
    )
    .option('--standby', 'wait while another master leads, and take over when it has died; etcd implies it')
    .action((flags: MasterFlags) => serve(flags));
}

async function serve(flags: MasterFlags): Promise<void> {
  const { pool, lease, store, election, standby, listen } = flags;
  checkPoolName(pool);
  checkAccess(accessOf(flags));
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  const abort = new AbortController();
  let host: MasterHost | undefined;
  const end = (): void => {
    abort.abort();
    host?.close().catch((error: unknown) => {
      process.stderr.write(`fusee: ${explain(error).text}\n`);
      process.exitCode = 1;
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);
  const options = {
    ...accessOf(flags),
    ...(lease === undefined ? {} : { leaseMs: lease / 1e6 }),
    ...(store === undefined ? {} : { store }),
    ...(election === undefined ? {} : { electionSeconds: election / 1e9 }),
    ...(standby === undefined ? {} : { standsBy: standby }),
    ...(listen === undefined ? {} : { listen }),
    rehearses: true,
    signal: abort.signal,
    onStandby: () => say(`pool '${pool}' has a master; this one stands by, end it with Ctrl-C`),
    onDeposed: (reason: string) => {
      process.stderr.write(
        `fusee: this master of pool '${pool}' was deposed: ${reason}; start it again to stand by\n`,
      );
      process.exitCode = 1;
    },
    log: say,
  };
  try {
    host = await MasterHost.start(options);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return;
  }
  if (abort.signal.aborted) return host.close();
  const where = host.address === undefined ? '' : ` (tcp ${host.address})`;
  say(`the master of pool '${pool}' is ready${where}; end it with Ctrl-C`);
}

interface RecoverFlags {
  readonly pool: string;
  readonly secretFile?: string;
  readonly master?: readonly string[];
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
    .addOption(masterOption())
    .option('--json', 'one JSON object')
    .action((flags: RecoverFlags) => tell(flags));
}

async function tell({ json, ...address }: RecoverFlags): Promise<void> {
  checkPoolName(address.pool);
  const status = (await askStatus(address)) as MasterStatus;
  process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : describeStatus(status));
}

function describeFilling({ mn, bytes, leftBytes, rounds }: NonNullable<MasterStatus['filling']>): string {
  const share = ((100 * (bytes - Math.min(bytes, leftBytes))) / bytes).toFixed(1);
  return `the place of node ${mn} is being filled: ${share} % of ${bytes} bytes, round ${rounds + 1}`;
}

/** What a master has said of itself, for a person. */
export function describeStatus(status: MasterStatus): string {
  const { view, clients, recoveries, torn } = status;
  const dead = view.dead.length === 0 ? 'all nodes alive' : `without node ${view.dead.join(', ')}`;
  const lines = [`view ${view.number}, ${dead}; ${clients} clients, lease ${status.leaseMs} ms`];
  if (status.spares > 0) lines.push(`spares that wait for a place: ${status.spares}`);
  if (status.filling !== undefined) lines.push(describeFilling(status.filling));
  const loss = describeLoss(status);
  if (loss !== undefined) lines.push(loss);
  if (recoveries.length === 0) lines.push('no client has been recovered');
  else {
    const milliseconds = (x: number | undefined): string => (x ?? 0).toFixed(2);
    const kinds = ['dropped', 'over', 'finished', 'undone'] as const;
    const rows = recoveries.map(({ cid, fenceMs, steps, totalMs, entries, requests }) => [
      String(cid),
      milliseconds(fenceMs),
      ...RECOVERY_STEPS.map((step) => milliseconds(steps[step])),
      milliseconds(totalMs),
      String(entries),
      ...kinds.map((kind) => String(requests[kind])),
    ]);
    lines.push(
      "milliseconds, log entries, and what became of requests (FUSEE, Table 1; 'over' had been done):",
      ...textTable([['client', 'fence', ...RECOVERY_STEPS, 'all', 'log entries', ...kinds], ...rows]),
    );
  }
  for (const { cid, why } of torn)
    lines.push(`client ${cid} stays fenced and is not recovered, its log contradicts itself: ${why}`);
  return `${lines.join('\n')}\n`;
}
