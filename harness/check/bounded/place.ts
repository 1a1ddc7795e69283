/** What lies where on a memory node, for people. */
import {
  BUCKET_BYTES,
  CLIENTS_BASE,
  DIRECTORY_BASE,
  LINE_BYTES,
  type View,
} from '../../../fusee/layout/index.js';

/** The part of a node's memory that an offset lies in, and where in it. */
export function describePlace(view: View, mn: number, offset: number): string {
  const { geometry } = view;
  if (offset < CLIENTS_BASE) return `superblock + ${offset}`;
  if (offset < DIRECTORY_BASE) return `client table word ${(offset - CLIENTS_BASE) >>> 3}`;
  if (offset < geometry.indexBase) return `directory word ${(offset - DIRECTORY_BASE) >>> 3}`;
  if (offset < geometry.dataBase) return describeSlot(view, mn, offset - geometry.indexBase);
  return describeData(view, mn, offset);
}

function describeSlot(view: View, mn: number, slot: number): string {
  const { indexReplicas } = view.geometry.config;
  const within = slot % BUCKET_BYTES;
  const bucket = Math.floor(slot / BUCKET_BYTES);
  const what = within === 0 ? 'header' : `slot ${(within >>> 3) - 1}`;
  for (let r = 0; r < indexReplicas; r++)
    if (view.slotMn(slot, r) === mn) return `bucket ${bucket} ${what} (${replicaName(r)})`;
  return `bucket ${bucket} ${what} (no replica)`;
}

function describeData(view: View, mn: number, offset: number): string {
  const { geometry } = view;
  const { dataReplicas, regionBytes, blockBytes } = geometry.config;
  for (let region = 0; region < geometry.regions; region++) {
    for (let r = 0; r < dataReplicas; r++) {
      if (view.regionMn(region, r) !== mn) continue;
      const at = offset - view.dataOffset(region * regionBytes, r);
      if (at < -geometry.tableBytes || at >= regionBytes) continue;
      const where = `region ${region} (${replicaName(r)})`;
      if (at < 0) return `block table entry ${(at + geometry.tableBytes) >>> 3} of ${where}`;
      return `${describeBlock(view, at % blockBytes)} of block ${Math.floor(at / blockBytes)}, ${where}`;
    }
  }
  return `offset ${offset}`;
}

function describeBlock({ geometry }: View, at: number): string {
  if (at < LINE_BYTES) return `header + ${at}`;
  if (at < geometry.headsOffset) return `bitmap word ${(at - LINE_BYTES) >>> 3}`;
  if (at < geometry.cellsOffset) return `log head ${(at - geometry.headsOffset) >>> 4}`;
  const line = Math.floor(at / LINE_BYTES);
  return at % LINE_BYTES === 0 ? `line ${line}` : `line ${line} + ${at % LINE_BYTES}`;
}

const replicaName = (r: number): string => (r === 0 ? 'primary' : `backup ${r}`);
