/**
 * Walks a pool's memory: accounts for each byte, and says what does not add up.
 *
 * Rules of this folder:
 * - It only READs. Whatever a fabric reaches can be checked, and nothing is made worse.
 * - It goes by the view: nodes that are dead have nothing, and what is left of them is held to the rest.
 * - It goes by the primaries, and holds replicas to them.
 * - The pool is quiet. Of one in use it takes requests in flight for things that do not add up.
 * - It holds a few MiB, whatever the pool's size: data is read in pieces, and what slots name is noted for a
 *   stretch of it at a time.
 */
import type { Op } from '../verbs/index.js';
import { walkBlocks } from './block-walk.js';
import { walkClients } from './clients-walk.js';
import { walkDirectory } from './directory-walk.js';
import { nameStretch, walkIndex } from './index-walk.js';
import { walkLogs } from './log-lists.js';
import { walkOutside } from './outside.js';
import type { PoolReport } from './report.js';
import { walkSuperblocks } from './superblocks.js';
import { Walk, type WalkOptions } from './walk.js';

/**
 * Walks all nodes of a quiet pool. A round trip for each piece that is read.
 * @throws FabricError when a node is silent.
 */
export function* checkPool(options: WalkOptions): Op<PoolReport> {
  const walk = new Walk(options);
  const isSound = (yield* walkSuperblocks(walk)) && (yield* walkDirectory(walk));
  if (isSound) {
    yield* walkClients(walk);
    yield* walkIndex(walk);
    if (walk.readsBytes) yield* walkLogs(walk);
    const { stretchBytes, dataBytes } = walk;
    for (let first = 0; first < dataBytes; first += stretchBytes) {
      const end = Math.min(dataBytes, first + stretchBytes);
      yield* nameStretch(walk, first, end);
      yield* walkBlocks(walk, first, end);
    }
    if (walk.readsBytes) {
      yield* walkOutside(walk);
      checkSums(walk);
    }
  }
  return reportOf(walk, isSound);
}

/** A byte that was counted twice, or never, would be a mistake of the walk or of the layout. */
function checkSums({ accounts, geometry, findings, view }: Walk): void {
  accounts.forEach(({ sum }, mn) => {
    if (sum === geometry.nodeBytes || view.isDead(mn)) return;
    const message = `${sum} bytes are accounted for, the node has ${geometry.nodeBytes}`;
    findings.add('accounting', mn, 'offset 0', message);
  });
}

function reportOf(walk: Walk, isComplete: boolean): PoolReport {
  const { geometry, accounts, findings, readsBytes } = walk;
  const { config, nodeBytes } = geometry;
  return {
    config,
    isComplete,
    clients: walk.clients,
    index: indexOf(walk),
    nodes: accounts.map((account, node) => ({
      node,
      nodeBytes,
      isDead: walk.view.isDead(node),
      bytes: readsBytes && isComplete && !walk.view.isDead(node) ? account.bytes : null,
      classes: account.classes(config.blockBytes),
    })),
    findings: findings.kept,
    findingCount: findings.count,
    findingsByKind: findings.byKind,
  };
}

function indexOf({ geometry, directory, index }: Walk): PoolReport['index'] {
  const subtables = directory.subtableCount;
  const slots = subtables * geometry.subtableSlots;
  const counts = new Map<number, number>();
  for (const s of directory.subtables())
    counts.set(directory.depthOf(s), (counts.get(directory.depthOf(s)) ?? 0) + 1);
  return {
    slots,
    ...index,
    loadFactor: index.live / slots,
    subtables,
    depths: [...counts]
      .map(([depth, count]) => ({ depth, subtables: count }))
      .sort((a, b) => a.depth - b.depth),
    splits: subtables - geometry.config.subtables,
  };
}
