/** What must hold of the directory, and of bucket headers, when nothing moves any more. */
import { Directory } from '../../fusee/index/index.js';
import { DIRECTORY_VERSION_OFFSET, directoryOffset } from '../../fusee/layout/index.js';
import { type Word, word } from '../../fusee/verbs/index.js';
import type { Quiet } from './invariants.js';

/** Replicas agree, the entries describe an index, and nobody is splitting. Gives the directory. */
export function checkDirectory({ nodes, view, fail }: Pick<Quiet, 'nodes' | 'view' | 'fail'>): Directory {
  const { subtables, subtablesMax } = view.geometry.config;
  const directory = new Directory(subtables);
  const entries = new Uint32Array(2 * subtablesMax);
  const load = (r: number, offset: number): Word => nodes.load(view.directoryMn(r), offset, word());
  for (let s = 0; s < subtablesMax; s++) {
    const { lo, hi } = load(0, directoryOffset(s));
    entries.set([lo, hi], 2 * s);
    for (let r = 1; r < view.directoryCount; r++) {
      const other = load(r, directoryOffset(s));
      if (other.lo !== lo || other.hi !== hi)
        fail('directory', `the entry of subtable ${s} differs on replica ${r}`);
    }
    if (hi !== 0) fail('directory', `client ${hi} still splits subtable ${s}`);
  }
  const { lo: version, hi: depth } = load(0, DIRECTORY_VERSION_OFFSET);
  if (2 ** depth > subtablesMax || !directory.load(version, depth, entries))
    fail('directory', `its global depth is ${depth}, and its entries leave keys without a subtable`);
  return directory;
}

/** The header of the bucket at `slot` is that of its subtable, on all replicas. */
export function checkHeader(
  { nodes, view, fail }: Pick<Quiet, 'nodes' | 'view' | 'fail'>,
  slot: number,
  { subtable, depth }: { subtable: number; depth: number },
): void {
  for (let r = 0; r < view.slotCount(slot); r++) {
    const { lo, hi } = nodes.load(view.slotMn(slot, r), view.slotOffset(slot), word());
    if (lo !== depth || hi !== subtable)
      fail('directory', `bucket ${slot} says depth ${lo}, subtable ${hi} on replica ${r}`);
  }
}
