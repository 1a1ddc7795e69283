/**
 * The client's copy of the directory (`layout/directory.ts`): which subtable a hash belongs to, and whether
 * that may be written to. Pure: it is built from bytes that somebody has read.
 *
 * Entries may have been read at different times. What makes any mix of them usable is the order in which a
 * split changes them: first the lock, then the new half's entry, then the old half's depth. So a subtable is
 * never seen to have given up keys that no other one is seen to hold, unless an entry was missed; then the
 * mix is refused. A new half is seen before its old half's depth has grown, at worst, and counts as locked
 * then.
 */
import { entryDepth, entryOf, isUnsettled } from '../layout/index.js';
import { UsageError } from '../verbs/index.js';

/** Which subtables there are, as one client knows it; shared by its coroutines. */
export class Directory {
  /** The version of word 0 that was read ahead of the entries. */
  version = 0;
  globalDepth = 0;
  /** Number of suffixes, less one. */
  mask = 0;
  /** The subtable of each suffix of a hash. */
  subtableOf = new Uint16Array(1);
  /** By suffix: 1 while a split keeps writers out of the subtable. */
  lockedOf = new Uint8Array(1);
  /** Entry s as it was read: lo and hi. */
  #lo = new Uint32Array(1);
  #hi = new Uint32Array(1);

  /** As it is formatted: `subtables`, a power of two, all of one depth. */
  constructor(subtables: number) {
    const depth = Math.log2(subtables);
    if (!Number.isInteger(depth)) throw new UsageError(`${subtables} subtables: use a power of two`);
    const words = new Uint32Array(2 * subtables);
    for (let s = 0; s < subtables; s++) words[2 * s] = entryOf(depth);
    this.load(0, depth, words);
  }

  /**
   * Takes on what was read: word 0, then `words`, the entries of all suffixes of the global depth, lo and hi.
   * False when they fit no directory, because it changed between: it is what it was, and is to be read again.
   * An older version than this one's is passed over: two coroutines may read at a time, and requests may
   * count on what the other one has brought.
   */
  load(version: number, globalDepth: number, words: Uint32Array): boolean {
    if (((version - this.version) | 0) < 0) return true;
    const count = 2 ** globalDepth;
    const subtableOf = new Uint16Array(count);
    const lockedOf = new Uint8Array(count);
    const lo = new Uint32Array(count);
    const hi = new Uint32Array(count);
    for (let s = 0; s < count; s++) {
      lo[s] = words[2 * s];
      hi[s] = words[2 * s + 1];
      const own = lo[s] === 0 ? subtableOf[withoutTop(s)] : s;
      const depth = entryDepth(lo[own]);
      if (depth < 0 || depth > globalDepth || (s & (2 ** depth - 1)) !== own) return false;
      subtableOf[s] = own;
    }
    this.version = version;
    this.globalDepth = globalDepth;
    this.mask = count - 1;
    this.subtableOf = subtableOf;
    this.lockedOf = lockedOf;
    this.#lo = lo;
    this.#hi = hi;
    for (let s = 0; s < count; s++) lockedOf[s] = this.lockOf(subtableOf[s]) < 0 ? 0 : 1;
    return true;
  }

  /** Local depth of subtable `s`; -1 when there is none. */
  depthOf(s: number): number {
    return s < this.#lo.length ? entryDepth(this.#lo[s]) : -1;
  }

  /** CID of who holds the lock of subtable `s`'s own entry, or 0. */
  ownerOf(s: number): number {
    return s < this.#hi.length ? this.#hi[s] : 0;
  }

  /** The lo of subtable `s`'s entry, as it was read. */
  entryLo(s: number): number {
    return s < this.#lo.length ? this.#lo[s] : 0;
  }

  /** True while subtable `s` has given half of its keys away, and requests in flight may not know it. */
  isUnsettled(s: number): boolean {
    return s < this.#lo.length && isUnsettled(this.#lo[s]);
  }

  /**
   * The subtable whose lock keeps writers out of `s`: its own, or the one it has come from while their split
   * lasts; -1 when there is none.
   */
  lockOf(s: number): number {
    if (this.#hi[s] !== 0) return s;
    const depth = this.depthOf(s);
    const from = s - 2 ** (depth - 1);
    // Below the pool's first depth nothing has split; the subtable it would have come from is as deep then.
    if (depth < 1 || from < 0) return -1;
    const isPublishing = this.depthOf(from) === depth - 1;
    return isPublishing || (this.depthOf(from) === depth && this.isUnsettled(from)) ? from : -1;
  }

  /** The subtables that exist, ascending. */
  *subtables(): Generator<number> {
    for (let s = 0; s < this.#lo.length; s++) if (this.#lo[s] !== 0) yield s;
  }

  /** How many there are. */
  get subtableCount(): number {
    let count = 0;
    for (const lo of this.#lo) if (lo !== 0) count++;
    return count;
  }

  /** True when a bucket whose header is {depth, suffix} may hold a key of this hash. */
  static covers(headerDepth: number, headerSuffix: number, placeHash: number): boolean {
    return (placeHash & (2 ** (headerDepth & 31) - 1)) === headerSuffix;
  }
}

/** A suffix without its highest bit. */
const withoutTop = (s: number): number => (s === 0 ? 0 : s - (1 << (31 - Math.clz32(s))));
