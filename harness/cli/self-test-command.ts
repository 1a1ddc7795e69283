/** `fusee selftest`: how often the statistics behind results are right where the truth is known. */
import { Command } from 'commander';
import type { SelfTestRow } from '../../results/statistics/self-test.js';
import { parseCount } from './parse.js';

interface Flags {
  readonly trials: number;
  readonly seed: number;
  readonly json: boolean;
}

/** Makes the command. */
export function selfTestCommand(): Command {
  return new Command('selftest')
    .description(
      'try the statistics on made-up series whose truth is known, and print how often they are right',
    )
    .option(
      '--trials <n>',
      'series of the claims that need most; others take fewer',
      parseCount('trials'),
      10_000,
    )
    .option('--seed <n>', 'seed of the series', parseCount('the seed'), 1)
    .option('--json', 'one JSON object per claim and line on standard output, and nothing else', false)
    .action(async (flags: Flags) => run(flags));
}

async function run({ trials, seed, json }: Flags): Promise<void> {
  const { selfTest } = await import('../../results/statistics/self-test.js');
  const print = json ? (row: SelfTestRow) => JSON.stringify(row) : describe;
  const rows = selfTest({ trials, seed, onRow: (row) => process.stdout.write(`${print(row)}\n`) });
  const failed = rows.filter(({ holds }) => !holds).length;
  if (failed === 0) return;
  process.stderr.write(`fusee: ${failed} of ${rows.length} claims of the statistics do not hold\n`);
  process.exitCode = 1;
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`;

/** Printed as soon as it is known: the whole takes a minute or two. */
const describe = ({ subject, claim, asked, limit, rate, trials, holds }: SelfTestRow): string =>
  `${holds ? 'holds' : 'FAILS'}  ${percent(rate).padStart(7)}  ${`${asked} ${percent(limit)}`.padEnd(16)}` +
  `  of ${String(trials).padStart(6)}  ${subject}: ${claim}`;
