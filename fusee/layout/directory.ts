/**
 * The directory of the index (extendible hashing): which subtables there are, and who changes them.
 *
 *     word 0       lo  version: grows with every change of an entry      hi  global depth
 *     word 1 + s   lo  0: no such subtable, else 1 + its local depth     hi  CID of who splits it, or 0
 *
 * The number of a subtable is the suffix of the hashes that it holds: subtable s of local depth d holds the
 * keys whose hash ends in the low d bits of s. A split of s at depth d makes subtable s + 2^d. So no entry
 * needs a pointer, and aliases need no entries: looking a suffix up means dropping high bits until a subtable
 * is met.
 *
 * Replicated on the nodes of subtable 0. Entries change under their lock: backups first, then the primary;
 * readers read the primary.
 */
import { DIRECTORY_BASE } from './geometry.js';

/** Offset of the directory's word 0 {version, global depth} on its nodes. */
export const DIRECTORY_VERSION_OFFSET: number = DIRECTORY_BASE;

/** Offset of subtable `s`'s entry on the directory's nodes. */
export const directoryOffset = (s: number): number => DIRECTORY_BASE + 8 + 8 * s;
