/**
 * `npm run test:mutants`: does anything notice when the protocol is wrong? Exit status 1 when too little
 * does.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { UsageError } from '../../fusee/verbs/index.js';
import { packageRoot } from '../run/package-root.js';
import { seededFaults } from './faults.js';
import { allMutants, drawMutants } from './generate.js';
import { diffOf, type Mutant } from './mutant.js';
import { lineOf, summarize, tableOf } from './report.js';
import { runMutants, runUnmutated } from './runner.js';
import { Sandbox } from './sandbox.js';
import { endAll } from './stage.js';

/** The generator's seed that the table in the documentation was made with. */
const SEED_DEFAULT = 1;
const COUNT_DEFAULT = 20;

interface Flags {
  seed: number;
  count: number;
  jobs: number;
  only?: string[];
  faults: boolean;
  list: boolean;
  json: boolean;
}

const whole =
  (name: string) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0)
      throw new UsageError(`${name} is '${text}'; give a whole number from 0 on`);
    return value;
  };

const textOf = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');

function chosen(flags: Flags): Mutant[] {
  const seeded = seededFaults(textOf);
  const all = allMutants(packageRoot);
  if (flags.only === undefined)
    return [...(flags.faults ? seeded : []), ...drawMutants(all, flags.seed, flags.count)];
  const byId = new Map([...seeded, ...all].map((mutant) => [mutant.id, mutant]));
  return flags.only.map((id) => {
    const mutant = byId.get(id);
    if (mutant === undefined) throw new UsageError(`there is no mutant '${id}'; --list names them`);
    return mutant;
  });
}

async function run(flags: Flags): Promise<void> {
  const mutants = chosen(flags);
  if (flags.list) {
    for (const mutant of mutants) process.stdout.write(`${diffOf(textOf(mutant.file), mutant)}\n`);
    return;
  }
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const sandbox = new Sandbox(packageRoot, Math.max(1, Math.min(flags.jobs, mutants.length)));
  const stop = (): void => {
    endAll();
    sandbox.remove();
    process.exit(130);
  };
  // Not once: a second signal would end the process while it cleans up.
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    const usual = await runUnmutated(sandbox);
    if (typeof usual === 'string') throw new Error(`the product itself does not pass: ${usual}`);
    tell(`unmutated: ${[...usual].map(([name, s]) => `${name} ${s.toFixed(1)} s`).join(', ')}`);
    const verdicts = await runMutants(sandbox, mutants, {
      usual,
      onVerdict: (verdict) => tell(lineOf(verdict)),
    });
    const summary = summarize(verdicts);
    process.stdout.write(
      flags.json ? `${JSON.stringify({ summary, verdicts })}\n` : `${tableOf(verdicts, textOf)}\n`,
    );
    if (!summary.isGood) process.exitCode = 1;
  } finally {
    sandbox.remove();
  }
}

try {
  await new Command('test:mutants')
    .description('put faults into copies of the protocol and see whether scenarios and tests notice')
    .option('--seed <n>', 'what the generator draws', whole('the seed'), SEED_DEFAULT)
    .option('--count <n>', 'mutants that the generator draws', whole('the count'), COUNT_DEFAULT)
    .option('-j, --jobs <n>', 'mutants at once', whole('jobs'), availableParallelism())
    .option('--only <ids...>', 'these mutants and no others')
    .option('--no-faults', 'without the seeded faults')
    .option('--list', 'print the mutants, run nothing', false)
    .option('--json', 'print one JSON object', false)
    .action((flags: Flags) => run(flags))
    .parseAsync();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
