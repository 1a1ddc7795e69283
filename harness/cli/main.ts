#!/usr/bin/env node
/** The `fusee` command. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../run/package-root.js';
import { explain } from './explain.js';

/**
 * Every command, in the order of the help. Only what is asked for is loaded, which is most of what a short
 * command takes.
 */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  bench: async () => (await import('./bench-command.js')).benchCommand(),
  experiment: async () => (await import('./experiment-command.js')).experimentCommand(),
  kv: async () => (await import('./kv-command.js')).kvCommand(),
  node: async () => (await import('./node-command.js')).nodeCommand(),
  drain: async () => (await import('./drain-command.js')).drainCommand(),
  master: async () => (await import('./master-command.js')).masterCommand(),
  recover: async () => (await import('./master-command.js')).recoverCommand(),
  saturate: async () => (await import('./saturate-command.js')).saturateCommand(),
  results: async () => (await import('./results-command.js')).resultsCommand(),
  stats: async () => (await import('./stats-command.js')).statsCommand(),
  fsck: async () => (await import('./fsck-command.js')).fsckCommand(),
  fabric: async () => (await import('./fabric-command.js')).fabricCommand(),
  verify: async () => (await import('./verify-command.js')).verifyCommand(),
  selftest: async () => (await import('./self-test-command.js')).selfTestCommand(),
};

const EXAMPLES = `
Examples:
  fusee bench                                   YCSB A to D on a pool of its own, with figures
  fusee bench -w ycsb-a -r 3 -c 2 --json        one workload, three replicas, results as JSON
  fusee bench -w mix --search-ratio 0.7 --rtt 2us
  fusee experiment table1                       recovery of a client beside the paper's values
  fusee node --pool demo                        a memory node; ends with Ctrl-C
  fusee master --pool demo                      leases, dead nodes, recovery of dead clients
  fusee kv put user1 Ada --pool demo            requests to the pool that it makes
  fusee kv get user1 --pool demo
  fusee results list                            what has been measured so far
  fusee stats --pool demo                       blocks, objects and load, per node and size class
  fusee fsck --pool demo                        every byte accounted for, and what does not add up
`;

/** Lets no command end the process by itself, and every one suggest what may have been meant. */
function harmonise(command: Command): void {
  command.exitOverride().showSuggestionAfterError().showHelpAfterError('(--help lists what there is)');
  for (const sub of command.commands) harmonise(sub);
}

async function main(): Promise<void> {
  const program = new Command('fusee')
    .description('FUSEE, a key-value store on fully disaggregated memory, and its benchmark harness')
    .version(packageVersion)
    .addHelpText('after', EXAMPLES);
  const asked = process.argv[2] ?? '';
  // Help, and what may have been meant, need all of them.
  const makers = Object.hasOwn(COMMANDS, asked) ? [COMMANDS[asked]] : Object.values(COMMANDS);
  for (const command of await Promise.all(makers.map((make) => make()))) program.addCommand(command);
  harmonise(program);
  await program.parseAsync();
}

// Whoever reads our output may stop reading, as `| head` does: that is no failure, and nothing else is lost.
// Output that cannot be written is one; what runs ends in its own time.
let isOutputLost = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO' || isOutputLost) return;
    isOutputLost = true;
    process.stderr.write(`fusee: the output cannot be written (${error.message}): send it elsewhere\n`);
  });
}
process.on('exit', () => {
  if (isOutputLost && !process.exitCode) process.exitCode = 1;
});

main().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; help and version are no errors.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    return;
  }
  const { text, status } = explain(error);
  process.stderr.write(`fusee: ${text}\n`);
  process.exitCode = status;
});
