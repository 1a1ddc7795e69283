/** `fusee stats`: what a pool's memory is used for, per node and size class. */
import { Command } from 'commander';
import { memoryStats } from '../../fusee/client/fsck.js';
import { describeFinding, type PoolReport } from '../../fusee/fsck/index.js';
import { CorruptionError } from '../../fusee/verbs/index.js';
import { percent, textTable } from './text-table.js';

/** Makes the command. */
export function statsCommand(): Command {
  return new Command('stats')
    .description('blocks, objects, fragmentation and load of a pool, per node and size class')
    .option('-p, --pool <name>', 'the pool', 'default')
    .option('--json', 'print one JSON object', false)
    .addHelpText(
      'after',
      `
It reads block tables, free bitmaps and index words, and no objects. Cells that no slot names and no bit frees
are 'unnamed': garbage and never used, which \`fusee fsck\` tells apart. Of a pool in use the numbers are of
no one moment. Cache hits are counted by each client: Client.stats() of the API tells them.
`,
    )
    .action(async ({ pool, json }: { pool: string; json: boolean }) => {
      const report = await memoryStats({ pool });
      if (!report.isComplete) throw new CorruptionError(describeFinding(report.findings[0]));
      process.stdout.write(json ? `${JSON.stringify(statsOf(report))}\n` : `${formatStats(report)}\n`);
    });
}

/** The counts of a report, without what only a walk over all bytes fills. */
export function statsOf({ config, index, nodes }: PoolReport): object {
  return {
    config,
    index,
    nodes: nodes.map(({ node, nodeBytes, classes }) => ({ node, nodeBytes, classes })),
    // Caches are their clients', and this is none.
    cache: null,
  };
}

/** The counts as text. */
export function formatStats({ index, nodes }: PoolReport): string {
  const head = [
    'node',
    'cell',
    'blocks',
    'live',
    'tombstones',
    'awaiting',
    'free',
    'unnamed',
    'fragmentation',
  ];
  const rows = nodes.flatMap(({ node, classes }) =>
    classes.map((c) => [
      node,
      c.cellBytes,
      c.blocks,
      c.live,
      c.tombstones,
      c.awaiting,
      c.free,
      c.unnamed,
      percent(c.fragmentation),
    ]),
  );
  return [
    ...(rows.length === 0 ? ['no block has been handed out'] : textTable([head, ...rows])),
    `index: ${index.live} keys and ${index.tombstones} tombstones in ${index.slots} slots, ` +
      `load factor ${percent(index.loadFactor)}, ${index.splits} splits`,
    'cache hits: counted by each client',
  ].join('\n');
}
