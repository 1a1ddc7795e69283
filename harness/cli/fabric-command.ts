/** `fusee fabric probe`: what a fabric's verbs take, as a table, as JSON, and as a figure. */
import { Argument, Command } from 'commander';
import { HOST_FABRICS, type HostFabricKind } from '../../fusee/fabric/open.js';
import type { ProbedCell } from '../../fusee/fabric/sim/profile.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { type RdmaFlags, rdmaOf, withRdma } from './access.js';
import { parseCount } from './parse.js';
import { textTable } from './text-table.js';

type ProbedKind = HostFabricKind | 'sim';

interface Flags extends RdmaFlags {
  host?: string;
  pool: string;
  secretFile?: string;
  profile?: string;
  samples: number;
  figure?: string;
  json: boolean;
}

/** The `fabric` command. */
export function fabricCommand(): Command {
  const probe = withRdma(new Command('probe'))
    .description('latency and rate of READ, WRITE, CAS and FAA by size and length of the chain')
    .addArgument(new Argument('<fabric>', 'what leads to the node').choices([...HOST_FABRICS, 'sim']))
    .option('--host <host:port>', 'a node elsewhere that nobody uses (default: one is started here)')
    .option('-p, --pool <name>', 'with --host: its pool', 'default')
    .option('--secret-file <path>', "with --host: the pool's secret")
    .option('--profile <file>', 'for sim: take the latencies of this probe, as --json has printed it')
    .option('--samples <n>', 'batches of each kind', parseCount('samples'), 2000)
    .option('--figure <folder>', 'draw p50 and p99 by size into this folder')
    .option('--json', 'print one JSON object: a cost profile for the simulator', false)
    .action(run);
  return new Command('fabric').description('what carries verbs to memory nodes').addCommand(probe);
}

async function run(fabric: ProbedKind, flags: Flags): Promise<void> {
  if (flags.profile !== undefined && fabric !== 'sim')
    throw new UsageError('--profile is for sim; a real fabric takes the time that it takes');
  if (flags.host !== undefined && (fabric === 'shm' || fabric === 'sim'))
    throw new UsageError(`--host is for fabrics over a network, which ${fabric} is not`);
  if (fabric !== 'verbs' && rdmaOf(flags).rdma !== undefined)
    throw new UsageError(`--device, --port, --gid and --connect are for verbs, which ${fabric} is not`);
  const cells = await probe(fabric, flags);
  if (flags.json) process.stdout.write(`${JSON.stringify({ fabric, cells })}\n`);
  else process.stdout.write(`${tableOf(cells)}\n`);
  if (flags.figure === undefined) return;
  const { drawProbe } = await import('../../plots/probe.js');
  const simulated = fabric === 'sim';
  const paths = await drawProbe(cells, { fabric, simulated, outFolder: flags.figure });
  process.stderr.write(`${paths.join('\n')}\n`);
}

async function probe(fabric: ProbedKind, flags: Flags): Promise<ProbedCell[]> {
  // The other commands do without all this, and start the faster.
  const { probeAt, probeOwn, probeSim, readProfile } = await import('../run/probe-run.js');
  const { samples, host, pool, secretFile, profile } = flags;
  if (fabric === 'sim') return probeSim(profile === undefined ? null : readProfile(profile), { samples });
  const rdma = rdmaOf(flags);
  if (host === undefined) return probeOwn(fabric, { samples, ...rdma });
  const secret = secretFile === undefined ? {} : { secretFile };
  return probeAt({ pool, fabric, nodes: [host], ...secret, ...rdma }, { samples });
}

function tableOf(cells: readonly ProbedCell[]): string {
  const microseconds = (ns: number): string => (ns / 1000).toFixed(2);
  const rows = cells.map(({ verb, bytes, chain, p50Ns, p99Ns, verbsPerSecond }) => [
    verb,
    bytes,
    chain,
    microseconds(p50Ns),
    microseconds(p99Ns),
    (verbsPerSecond / 1000).toFixed(0),
  ]);
  return textTable([['verb', 'bytes', 'chain', 'p50 µs', 'p99 µs', 'kverbs/s'], ...rows]).join('\n');
}
