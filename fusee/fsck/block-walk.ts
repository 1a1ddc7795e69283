/** Block tables, and the blocks that they give to clients or to nobody. */
import { BLOCK_ENTRY_BYTES } from '../layout/index.js';
import { formatWord, type Op, word } from '../verbs/index.js';
import { type Owner, ownerOf, tableEntryOf } from './cells.js';
import { OwnedBlock } from './owned-block.js';
import type { Walk } from './walk.js';

/** Entries read at once from each replica of a table. */
const ENTRIES = 4096;

/** Checks and counts the blocks from `first` to below `end`: of the stretch that is named now. */
export function* walkBlocks(walk: Walk, first: number, end: number): Op<void> {
  const { blockBytes, regionBytes } = walk.geometry.config;
  const owned = new OwnedBlock(walk);
  for (let block = first; block < end; ) {
    if (block % regionBytes === 0 && walk.readsBytes) yield* walkTableEnd(walk, block);
    const regionEnd = block - (block % regionBytes) + regionBytes;
    const count = Math.min(ENTRIES, (Math.min(end, regionEnd) - block) / blockBytes);
    const owners = yield* readOwners(walk, block, count);
    for (let i = 0; i < count; i++, block += blockBytes) {
      const owner = owners[i];
      if (owner) yield* owned.walk(block, owner);
      else if (walk.readsBytes) yield* walkUnowned(walk, block, owner);
    }
  }
}

/** Who owns the blocks from `block` on; replicas of the table agree, or a finding says where not. */
function* readOwners(walk: Walk, block: number, count: number): Op<(Owner | null | undefined)[]> {
  const { reader, view, geometry, readsBytes, findings, accounts } = walk;
  const { words } = reader.local;
  const { region, offset } = tableEntryOf(geometry, block);
  const to = walk.dataReplicas(block);
  reader.begin();
  const at = Array.from({ length: to.count }, (_, r) =>
    reader.read(to.mn[r], view.tableOffset(region, r) + offset, count * BLOCK_ENTRY_BYTES),
  );
  yield* reader.run();
  const entry = (r: number, i: number) =>
    word(words[(at[r] >>> 2) + 2 * i + 1], words[(at[r] >>> 2) + 2 * i]);
  for (let r = 0; readsBytes && r < to.count; r++) {
    accounts[to.mn[r]].bytes.table += count * BLOCK_ENTRY_BYTES;
    walk.progress(count * BLOCK_ENTRY_BYTES);
    if (reader.same(at[0], at[r], count * BLOCK_ENTRY_BYTES)) continue;
    for (let i = 0; i < count; i++) {
      const [mine, primary] = [entry(r, i), entry(0, i)];
      if (mine.lo === primary.lo && mine.hi === primary.hi) continue;
      const where = `block ${block + i * geometry.config.blockBytes}`;
      const message = `its entry is ${describe(mine)} on replica ${r}, ${describe(primary)} on the primary`;
      findings.add('table-replicas', to.mn[r], where, message);
    }
  }
  return Array.from({ length: count }, (_, i) => {
    const owner = ownerOf(geometry, entry(0, i));
    if (owner === undefined && readsBytes) {
      const message = `its entry is ${formatWord(entry(0, i))}; no client and size class make that`;
      findings.add('table-entry', to.mn[0], `block ${block + i * geometry.config.blockBytes}`, message);
    }
    return owner;
  });
}

const describe = ({ lo, hi }: { lo: number; hi: number }): string =>
  lo === 0 && hi === 0 ? 'free' : `client ${lo}, class ${hi - 1}`;

/** A block of nobody is as it was formatted; of one whose owner cannot be told nothing more can be said. */
function* walkUnowned(walk: Walk, block: number, owner: null | undefined): Op<void> {
  const { blockBytes } = walk.geometry.config;
  const { count, mn, offsetBytes } = copyOf(walk.dataReplicas(block));
  for (let r = 0; r < count; r++) {
    walk.accounts[mn[r]].bytes[owner === null ? 'unassigned' : 'unknown'] += blockBytes;
    if (owner === undefined) walk.progress(blockBytes);
    else
      yield* walk.requireZero(mn[r], { from: offsetBytes[r], bytes: blockBytes }, `block ${block} of nobody`);
  }
}

/** Tables are whole lines: what is behind the last entry. */
function* walkTableEnd(walk: Walk, regionStart: number): Op<void> {
  const { geometry, view } = walk;
  const used = geometry.blocksPerRegion * BLOCK_ENTRY_BYTES;
  const bytes = geometry.tableBytes - used;
  const { region } = tableEntryOf(geometry, regionStart);
  const { count, mn } = copyOf(walk.dataReplicas(regionStart));
  for (let r = 0; r < count; r++) {
    walk.accounts[mn[r]].bytes.table += bytes;
    const from = view.tableOffset(region, r) + used;
    yield* walk.requireZero(mn[r], { from, bytes }, `the end of region ${region}'s block table`);
  }
}

/** Replicas for longer than until the next are asked for. */
const copyOf = ({ count, mn, offsetBytes }: ReturnType<Walk['dataReplicas']>) => ({
  count,
  mn: mn.slice(),
  offsetBytes: offsetBytes.slice(),
});
