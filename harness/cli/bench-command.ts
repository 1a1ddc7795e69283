/** `fusee bench`: workloads against a pool of its own on this machine. */
import { Command, Option } from 'commander';
import type { HostFabricKind } from '../../fusee/fabric/open.js';
import { UsageError } from '../../fusee/verbs/index.js';
import type { OpenLoop, ResultRow } from '../../results/schema.js';
import { workloadNames } from '../../workloads/index.js';
import type { BenchOptions } from '../run/plan-bench.js';
import { fabricOption, type RdmaFlags, rdmaOf, withRdma } from './access.js';
import { untilInterrupted } from './interrupt.js';
import { parseBytes, parseCount, parseDuration, parseList, parseSeconds, parseShare } from './parse.js';

interface Flags extends RdmaFlags {
  fabric: HostFabricKind;
  workload: string;
  searchRatio?: number;
  trace?: string;
  flavour: string;
  clients: number[];
  rate?: number[];
  arrivals?: OpenLoop['arrivals'];
  skipAfter?: number;
  resume: boolean;
  coroutines: number;
  nodes: number;
  replicas?: number;
  indexReplicas?: number;
  dataReplicas?: number;
  kvBytes: number;
  records: number;
  requests: number;
  seconds: number;
  warmup?: number;
  rtt: number;
  seed: number;
  repeats: number;
  cacheBytes?: number;
  out: string;
  figures: boolean;
  verify: boolean;
  master: boolean;
  masters?: number;
  lease?: number;
  readonly faults?: string;
  loop: boolean;
  json: boolean;
  requireTrust: boolean;
}

/** As the schema has them; not imported, since the other commands do without its validator. */
const ARRIVALS: readonly OpenLoop['arrivals'][] = ['poisson', 'constant'];

/** Makes the command. */
export function benchCommand(): Command {
  const count = parseCount;
  const list = (name: string) => parseList(count(name));
  return withRdma(new Command('bench'))
    .description('run workloads against a pool of its own and store latencies, costs and figures')
    .option(
      '-w, --workload <names>',
      `comma-separated: ${workloadNames.join(', ')}`,
      'ycsb-a,ycsb-b,ycsb-c,ycsb-d',
    )
    .addOption(fabricOption())
    .option('--search-ratio <share>', 'for the workload mix: share of SEARCH', parseShare('the search ratio'))
    .option('--trace <file>', 'for the workload trace: the file to replay')
    .option('--flavour <name>', "reading of YCSB's key distributions", 'ycsb-java')
    .option(
      '-c, --clients <n>',
      'client processes; several counts, comma-separated, make a sweep',
      list('clients'),
      [4],
    )
    .option('--coroutines <n>', 'requests in flight per client', count('coroutines'), 8)
    .option('-n, --nodes <n>', 'memory nodes', count('nodes'), 3)
    .option(
      '-r, --replicas <n>',
      'replicas of index and data (default: 2, or 1 on one node)',
      count('replicas'),
    )
    .option('--index-replicas <n>', 'replicas of the index (r_i)', count('index replicas'))
    .option('--data-replicas <n>', 'replicas of objects (r_d)', count('data replicas'))
    .option('--kv-bytes <n>', 'bytes of key and value together', parseBytes('the KV size'), 1024)
    .option('--records <n>', 'keys that are loaded first', count('records'), 100_000)
    .option('--requests <n>', 'requests per workload, of all clients together', count('requests'), 500_000)
    .option(
      '--seconds <s>',
      'longest measured window; the requests may end first',
      parseSeconds('the window'),
      60,
    )
    .option(
      '--warmup <time>',
      'time before the measured window (default: 7 % of what the requests would take at the rate of the ' +
        'load, at most 2s)',
      parseDuration('the warm-up'),
    )
    .option('--rtt <time>', 'hold every completion back this long', parseDuration('the round trip'), 0)
    .option(
      '--rate <n>',
      'open loop: requests per second of all clients together, by a schedule; several make a sweep',
      list('the rate'),
    )
    .addOption(
      new Option('--arrivals <kind>', 'with --rate: intervals of the schedule (default: poisson)').choices(
        ARRIVALS,
      ),
    )
    .option(
      '--skip-after <time>',
      'with --rate: pass over requests that are this late (default: all begin, however late)',
      parseDuration('the time after which requests are skipped'),
    )
    .option('--resume', 'take cells from earlier runs that have finished them with the same code', false)
    .option('--seed <n>', 'seed of the request streams', count('the seed'), 1)
    .option('--repeats <n>', 'repetitions of each workload', count('repeats'), 1)
    .option('--cache-bytes <n>', "each client's index cache; 0 switches it off", parseBytes('the cache size'))
    .option('--out <folder>', 'folder of all runs', 'results/runs')
    .option(
      '--verify',
      'record all requests, check that their history is linearizable, and run fsck at the end',
      false,
    )
    .option('--faults <file>', 'inject the faults of this timeline into the measured window')
    .option(
      '--loop',
      'play the requests again and again: the window lasts --seconds, and the pool reclaims',
      false,
    )
    .addOption(new Option('--no-master', 'with --faults: nobody sees to what the dead leave behind'))
    .option(
      '--masters <n>',
      'masters: one leads, the others stand by (default: 1 with --faults, or none)',
      count('masters'),
    )
    .option(
      '--lease <time>',
      'with a master: a client that is silent for so long is fenced',
      parseDuration('the lease'),
    )
    .addOption(new Option('--no-figures', 'draw nothing'))
    .option('--require-trust', 'fail unless every row is trusted; rows are kept, with their reasons', false)
    .option('--json', 'one JSON object per workload and line on standard output, and nothing else', false)
    .action(async (flags: Flags) => bench(flags));
}

