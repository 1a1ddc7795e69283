/** The index: replicas agree, bucket headers are the directory's, every word is of a kind that may rest. */
import { BUCKET_BYTES, isKv, isTomb, ownerPointer } from '../layout/index.js';
import { formatWord, isZero, type Op, sameWord, type Word, word } from '../verbs/index.js';
import { NamedAs } from './names.js';
import { CHUNK_BYTES } from './reader.js';
import { SlotObjects } from './slot-objects.js';
import type { Walk } from './walk.js';

/** Whole buckets. */
const STEP_BYTES = CHUNK_BYTES - (CHUNK_BYTES % BUCKET_BYTES);

/** Checks and counts all slots, and with a walk that reads bytes the objects that they name. */
export function* walkIndex(walk: Walk): Op<void> {
  const { geometry, accounts, readsBytes, directory } = walk;
  const { subtablesMax } = geometry.config;
  const objects = new SlotObjects(walk);
  for (let s = 0; s < subtablesMax; s++) {
    const slot = s * geometry.subtableBytes;
    const isThere = directory.depthOf(s) >= 0;
    for (let done = 0; isThere && done < geometry.subtableBytes; done += STEP_BYTES) {
      const bytes = Math.min(STEP_BYTES, geometry.subtableBytes - done);
      yield* walkBuckets(walk, objects, { subtable: s, from: slot + done, bytes });
    }
    const to = walk.indexReplicas(slot);
    for (let r = 0; r < to.count; r++)
      accounts[to.mn[r]].bytes[isThere ? 'index' : 'index-spare'] += geometry.subtableBytes;
    if (readsBytes) walk.progress(to.count * geometry.subtableBytes);
  }
}

/** Whole buckets of one subtable. */
interface Piece {
  readonly subtable: number;
  readonly from: number;
  readonly bytes: number;
}

function* walkBuckets(walk: Walk, objects: SlotObjects, piece: Piece): Op<void> {
  const { reader, readsBytes, index } = walk;
  const { words } = reader.local;
  const to = walk.indexReplicas(piece.from);
  const mns = Array.from(to.mn.subarray(0, to.count));
  reader.begin();
  const at = mns.map((mn, r) => reader.read(mn, to.offsetBytes[r], piece.bytes));
  yield* reader.run();
  for (let r = 0; readsBytes && r < mns.length; r++) {
    checkHeaders(walk, piece, { mn: mns[r], at: at[r] });
    if (!reader.same(at[0], at[r], piece.bytes))
      checkReplica(walk, piece, { mn: mns[r], at: at[r], r, primary: at[0] });
  }
  // Kept apart: looking at objects reads over the buckets.
  const used: { slot: number; w: Word }[] = [];
  for (let i = 0; i < piece.bytes; i += 8) {
    const w = word(words[((at[0] + i) >>> 2) + 1], words[(at[0] + i) >>> 2]);
    if (i % BUCKET_BYTES !== 0 && !isZero(w)) used.push({ slot: piece.from + i, w });
  }
  for (const { slot, w } of used) {
    if (isKv(w)) index.live++;
    else if (isTomb(w)) index.tombstones++;
    if (!readsBytes) continue;
    if (isKv(w) || isTomb(w)) yield* objects.add(slot, w);
    else {
      const message = `${formatWord(w)} is neither a KV nor a tombstone: an INSERT or a split has not ended`;
      walk.findings.add('slot-kind', mns[0], `slot ${slot}`, message);
    }
  }
  yield* objects.flush();
}

/** Slots of a replica that differ from the primary's. */
function checkReplica(
  walk: Walk,
  piece: Piece,
  { mn, at, r, primary }: { mn: number; at: number; r: number; primary: number },
): void {
  const { words } = walk.reader.local;
  const load = (from: number): Word => word(words[(from >>> 2) + 1], words[from >>> 2]);
  for (let i = 0; i < piece.bytes; i += 8) {
    const [mine, its] = [load(at + i), load(primary + i)];
    if (i % BUCKET_BYTES === 0 || sameWord(mine, its)) continue;
    const message = `${formatWord(mine)} on replica ${r}, ${formatWord(its)} on the primary`;
    walk.findings.add('slot-replicas', mn, `slot ${piece.from + i}`, message);
  }
}

function checkHeaders(walk: Walk, piece: Piece, { mn, at }: { mn: number; at: number }): void {
  const { words } = walk.reader.local;
  const depth = walk.directory.depthOf(piece.subtable);
  for (let i = 0; i < piece.bytes; i += BUCKET_BYTES) {
    const [lo, hi] = [words[(at + i) >>> 2], words[((at + i) >>> 2) + 1]];
    if (lo === depth && hi === piece.subtable) continue;
    const message = `depth ${lo}, subtable ${hi}; the directory says ${depth}, ${piece.subtable}`;
    walk.findings.add('bucket-header', mn, `slot ${piece.from + i}`, message);
  }
}

/** Notes what the slots, on their primaries, name in one stretch of the data. */
export function* nameStretch(walk: Walk, first: number, end: number): Op<void> {
  const { geometry, names, reader } = walk;
  const { words } = reader.local;
  names.begin(first, end);
  const w = word();
  for (const s of walk.directory.subtables()) {
    for (let done = 0; done < geometry.subtableBytes; done += STEP_BYTES) {
      const slot = s * geometry.subtableBytes + done;
      const bytes = Math.min(STEP_BYTES, geometry.subtableBytes - done);
      const to = walk.indexReplicas(slot);
      const mn = to.mn[0];
      const at = reader.begin().read(mn, to.offsetBytes[0], bytes);
      yield* reader.run();
      for (let i = 0; i < bytes; i += 8) {
        w.lo = words[(at + i) >>> 2];
        w.hi = words[((at + i) >>> 2) + 1];
        const as = isKv(w) ? NamedAs.LIVE : isTomb(w) ? NamedAs.TOMBSTONE : NamedAs.NOTHING;
        if (i % BUCKET_BYTES === 0 || as === NamedAs.NOTHING) continue;
        const pointer = ownerPointer(w);
        if (!names.covers(pointer) || names.mark(pointer, as) || !walk.readsBytes) continue;
        const message = `it names object ${pointer}, as another slot before it does`;
        walk.findings.add('named-twice', mn, `slot ${slot + i}`, message);
      }
    }
  }
}
