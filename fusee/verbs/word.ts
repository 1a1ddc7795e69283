/**
 * 8-byte words as two unsigned 32-bit halves.
 *
 * BigInt would allocate on every verb; a double cannot hold a slot (48-bit pointer + 16 bits of metadata).
 */
export interface Word {
  hi: number;
  lo: number;
}

/** A fresh word, zero unless told. */
export const word = (hi = 0, lo = 0): Word => ({ hi, lo });

/** True when both halves agree. */
export const sameWord = (a: Word, b: Word): boolean => a.lo === b.lo && a.hi === b.hi;

/** True when every bit is zero. */
export const isZero = (a: Word): boolean => a.lo === 0 && a.hi === 0;

/** Copies `from` into `into`; words are reused, never shared. */
export function copyWord(into: Word, from: Word): void {
  into.hi = from.hi;
  into.lo = from.lo;
}

/** The word in hexadecimal, for messages and traces. */
export const formatWord = (w: Word): string =>
  w.hi === 0 ? w.lo.toString(16) : `${w.hi.toString(16)}:${w.lo.toString(16).padStart(8, '0')}`;
