/**
 * `npm run test:endurance` and `npm run test:growth`. Exit status: 0 all holds, 1 something does not, 2
 * wrong usage, 130 interrupted.
 */
import { Command, CommanderError } from 'commander';
import { UsageError } from '../../fusee/verbs/index.js';
import { explain } from '../cli/explain.js';
import { parseBytes, parseCount } from '../cli/parse.js';
import { endure } from './endure.js';
import { grow, SEARCH_FACTOR_MOST, SPLIT_LOAD_LEAST } from './grow.js';
import type { CheckHooks } from './party.js';
import { ENDURANCE_LOADS, type EnduranceLoad } from './plan.js';
import { THROUGHPUT_LEAST } from './summary.js';
import { enduranceTable, growthTable } from './tables.js';

/** A closed terminal ends a check as Ctrl-C does. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Time between two lines about the progress. */
const SAY_MS = 2000;
/**
 * Far above the store's own second: beside other jobs a process may not run for longer than that, and what
 * waits for it would be taken for lost.
 */
const DEADLINE_NS = 30e9;

interface Common {
  clients: number;
  coroutines: number;
  nodes: number;
  replicas: number;
  seed: number;
  json: boolean;
  strict: boolean;
}

/** How a check of one kind went, of one of its settings. */
interface Outcome<R> {
  readonly result: R;
  readonly failures: readonly string[];
  /** False: a figure was missed, which counts under --strict alone. */
  readonly isGood: boolean;
}

const abort = new AbortController();

function say(text: string): void {
  const now = performance.now();
  if (now < lastMs + SAY_MS) return;
  lastMs = now;
  process.stderr.write(`${text}\n`);
}
let lastMs = Number.NEGATIVE_INFINITY;

/** Runs a check for each of its settings, printing results as they come. */
async function runAll<S, R>(
  settings: readonly S[],
  flags: Common,
  how: { run: (setting: S, hooks: CheckHooks) => Promise<Outcome<R>>; table: (results: R[]) => string[] },
): Promise<void> {
  const outcomes: Outcome<R>[] = [];
  for (const setting of settings) {
    const outcome = await how.run(setting, { abort: abort.signal, say });
    outcomes.push(outcome);
    if (flags.json) process.stdout.write(`${JSON.stringify(outcome.result)}\n`);
    for (const failure of outcome.failures) process.stderr.write(`failed: ${failure}\n`);
  }
  if (!flags.json) process.stdout.write(`${how.table(outcomes.map(({ result }) => result)).join('\n')}\n`);
  const holds = outcomes.every((o) => o.failures.length === 0 && (o.isGood || !flags.strict));
  process.exitCode = holds ? 0 : 1;
}

function common(command: Command): Command {
  return command
    .option('-c, --clients <n>', 'client processes that write', parseCount('clients'), 2)
    .option('--coroutines <n>', 'requests in flight per client', parseCount('coroutines'), 8)
    .option('-n, --nodes <n>', 'memory nodes', parseCount('nodes'), 2)
    .option('-r, --replicas <n>', 'replicas of index and data', parseCount('replicas'), 2)
    .option('--seed <n>', 'seed of the requests', parseCount('the seed'), 1)
    .option('--json', 'one JSON object per row on standard output, and nothing else', false)
    .option('--strict', 'exit with 1 also when a figure is missed, not only when something is wrong', false);
}

function enduranceCommand(): Command {
  return common(new Command('endurance'))
    .description('write many times its size to a pool, whose memory must stay flat and whole')
    .option(
      '-l, --load <names>',
      `comma-separated: ${ENDURANCE_LOADS.join(', ')}`,
      'update-zipfian,update-uniform,churn,churn-shift',
    )
    .option(
      '--data <bytes>',
      "the pool's data, each byte once; a power of two",
      parseBytes('the data'),
      64 << 20,
    )
    .option(
      '--slack <n>',
      'times that the pool is larger than its live data (default: 1.8; 3 for churn-shift)',
      parseSlack,
    )
    .option('--times <n>', "how many times the pool's data size is written", parseCount('times'), 50)
    .action(async (flags: Common & { load: string; data: number; slack?: number; times: number }) => {
      const names = flags.load.split(',');
      for (const name of names) requireLoad(name);
      await runAll(names as EnduranceLoad[], flags, {
        run: async (load, hooks) => {
          const { data: dataBytes } = flags;
          const slack = flags.slack ?? slackOf(load);
          const result = await endure({ ...flags, slack, load, dataBytes, deadlineNs: DEADLINE_NS }, hooks);
          const isGood = result.throughput.ratio >= THROUGHPUT_LEAST;
          return { result, failures: result.failures, isGood };
        },
        table: enduranceTable,
      });
    });
}

/**
 * Objects are never moved: while sizes change, blocks of old classes run empty one object after the other,
 * and the new objects need blocks meanwhile.
 */
const slackOf = (load: EnduranceLoad): number => (load === 'churn-shift' ? 3 : 1.8);

/** @throws UsageError for a pool that is smaller than its data, or no number. */
function parseSlack(text: string): number {
  const slack = Number(text);
  if (slack >= 1.1 && slack <= 100) return slack;
  throw new UsageError(`the slack is ${text}; choose a number from 1.1 to 100`);
}

function requireLoad(name: string): void {
  if ((ENDURANCE_LOADS as readonly string[]).includes(name)) return;
  throw new UsageError(`load '${name}' is unknown; choose from ${ENDURANCE_LOADS.join(', ')}`);
}

function growthCommand(): Command {
  return common(new Command('growth'))
    .description('insert keys into an index of one subtable, while a client looks for them')
    .option('--keys <n>', 'keys of all clients together', parseCount('keys'), 10_000_000)
    .option('--groups <list>', 'groups of a subtable, comma-separated: a run for each', '1024')
    .action(async (flags: Common & { keys: number; groups: string }) => {
      await runAll(flags.groups.split(',').map(parseCount('groups')), flags, {
        run: async (groups, hooks) => {
          const result = await grow({ ...flags, groups, deadlineNs: DEADLINE_NS }, hooks);
          const { load, searchFactor, failures } = result;
          const isGood =
            load.mean > SPLIT_LOAD_LEAST && searchFactor !== null && searchFactor <= SEARCH_FACTOR_MOST;
          return { result, failures, isGood };
        },
        table: growthTable,
      });
    });
}

for (const signal of SIGNALS) {
  process.on(signal, () => {
    // The processes of the check end with this one: they lose their channel.
    if (abort.signal.aborted) process.exit(130);
    process.stderr.write('\ninterrupted: ending\n');
    abort.abort(new Error('interrupted'));
  });
}

const program = new Command('endurance').addCommand(enduranceCommand()).addCommand(growthCommand());
for (const command of [program, ...program.commands]) command.exitOverride();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (abort.signal.aborted && error === abort.signal.reason) {
    process.exitCode = 130;
  } else {
    const { text, status } = explain(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = status;
  }
}
