/** Bytes that the layout gives no meaning on a node: between its parts, and of subtables that others hold. */
import {
  CLIENTS_BASE,
  CLIENTS_MAX,
  DIRECTORY_BASE,
  MAX_REPLICAS,
  SUPERBLOCK_BYTES,
  type View,
} from '../layout/index.js';
import { type Op, replicaRef } from '../verbs/index.js';
import type { Walk } from './walk.js';

interface Range {
  readonly from: number;
  readonly end: number;
}

/** Nobody has written there, on any node. */
export function* walkOutside(walk: Walk): Op<void> {
  const { nodeBytes, config } = walk.geometry;
  for (let mn = 0; mn < config.nodes; mn++) {
    if (walk.view.isDead(mn)) continue;
    let end = 0;
    for (const range of [...rangesOf(walk.view, mn), { from: nodeBytes, end: nodeBytes }]) {
      const bytes = range.from - end;
      if (bytes > 0) {
        walk.accounts[mn].bytes.outside += bytes;
        yield* walk.requireZero(mn, { from: end, bytes }, 'what lies outside every part of the layout');
      }
      end = Math.max(end, range.end);
    }
  }
}

/** What has a meaning on a node, ascending. */
function rangesOf(view: View, mn: number): Range[] {
  const { geometry } = view;
  const { subtablesMax, regionBytes } = geometry.config;
  const ranges: Range[] = [{ from: 0, end: SUPERBLOCK_BYTES }];
  const to = replicaRef(MAX_REPLICAS);
  const add = (from: number, bytes: number): void => void ranges.push({ from, end: from + bytes });
  if (mn === view.controlMn) add(CLIENTS_BASE, CLIENTS_MAX * 8);
  for (let r = 0; r < view.directoryCount; r++)
    if (view.directoryMn(r) === mn) add(DIRECTORY_BASE, geometry.directoryBytes);
  // Those that do not exist yet too: a split that was given up may have left something there.
  for (let s = 0; s < subtablesMax; s++) {
    view.slotReplicas(s * geometry.subtableBytes, to);
    for (let r = 0; r < to.count; r++) if (to.mn[r] === mn) add(to.offsetBytes[r], geometry.subtableBytes);
  }
  for (let region = 0; region < geometry.regions; region++) {
    view.dataReplicas(region * regionBytes, to);
    for (let r = 0; r < to.count; r++) {
      if (to.mn[r] !== mn) continue;
      add(view.tableOffset(region, r), geometry.tableBytes);
      add(to.offsetBytes[r], regionBytes);
    }
  }
  return ranges.sort((a, b) => a.from - b.from);
}
