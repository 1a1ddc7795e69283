/** What must hold of free bits when a scenario of reclaim has come to its end. */
import { BLOCK_HEADER_BYTES, BUCKET_BYTES, LINE_BYTES, ownerPointer } from '../../../fusee/layout/index.js';
import { word } from '../../../fusee/verbs/index.js';
import type { Keeper } from './reclaim-world.js';

/** No object that a slot names has a free bit. */
export function namedAndFree([{ pool }]: readonly Keeper[]): string | undefined {
  const { view, nodes, config } = pool;
  const w = word();
  const { subtableBytes } = view.geometry;
  for (let slot = 0; slot < subtableBytes; slot += 8) {
    if (slot % BUCKET_BYTES === 0) continue;
    const pointer = ownerPointer(nodes.load(view.slotMn(slot, 0), view.slotOffset(slot), w));
    // The words that fill slots name nothing.
    if (pointer === 0 || pointer >= 2 ** 24) continue;
    const block = pointer - (pointer % config.blockBytes);
    const line = (pointer - block) / LINE_BYTES;
    nodes.load(view.dataMn(block, 0), view.dataOffset(block + BLOCK_HEADER_BYTES + 8 * (line >>> 6), 0), w);
    const bits = (line & 32) === 0 ? w.lo : w.hi;
    if (((bits >>> (line & 31)) & 1) === 1) return `the object at ${pointer} is named and free`;
  }
  return undefined;
}

/**
 * So many cells of client 1's first block were freed: each was taken back, or has its bit on all replicas.
 */
export function lostFrees(freed: number): (keepers: readonly Keeper[]) => string | undefined {
  return ([{ pool, reclaim }]: readonly Keeper[]): string | undefined => {
    const { view, nodes, config } = pool;
    const [{ pointer }] = pool.blocksOf(1);
    const w = word();
    for (let r = 0; r < config.dataReplicas; r++) {
      nodes.load(view.dataMn(pointer, r), view.dataOffset(pointer + BLOCK_HEADER_BYTES, r), w);
      let bits = 0;
      for (let left = w.lo; left !== 0; left &= left - 1) bits++;
      if (bits + reclaim.reclaimed !== freed) return `replica ${r} of the bitmap has lost a free`;
    }
    return undefined;
  };
}
