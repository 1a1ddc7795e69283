#!/usr/bin/env node
/** The `fusee` command. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
import { Command, CommanderError } from 'commander';
import { FuseeError, UsageError } from '../../fusee/verbs/index.js';
import { benchCommand } from './bench-command.js';
import { kvCommand } from './kv-command.js';
import { nodeCommand } from './node-command.js';

async function main(): Promise<void> {
  const program = new Command('fusee')
    .description('FUSEE, a key-value store on fully disaggregated memory, and its benchmark harness')
    .version('0.1.0')
    .showSuggestionAfterError()
    .exitOverride();
  program.addCommand(benchCommand());
  program.addCommand(kvCommand());
  program.addCommand(nodeCommand());
  for (const command of program.commands) {
    command.exitOverride();
    for (const sub of command.commands) sub.exitOverride();
  }
  await program.parseAsync();
}

main().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; help and version are no errors.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    return;
  }
  const usage = error instanceof UsageError;
  const expected = error instanceof FuseeError;
  process.stderr.write(
    `fusee: ${expected ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exitCode = usage ? 2 : 1;
});
