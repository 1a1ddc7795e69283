/** `fusee drain`: moves the place of a living memory node to a spare. */
import { Command } from 'commander';
import { checkPoolName } from '../../fusee/client/limits.js';
import { drainNode } from '../../fusee/control/spare.js';
import { parseCount } from './parse.js';

/** Makes the command. */
export function drainCommand(): Command {
  return new Command('drain')
    .description(
      'move what a memory node holds to a spare (fusee node --spare), while clients run; its process ends',
    )
    .option('-p, --pool <name>', 'the pool', 'default')
    .requiredOption('-i, --id <n>', 'number of the node', parseCount('the node'))
    .option('--secret-file <path>', "the pool's secret")
    .action(async ({ pool, id, secretFile }: { pool: string; id: number; secretFile?: string }) => {
      checkPoolName(pool);
      await drainNode({ pool, secretFile }, id);
      process.stdout.write(`node ${id} of pool '${pool}' is another process now\n`);
    });
}
