/** `fusee saturate`: the highest offered load that keeps a bound. */
import { Command, Option } from 'commander';
import type { SaturateOptions, SaturateOutcome } from '../run/saturate.js';
import type { Saturation } from '../run/saturation.js';
import { untilInterrupted } from './interrupt.js';
import { parseBytes, parseCount, parseDuration, parseSeconds, parseShare } from './parse.js';
import { textTable } from './text-table.js';

interface Flags {
  workload: string;
  p99: number;
  clients: number;
  coroutines: number;
  nodes: number;
  replicas?: number;
  kvBytes: number;
  records: number;
  seconds: number;
  warmup?: number;
  rtt: number;
  seed: number;
  arrivals: 'poisson' | 'constant';
  from: number;
  least: number;
  most: number;
  tolerance: number;
  repeats: number;
  requireTrust: boolean;
  figures: boolean;
  out: string;
  json: boolean;
}

/** Makes the command. */
export function saturateCommand(): Command {
  return new Command('saturate')
    .description('search the highest offered load whose p99 response time stays within a bound')
    .requiredOption(
      '--p99 <time>',
      'the bound, from the intended start of requests',
      parseDuration('the bound'),
    )
    .option('-w, --workload <name>', 'one workload', 'ycsb-c')
    .option('-c, --clients <n>', 'client processes', parseCount('clients'), 4)
    .option('--coroutines <n>', 'requests in flight per client', parseCount('coroutines'), 8)
    .option('-n, --nodes <n>', 'memory nodes', parseCount('nodes'), 3)
    .option(
      '-r, --replicas <n>',
      'replicas of index and data (default: 2, or 1 on one node)',
      parseCount('replicas'),
    )
    .option('--kv-bytes <n>', 'bytes of key and value together', parseBytes('the KV size'), 1024)
    .option('--records <n>', 'keys that are loaded first', parseCount('records'), 10_000)
    .option('--seconds <s>', 'window of each repetition', parseSeconds('the window'), 3)
    .option(
      '--warmup <time>',
      'time before it (default: by the speed of the load)',
      parseDuration('the warm-up'),
    )
    .option('--rtt <time>', 'hold every completion back this long', parseDuration('the round trip'), 0)
    .option('--seed <n>', 'seed of requests and schedules', parseCount('the seed'), 1)
    .addOption(
      new Option('--arrivals <kind>', 'intervals of the schedule')
        .choices(['poisson', 'constant'])
        .default('poisson'),
    )
    .option('--from <n>', 'load at which the search begins', parseCount('the first load'), 10_000)
    .option('--least <n>', 'lowest load to try', parseCount('the lowest load'), 100)
    .option('--most <n>', 'highest load to try', parseCount('the highest load'), 1_000_000)
    .option('--tolerance <share>', 'how close the search is to come', parseShare('the tolerance'), 0.1)
    .option('--repeats <n>', 'repetitions of one load, at most', parseCount('repetitions'), 9)
    .option('--require-trust', 'repetitions with noise count for neither side', false)
    .option('--no-figures', 'draw nothing')
    .option('--out <folder>', 'folder of all runs', 'results/runs')
    .option('--json', 'print one JSON object', false)
    .addHelpText(
      'after',
      `
A load is repeated until repetitions that keep the bound lead by three, or those that break it do: then the
verdict is wrong in less than 2 % of cases, if a fifth of the repetitions goes astray. One that is undecided
after --repeats is named so. Exit status: 0 found and sure, 1 not sure.
`,
    )
    .action(saturate);
}

async function saturate(flags: Flags): Promise<void> {
  const [{ runSaturate }, { liveView, silentView }] = await Promise.all([
    import('../run/saturate.js'),
    import('../run/live.js'),
  ]);
  const view = flags.json ? silentView() : liveView(process.stderr);
  const outcome = await untilInterrupted((abort) => runSaturate(saturateOptions(flags), { view, abort }));
  if (outcome === null) {
    process.exitCode = 130;
    return;
  }
  const { saturation, folder, figures } = outcome;
  const text = flags.json ? JSON.stringify({ ...saturation, folder, figures }) : describe(outcome, flags);
  process.stdout.write(`${text}\n`);
  process.exitCode = saturation.isSure ? 0 : 1;
}

function saturateOptions(flags: Flags): SaturateOptions {
  const both = flags.replicas ?? Math.min(2, flags.nodes);
  const { clients, coroutines, nodes, kvBytes, records, seed, out } = flags;
  return {
    bench: {
      ...{ clients, coroutines, nodes, kvBytes, records, seed, out },
      workloads: [flags.workload],
      flavour: 'ycsb-java',
      indexReplicas: both,
      dataReplicas: both,
      requests: 0,
      secondsMax: flags.seconds,
      ...(flags.warmup === undefined ? {} : { warmupMs: flags.warmup / 1e6 }),
      rttNs: flags.rtt,
      repetitions: 1,
      figures: false,
    },
    openLoop: { arrivals: flags.arrivals, skipAfterNs: null },
    boundNs: flags.p99,
    requireTrust: flags.requireTrust,
    figures: flags.figures,
    fromOps: flags.from,
    leastOps: flags.least,
    mostOps: flags.most,
    tolerance: flags.tolerance,
    repetitionsMax: flags.repeats,
  };
}

function describe({ saturation, rows, folder, figures }: SaturateOutcome, { p99 }: Flags): string {
  const p99s = (offered: number): string =>
    rows
      .filter(({ openLoop }) => openLoop?.offeredOps === offered)
      .map(({ openLoop }) => ((openLoop?.responseNs?.p99 ?? Number.NaN) / 1000).toFixed(0))
      .join(' ');
  const lines = saturation.judged.map((one) => [
    one.offeredOps,
    one.kept,
    one.broken,
    one.unreliable,
    one.verdict,
    p99s(one.offeredOps),
  ]);
  return [
    ...textTable([['offered/s', 'kept', 'broken', 'unreliable', 'verdict', 'p99 µs of each'], ...lines]),
    verdictOf(saturation, `a p99 of ${p99 / 1000} µs`),
    folder,
    ...figures,
  ].join('\n');
}

/** The result as a sentence. */
export function verdictOf({ underOps, overOps, isSure }: Saturation, bound: string): string {
  if (underOps === null)
    return `not sure: no load was found that surely keeps ${bound}; begin lower, or raise --repeats`;
  if (overOps === null)
    return `not sure: ${underOps}/s keeps ${bound}, and no load surely breaks it; raise --most or --repeats`;
  if (isSure) return `${underOps}/s keeps ${bound}, ${overOps}/s does not`;
  return `not sure: ${underOps}/s keeps ${bound}, ${overOps}/s does not; in between repetitions disagree`;
}
