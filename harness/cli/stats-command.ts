/** `fusee stats`: what a pool's memory is used for, per node and size class. */
import { Command } from 'commander';
import { memoryStats } from '../../fusee/client/fsck.js';
import { askStatus } from '../../fusee/control/link.js';
import { hasMaster } from '../../fusee/control/session.js';
import { describeFinding, type PoolReport } from '../../fusee/fsck/index.js';
import type { MasterStatus } from '../../fusee/host/status.js';
import { CorruptionError } from '../../fusee/verbs/index.js';
import { type AccessFlags, accessOf, withAccess } from './access.js';
import { textOfDead } from './fsck-command.js';
import { percent, textTable } from './text-table.js';

interface Flags extends AccessFlags {
  json: boolean;
}

/** Clients told as text. */
const CLIENTS_TOLD = 32;

/** Makes the command. */
export function statsCommand(): Command {
  const statsOf = new Command('stats').description(
    'blocks, objects, fragmentation and load of a pool, per node and size class',
  );
  return withAccess(statsOf)
    .option('--json', 'print one JSON object', false)
    .addHelpText(
      'after',
      `
It reads block tables, free bitmaps, index words, and one word of the log entries of cells that none of them
speaks of; no objects. Per node and cell size, replicas included:

  live           cells whose object a slot names as a key's value
  tombstones     cells whose object a slot names as deleted
  awaiting       freed cells that their owner has still to take back, or whose grace is under way
  free           cells to be handed out again, and never used; \`fusee fsck\` tells them apart
  unnamed        cells that no slot names and no bit frees yet, with a log entry
  fragmentation  share of the blocks' bytes that no live object's cell takes

Of the index: load factor, splits, subtables by local depth. Of the clients: those at work, with the period
that each has announced; one whose period stands still holds up graces, and so reclaim and splits.

Of a pool in use the numbers are of no one moment. The index caches are their clients', and the pool has no
word for them: their hits are what clients tell the pool's master, four times a lease; those that have left
are counted on. Without a master nobody knows them all: \`fusee bench --json\` has those of its clients (\`cache\`
of each row), Client.stats() of the API those of one.

--json has all of it: config, index, clients, nodes, cache (hits, misses and bypassed look-ups) and spares
(processes that wait for a place); both are null without a master.
`,
    )
    .action(stats);
}

async function stats(flags: Flags): Promise<void> {
  const { json } = flags;
  const access = accessOf(flags);
  const report = await memoryStats(access);
  if (!report.isComplete) throw new CorruptionError(describeFinding(report.findings[0]));
  const status = (await hasMaster(access)) ? ((await askStatus(access)) as MasterStatus) : null;
  const told = { cache: status?.cache ?? null, spares: status?.spares ?? null };
  const text = json ? JSON.stringify(statsOf(report, told)) : formatStats(report, told);
  process.stdout.write(`${text}\n`);
}

/** What the master of a pool knows besides: look-ups of all clients, spares. null: the pool has no master. */
interface Told {
  readonly cache: MasterStatus['cache'] | null;
  readonly spares: number | null;
}

/** The counts of a report, without what only a walk over all bytes fills. */
export function statsOf({ config, index, clients, nodes }: PoolReport, { cache, spares }: Told): object {
  return {
    config,
    index,
    clients,
    nodes: nodes.map(({ node, nodeBytes, isDead, classes }) => ({ node, nodeBytes, isDead, classes })),
    cache,
    spares,
  };
}

/** The counts as text. */
export function formatStats(report: PoolReport, { cache, spares }: Told): string {
  const { index, clients, nodes } = report;
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
    `subtables: ${index.depths.map(({ depth, subtables }) => `${subtables} of depth ${depth}`).join(', ')}`,
    ...textOfClients(clients),
    ...textOfDead(report),
    ...(spares === null ? [] : [`spares that wait for a place: ${spares}`]),
    textOfCache(cache),
  ].join('\n');
}

/** The index caches of all clients as a line. */
function textOfCache(cache: MasterStatus['cache'] | null): string {
  if (cache === null) return 'cache hits: the pool has no master that would know them';
  const { hits, misses, bypassed } = cache;
  const lookups = hits + misses + bypassed;
  if (lookups === 0) return 'cache hits: no look-up has been told yet';
  return `cache hits: ${percent(hits / lookups)} of ${lookups} look-ups, ${misses} misses, ${bypassed} bypassed`;
}

/** Clients at work, as many as fit a screen. */
function textOfClients(clients: PoolReport['clients']): string[] {
  if (clients.length === 0) return ['no client is at work'];
  const rows = clients.slice(0, CLIENTS_TOLD).map(({ place, cid, period }) => [place, cid, period]);
  const more = clients.length - rows.length;
  return [
    `clients at work: ${clients.length}`,
    ...textTable([['place', 'client', 'period'], ...rows]),
    ...(more > 0 ? [`... and ${more} more; --json has all`] : []),
  ];
}
