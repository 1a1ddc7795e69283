/** `fusee experiment`: the paper's experiments with crashes and elasticity, and our own. */
import { Argument, Command, Option } from 'commander';
import { untilInterrupted } from './interrupt.js';
import { parseCount } from './parse.js';

interface Flags {
  readonly clients?: number;
  readonly repeats?: number;
  readonly kills?: number;
  readonly seed: number;
  readonly quick: boolean;
  readonly out: string;
  readonly figures: boolean;
  readonly json: boolean;
}

/** What there is; the experiments themselves are loaded when one runs. */
const NAMES = ['table1', 'fig20', 'fig21', 'crash-every-second', 'recovery', 'kills'] as const;

/** Makes the command. */
export function experimentCommand(): Command {
  return new Command('experiment')
    .description('run an experiment with crashes or clients that come and go, beside the values of the paper')
    .addArgument(new Argument('<name>', 'which one').choices(NAMES))
    .option('-c, --clients <n>', 'client processes', parseCount('clients'))
    .option('--repeats <n>', 'repetitions', parseCount('repeats'))
    .option('--kills <n>', 'for kills: how many processes are killed', parseCount('kills'))
    .option('--seed <n>', 'seed of the request streams and of all chance', parseCount('the seed'), 1)
    .option('--quick', 'shorter, to see that it works: nothing to be quoted', false)
    .option('--out <folder>', 'folder of all runs', 'results/runs')
    .addOption(new Option('--no-figures', 'draw nothing'))
    .option('--json', 'the conclusion as one JSON object on standard output, and nothing else', false)
    .addHelpText(
      'after',
      `
Experiments:
  table1              a client crashes after 1,000 UPDATEs: its recovery, step by step
  fig20               a memory node crashes during YCSB-C
  fig21               as many clients again join during YCSB-C, and leave
  crash-every-second  a client is killed every second during YCSB-A; is the history linearizable?
  recovery            the figures of recovery and detection, by history, and what a dead node costs SEARCH
  kills               SIGKILL to random processes under YCSB-A: is anything lost?
`,
    )
    .action((name: (typeof NAMES)[number], flags: Flags) => experiment(name, flags));
}

async function experiment(name: (typeof NAMES)[number], flags: Flags): Promise<void> {
  const [{ EXPERIMENTS, hasBrokenPromise }, { describeConclusion, runExperiment }, { liveView, silentView }] =
    await Promise.all([
      import('../experiments/index.js'),
      import('../experiments/run-experiment.js'),
      import('../run/live.js'),
    ]);
  const chosen = EXPERIMENTS.find((one) => one.name === name) as (typeof EXPERIMENTS)[number];
  const { clients, repeats, kills, seed, quick, out, figures } = flags;
  const view = flags.json ? silentView() : liveView(process.stderr);
  const scale = { clients, repetitions: repeats, kills, seed, isQuick: quick, out, figures };
  const { bench, conclusion } = await untilInterrupted((abort) =>
    runExperiment(chosen, scale, { view, abort }),
  );
  if (conclusion !== null) {
    const { figures: _, ...told } = conclusion;
    process.stdout.write(flags.json ? `${JSON.stringify(told)}\n` : describeConclusion(conclusion));
  }
  if (!flags.json) for (const path of bench.paths) process.stdout.write(`${path}\n`);
  for (const fault of bench.faults) process.stderr.write(`fusee: ${fault}\n`);
  const isBroken = conclusion !== null && hasBrokenPromise(conclusion);
  process.exitCode = bench.faults.length > 0 ? 1 : bench.interrupted ? 130 : isBroken ? 1 : 0;
}
