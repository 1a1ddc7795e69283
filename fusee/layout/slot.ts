/**
 * The index slot: one word that names an object (FUSEE section 4.2, Figure 5).
 *
 *     pointer 48 bit << 16 | length 8 bit (64-byte lines) << 8 | fingerprint 8 bit
 *
 * Objects are 64-byte aligned, so the pointer's low 6 bits carry the slot's kind; the pointer without them is
 * the slot's *owner*. `hi` holds pointer bits 16 to 47; `lo` holds bits 0 to 15, the length and the
 * fingerprint.
 *
 * | kind  | pointer bits 0..5 | length | meaning |
 * |-------|-------------------|--------|---------|
 * | EMPTY | whole word 0      | 0      | a fresh slot; never written again |
 * | KV    | 0                 | >= 1   | the object is visible, if this is the primary |
 * | TOMB  | 0                 | 0      | a DELETE's log object, or the object of an undone INSERT |
 * | TENT  | 1                 | >= 1   | a tentative INSERT, in views with one index replica only |
 * | MOVED | 2                 | any    | a split has taken the slot out of service |
 *
 * Deviation: the paper's DELETE writes 0. A tombstone names the DELETE's own object, so that no slot ever
 * holds the same value twice while anyone can remember it (hazard H2).
 */
import type { Word } from '../verbs/index.js';

/** Pointer bit of a tentative INSERT. */
export const KIND_TENT = 1;
/** Pointer bit of a slot that a split has moved. */
export const KIND_MOVED = 2;
const KIND_MASK = 63;

/** Writes a slot word. `pointer` is the object's 64-byte aligned pointer, plus kind bits. */
export function makeSlot(into: Word, pointer: number, lines: number, fingerprint: number): Word {
  const hi = Math.floor(pointer / 65536);
  into.hi = hi;
  // Not `%`: of doubles it is a call into a C library.
  into.lo = (((pointer - hi * 65536) << 16) | (lines << 8) | fingerprint) >>> 0;
  return into;
}

/** The object's pointer, kind bits removed. */
export const ownerPointer = (w: Word): number => w.hi * 65536 + ((w.lo >>> 16) & ~KIND_MASK);

/** Length of the named object in 64-byte lines; 0 for EMPTY and TOMB. */
export const slotLines = (w: Word): number => (w.lo >>> 8) & 255;

/** The key's fingerprint. */
export const slotFingerprint = (w: Word): number => w.lo & 255;

const kindBits = (w: Word): number => (w.lo >>> 16) & KIND_MASK;

/** A visible object, if read from the primary. */
export const isKv = (w: Word): boolean => (w.lo & 0xff00) !== 0 && kindBits(w) === 0;

/** A tombstone: it names an object, has no length and no kind. */
export const isTomb = (w: Word): boolean => (w.lo & 0xff00) === 0 && (w.hi | w.lo) !== 0 && kindBits(w) === 0;

/** A tentative INSERT of a one-replica view. */
export const isTent = (w: Word): boolean => (kindBits(w) & KIND_TENT) !== 0;

/** A slot taken out of service by a split. */
export const isMoved = (w: Word): boolean => (kindBits(w) & KIND_MOVED) !== 0;

/** What INSERT may claim: EMPTY or TOMB. */
export const isFree = (w: Word): boolean => (w.lo & 0xff00) === 0 && kindBits(w) === 0;

/** True when both words name the same object, whatever their kind, length and fingerprint. */
export const sameOwner = (a: Word, b: Word): boolean => a.hi === b.hi && a.lo >>> 22 === b.lo >>> 22;

/** Order of Rule 3: by owner, so that the kind an object takes on cannot change who wins (control X7). */
export const lessOwner = (a: Word, b: Word): boolean =>
  a.hi < b.hi || (a.hi === b.hi && a.lo >>> 22 < b.lo >>> 22);