async function bench(flags: Flags): Promise<void> {
  // The other commands do without all this, and start the faster.
  const [{ runBench }, { liveView, silentView }, { formatTable }] = await Promise.all([
    import('../run/bench.js'),
    import('../run/live.js'),
    import('../../results/table.js'),
  ]);
  const view = flags.json ? silentView() : liveView(process.stderr);
  const onRow = flags.json ? (row: object) => process.stdout.write(`${JSON.stringify(row)}\n`) : () => {};
  const outcome = await untilInterrupted((abort) => runBench(benchOptions(flags), { view, abort, onRow }));
  if (!flags.json) {
    if (outcome.rows.length > 0) process.stdout.write(`${formatTable(outcome.rows)}\n`);
    for (const path of outcome.paths) process.stdout.write(`${path}\n`);
  }
  for (const fault of outcome.faults) process.stderr.write(`fusee: ${fault}\n`);
  for (const run of outcome.damaged) process.stderr.write(`fusee: measured anew what is in ${run}\n`);
  const distrusted = flags.requireTrust ? distrust(outcome.rows) : [];
  for (const line of distrusted) process.stderr.write(`fusee: ${line}\n`);
  const hasFailed = outcome.faults.length > 0 || (distrusted.length > 0 && !outcome.interrupted);
  process.exitCode = hasFailed ? 1 : outcome.interrupted ? 130 : 0;
}

/** Options that mean something to an open loop only. */
function openLoopOf({ rate, arrivals, skipAfter }: Flags): Pick<BenchOptions, 'openLoop'> {
  if (rate !== undefined) {
    return { openLoop: { rates: rate, arrivals: arrivals ?? 'poisson', skipAfterNs: skipAfter ?? null } };
  }
  const given =
    arrivals !== undefined ? `--arrivals ${arrivals}` : skipAfter !== undefined ? '--skip-after' : null;
  if (given === null) return {};
  throw new UsageError(`${given} is given, but no offered load; add --rate N, in requests per second`);
}

/** One line for each row that nobody should rely on. */
const distrust = (rows: readonly ResultRow[]): string[] =>
  rows.flatMap(({ workload, repetition, trust }) => {
    if (trust?.verdict === 'ok') return [];
    const reasons = trust === null ? 'nobody looked' : trust.reasons.join('; ');
    return `${workload}, repetition ${repetition}, is ${trust?.verdict ?? 'unchecked'}: ${reasons}`;
  });

function benchOptions(flags: Flags): BenchOptions {
  const both = flags.replicas ?? Math.min(2, flags.nodes);
  return {
    fabric: flags.fabric,
    ...rdmaOf(flags),
    workloads: flags.workload.split(',').flatMap((name) => name.trim() || []),
    ...(flags.searchRatio === undefined ? {} : { searchRatio: flags.searchRatio }),
    ...(flags.trace === undefined ? {} : { tracePath: flags.trace }),
    ...(flags.cacheBytes === undefined ? {} : { cacheBytes: flags.cacheBytes }),
    ...(flags.faults === undefined ? {} : { faultsPath: flags.faults }),
    masters: flags.masters ?? (flags.faults !== undefined && flags.master ? 1 : 0),
    ...(flags.lease === undefined ? {} : { leaseMs: flags.lease / 1e6 }),
    ...(flags.loop ? { loops: true } : {}),
    ...(flags.warmup === undefined ? {} : { warmupMs: flags.warmup / 1e6 }),
    flavour: flags.flavour,
    clients: flags.clients[0],
    clientCounts: flags.clients,
    ...openLoopOf(flags),
    resume: flags.resume,
    coroutines: flags.coroutines,
    nodes: flags.nodes,
    indexReplicas: flags.indexReplicas ?? both,
    dataReplicas: flags.dataReplicas ?? both,
    kvBytes: flags.kvBytes,
    records: flags.records,
    requests: flags.requests,
    secondsMax: flags.seconds,
    rttNs: flags.rtt,
    seed: flags.seed,
    repetitions: flags.repeats,
    out: flags.out,
    figures: flags.figures,
    verify: flags.verify,
  };
}
