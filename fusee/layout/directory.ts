/**
 * The directory of the index (extendible hashing): which subtables there are, and who changes them.
 *
 *     word 0       lo  version: grows with every change of an entry      hi  global depth
 *     word 1 + s   lo  0: no such subtable, else 1 + its local depth,    hi  CID of who splits it, or 0
 *                      with UNSETTLED while a split's halves await grace,
 *                      and in the upper bits a stamp of the lock
 *
 * The number of a subtable is the suffix of the hashes that it holds: subtable s of local depth d holds the
 * keys whose hash ends in the low d bits of s. A split of s at depth d makes subtable s + 2^d. So no entry
 * needs a pointer, and aliases need no entries: looking a suffix up means dropping high bits until a subtable
 * is met.
 *
 * Replicated on the nodes of subtable 0. The lock is taken on the primary; under it entries change backups
 * first, then the primary; readers read the primary. Word 0 counts on the primary only: whoever makes a
 * backup the primary takes a version that no client has seen, and the greatest local depth.
 */
import { DIRECTORY_BASE } from './geometry.js';

/** Offset of the directory's word 0 {version, global depth} on its nodes. */
export const DIRECTORY_VERSION_OFFSET: number = DIRECTORY_BASE;

/** Offset of subtable `s`'s entry on the directory's nodes. */
export const directoryOffset = (s: number): number => DIRECTORY_BASE + 8 + 8 * s;

/**
 * Bit of an entry's lo: the subtable has split, and requests in flight may look in it for keys that have gone
 * to the other half. Until they have ended, neither half may change.
 */
export const UNSETTLED = 256;

/** The lo of a subtable's entry. */
export const entryOf = (localDepth: number, isUnsettled = false): number =>
  1 + localDepth + (isUnsettled ? UNSETTLED : 0);

/**
 * The lo of the entry of a locked subtable. The stamp is the owner's period when it took the lock: an owner
 * that has left and come back never makes the same word again, so that nobody lifts its new lock for its old
 * one.
 */
export const lockedEntryOf = (localDepth: number, isUnsettled: boolean, stamp: number): number =>
  (entryOf(localDepth, isUnsettled) | (stamp << 9)) >>> 0;

/** The local depth in an entry's lo; -1 when there is no such subtable. */
export const entryDepth = (lo: number): number => (lo & (UNSETTLED - 1)) - 1;

/** True when the entry's lo says that the latest split of the subtable awaits grace. */
export const isUnsettled = (lo: number): boolean => (lo & UNSETTLED) !== 0;
