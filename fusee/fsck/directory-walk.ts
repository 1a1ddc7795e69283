/** The directory: replicas agree, it describes an index, and nobody is splitting. */
import { DIRECTORY_BASE, DIRECTORY_VERSION_OFFSET, directoryOffset, entryDepth } from '../layout/index.js';
import type { Op } from '../verbs/index.js';
import { CHUNK_BYTES } from './reader.js';
import type { Walk } from './walk.js';

/** Entries read at once from each replica. */
const ENTRIES = CHUNK_BYTES / 8;

/** Reads it, and counts its bytes; false when it describes no index: what is where cannot be told then. */
export function* walkDirectory(walk: Walk): Op<boolean> {
  const { reader, view, geometry, accounts, readsBytes, findings } = walk;
  const { subtables, subtablesMax } = geometry.config;
  const primary = view.directoryMn(0);
  const at = reader.begin().read(primary, DIRECTORY_VERSION_OFFSET, 8);
  yield* reader.run();
  const [version, depth] = reader.local.words.subarray(at >>> 2, (at >>> 2) + 2);
  const entries = new Uint32Array(2 * subtablesMax);
  for (let first = 0; first < subtablesMax; first += ENTRIES) yield* readEntries(walk, first, entries);
  if (readsBytes) {
    for (let r = 0; r < view.directoryCount; r++) {
      const mn = view.directoryMn(r);
      const used = 8 + 8 * subtablesMax;
      accounts[mn].bytes.directory += geometry.directoryBytes;
      walk.progress(used);
      const rest = { from: DIRECTORY_BASE + used, bytes: geometry.directoryBytes - used };
      yield* walk.requireZero(mn, rest, 'the end of the directory');
    }
  }
  const isLegal = 2 ** depth >= subtables && 2 ** depth <= subtablesMax;
  const isSound = isLegal && walk.directory.load(version, depth, entries);
  if (!isSound) {
    const message = `its global depth is ${depth}, and its entries leave keys without a subtable`;
    findings.add('directory', primary, `offset ${DIRECTORY_BASE}`, message);
  } else if (readsBytes) checkEntries(walk, entries);
  return isSound;
}

/** Reads the primary's entries from `first` on; replicas agree, or a finding says where not. */
function* readEntries(walk: Walk, first: number, into: Uint32Array): Op<void> {
  const { reader, view, geometry, readsBytes, findings } = walk;
  const { words } = reader.local;
  const { subtablesMax } = geometry.config;
  const count = Math.min(ENTRIES, subtablesMax - first);
  reader.begin();
  const at = Array.from({ length: readsBytes ? view.directoryCount : 1 }, (_, r) =>
    reader.read(view.directoryMn(r), directoryOffset(first), count * 8),
  );
  yield* reader.run();
  into.set(words.subarray(at[0] >>> 2, (at[0] >>> 2) + 2 * count), 2 * first);
  for (let r = 1; r < at.length; r++) {
    for (let s = 0; s < count; s++) {
      const [mine, its] = [(at[r] >>> 2) + 2 * s, (at[0] >>> 2) + 2 * s];
      if (words[mine] === words[its] && words[mine + 1] === words[its + 1]) continue;
      const tell = (w: number): string => `{${words[w]}, ${words[w + 1]}}`;
      const message = `its entry is ${tell(mine)} on replica ${r}, ${tell(its)} on the primary`;
      findings.add('directory', view.directoryMn(r), `subtable ${first + s}`, message);
    }
  }
}

/** Entries beyond the global depth are blank, and no lock rests. */
function checkEntries({ directory, findings, view }: Walk, entries: Uint32Array): void {
  const fail = (s: number, message: string): void =>
    findings.add('directory', view.directoryMn(0), `subtable ${s}`, message);
  for (let s = 0; s < entries.length / 2; s++) {
    const [lo, hi] = [entries[2 * s], entries[2 * s + 1]];
    if (s > directory.mask && (lo !== 0 || hi !== 0)) {
      fail(s, `its entry is {${lo}, ${hi}}, but the global depth is ${directory.globalDepth}`);
    } else if (hi !== 0 || directory.isUnsettled(s)) {
      fail(s, `client ${hi} is splitting it, at depth ${entryDepth(lo)}`);
    }
  }
}
