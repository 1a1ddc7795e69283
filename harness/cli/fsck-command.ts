/** `fusee fsck`: accounts for every byte of a pool's memory, and says what does not add up. */
import { Command } from 'commander';
import { fsck } from '../../fusee/client/fsck.js';
import { CATEGORIES, describeFinding, type PoolReport } from '../../fusee/fsck/index.js';
import { type AccessFlags, accessOf, withAccess } from './access.js';
import { textTable } from './text-table.js';

interface Flags extends AccessFlags {
  json: boolean;
}

/** Findings printed as text; `--json` has up to a thousand. */
const FINDINGS_TOLD = 20;
/** Shortest time between two changes of the progress line. */
const PROGRESS_MS = 100;

const QUIET =
  'Run it on a quiet pool: of one in use, whose clients write meanwhile, it takes requests in flight for\n' +
  'things that do not add up.';

const HELP = `Cells that no slot names are 'garbage' (a client at work or a log list has them in hand), 'unfreed'
(nobody has), 'awaiting' (freed, not taken back yet), 'free' or 'fresh' (never used). Unfreed ones are no
finding.`;
const UNFREED = 'left by clients that were killed, or gave up on a silent node';

/** Makes the command. */
export function fsckCommand(): Command {
  const fsckOf = new Command('fsck').description(
    "account for every byte of a pool's memory, and say what does not add up",
  );
  return withAccess(fsckOf)
    .option('--json', 'print one JSON object', false)
    .addHelpText(
      'after',
      `\nIt only reads. ${QUIET}\n\n${HELP}\n\nExit status: 0 clean, 1 findings, 2 wrong usage.\n`,
    )
    .action(check);
}

async function check(flags: Flags): Promise<void> {
  const { json } = flags;
  const isLive = process.stderr.isTTY && !json;
  let shownMs = 0;
  const onProgress = (doneBytes: number, totalBytes: number): void => {
    if (!isLive || performance.now() - shownMs < PROGRESS_MS) return;
    shownMs = performance.now();
    process.stderr.write(`\r${Math.floor((100 * doneBytes) / totalBytes)} % of ${totalBytes} bytes`);
  };
  let report: PoolReport;
  try {
    report = await fsck({ ...accessOf(flags), onProgress });
  } finally {
    // The line goes, and what follows begins where it stood.
    if (isLive) process.stderr.write('\r\x1b[K');
  }
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${formatFsck(report)}\n`);
  if (report.findingCount > 0) process.exitCode = 1;
}

/** The report as text: bytes per node and category, then findings, then a verdict. */
export function formatFsck(report: PoolReport): string {
  const { findings, findingCount, findingsByKind, isComplete } = report;
  const lines = isComplete
    ? byteTable(report)
    : ['superblocks or the directory are wrong, and nothing else was looked at'];
  lines.push(...textOfDead(report));
  if (report.clients.length > 0) lines.push(`clients at work: ${report.clients.length}. ${QUIET}`);
  const unfreed = report.nodes.reduce((sum, { bytes }) => sum + (bytes?.unfreed ?? 0), 0);
  if (unfreed > 0) lines.push(`${unfreed} bytes in cells that nobody at work will free: ${UNFREED}`);
  for (const finding of findings.slice(0, FINDINGS_TOLD)) lines.push(describeFinding(finding));
  if (findingCount > FINDINGS_TOLD) {
    const kinds = Object.entries(findingsByKind).map(([kind, count]) => `${count} ${kind}`);
    lines.push(`... and ${findingCount - FINDINGS_TOLD} more; in all ${kinds.join(', ')}`);
  }
  if (findingCount === 0) lines.push('clean: every byte is accounted for');
  else lines.push(`${findingCount} finding${findingCount === 1 ? '' : 's'}. ${QUIET}`);
  return lines.join('\n');
}

/** A line per node, a column per category that any node has bytes of. */
function byteTable({ nodes }: PoolReport): string[] {
  const shown = CATEGORIES.filter((category) => nodes.some(({ bytes }) => (bytes?.[category] ?? 0) > 0));
  const alive = nodes.filter(({ isDead }) => !isDead);
  const rows = alive.map(({ node, nodeBytes, bytes }) => [
    node,
    nodeBytes,
    ...shown.map((category) => bytes?.[category] ?? 0),
  ]);
  return textTable([['node', 'bytes', ...shown], ...rows]);
}

/** A line when nodes are dead. */
export function textOfDead({ nodes }: PoolReport): string[] {
  const dead = nodes.filter(({ isDead }) => isDead).map(({ node }) => node);
  if (dead.length === 0) return [];
  return [`without node ${dead.join(', ')}: dead by the pool's master`];
}
