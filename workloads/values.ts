/**
 * Values that prove themselves. A value starts with a head of `headBytes`, as little-endian uint32 words
 *
 *     check, key number (low, high), writer, sequence (low, high)
 *
 * and goes on with a fill that depends on the position alone. The head tells who wrote the value, so that a
 * reader can find a value of another key, of another length, or one that nobody wrote. A value shorter than
 * the head carries the words that fit; one shorter than a word, the low bytes of its check. The check covers
 * the expected key, the length and the words carried.
 *
 * Every writer's fill is the same, so a value stitched from two writes of one key shows only if the tear goes
 * through the head. All offsets may be unaligned. Nothing but `readStamp` allocates.
 */

/** The size of a whole head. */
export const headBytes = 24;

/** What `checkValue` found; FINE is 0. */
export const ValueVerdict = {
  /** The value belongs to the key and is whole, as far as was asked. */
  FINE: 0,
  /** The length is under 1, or the value does not lie within the view. */
  BAD_LENGTH: 1,
  /** A sound head of another key: the reader was led to the wrong object. */
  OTHER_KEY: 2,
  /** The check disagrees with the head: torn, of another length, or never written. */
  BAD_CHECK: 3,
  /** The head is sound, but the bytes behind it are not the fill; only `checkWholeValue` looks. */
  BAD_FILL: 4,
} as const;

/** One of `ValueVerdict`'s numbers. */
export type ValueVerdict = (typeof ValueVerdict)[keyof typeof ValueVerdict];

/** What a head says, for diagnosis; a field is undefined where the value was too short to carry it. */
export interface ValueStamp {
  readonly check: number;
  readonly keyNumber: number | undefined;
  readonly writer: number | undefined;
  readonly sequence: number | undefined;
}

const TWO_TO_32 = 4294967296;
const HEAD_WORDS = headBytes / 4;

/**
 * Writes the head of a value into memory whose fill is in place.
 *
 * `lengthBytes` is at least 1, `keyNumber` and `sequence` integers from 0 to 2^53 - 1, `writer` one from 0 to
 * 2^32 - 1. This is the measured path: none of it is checked.
 */
export function stampValue(
  view: DataView,
  offset: number,
  lengthBytes: number,
  keyNumber: number,
  writer: number,
  sequence: number,
): void {
  const keyHigh = Math.floor(keyNumber / TWO_TO_32);
  const sequenceHigh = Math.floor(sequence / TWO_TO_32);
  if (lengthBytes >= headBytes) {
    view.setUint32(offset + 4, keyNumber | 0, true);
    view.setUint32(offset + 8, keyHigh, true);
    view.setUint32(offset + 12, writer, true);
    view.setUint32(offset + 16, sequence | 0, true);
    view.setUint32(offset + 20, sequenceHigh, true);
    view.setUint32(offset, checkOf(view, offset, lengthBytes, keyNumber), true);
    return;
  }
  if (lengthBytes >= 8) view.setUint32(offset + 4, keyNumber | 0, true);
  if (lengthBytes >= 12) view.setUint32(offset + 8, keyHigh, true);
  if (lengthBytes >= 16) view.setUint32(offset + 12, writer, true);
  if (lengthBytes >= 20) view.setUint32(offset + 16, sequence | 0, true);
  const check = checkOf(view, offset, lengthBytes, keyNumber);
  if (lengthBytes >= 4) {
    view.setUint32(offset, check, true);
  } else {
    for (let i = 0; i < lengthBytes; i++) view.setUint8(offset + i, check >>> (8 * i));
  }
}

/** Writes the fill of a value, head included: once for each place values are later stamped in. */
export function fillValue(view: DataView, offset: number, lengthBytes: number): void {
  for (let i = 0; i < lengthBytes; i++) view.setUint8(offset + i, fillByte(i));
}

/** Checks the head of a value that was read for `keyNumber`; the fill is not looked at. */
export function checkValue(
  view: DataView,
  offset: number,
  lengthBytes: number,
  keyNumber: number,
): ValueVerdict {
  if (!(lengthBytes >= 1 && offset >= 0 && offset + lengthBytes <= view.byteLength)) {
    return ValueVerdict.BAD_LENGTH;
  }
  const check = checkOf(view, offset, lengthBytes, keyNumber);
  if (lengthBytes < 4) {
    for (let i = 0; i < lengthBytes; i++) {
      if (view.getUint8(offset + i) !== ((check >>> (8 * i)) & 0xff)) return ValueVerdict.BAD_CHECK;
    }
    return ValueVerdict.FINE;
  }
  if (view.getUint32(offset, true) === check) return ValueVerdict.FINE;
  return whyBad(view, offset, lengthBytes, keyNumber);
}

/** Checks the head of a value and then every byte behind it. */
export function checkWholeValue(
  view: DataView,
  offset: number,
  lengthBytes: number,
  keyNumber: number,
): ValueVerdict {
  const verdict = checkValue(view, offset, lengthBytes, keyNumber);
  if (verdict !== ValueVerdict.FINE || lengthBytes < 4) return verdict;
  for (let i = 4 * wordCountOf(lengthBytes); i < lengthBytes; i++) {
    if (view.getUint8(offset + i) !== fillByte(i)) return ValueVerdict.BAD_FILL;
  }
  return ValueVerdict.FINE;
}

/** The head of a value as it stands, sound or not. Allocates; for messages. */
export function readStamp(view: DataView, offset: number, lengthBytes: number): ValueStamp {
  let check = 0;
  for (let i = Math.min(4, lengthBytes) - 1; i >= 0; i--) check = check * 256 + view.getUint8(offset + i);
  const word = (index: number): number => view.getUint32(offset + 4 * index, true);
  const words = wordCountOf(lengthBytes);
  return {
    check,
    keyNumber: words >= 3 ? word(2) * TWO_TO_32 + word(1) : undefined,
    writer: words >= 4 ? word(3) : undefined,
    sequence: words >= 6 ? word(5) * TWO_TO_32 + word(4) : undefined,
  };
}

/** The check of a value for a key: over the key, the length and the words behind the check. */
function checkOf(view: DataView, offset: number, lengthBytes: number, keyNumber: number): number {
  let hash = lengthBytes ^ 0x2545f491;
  hash = round(hash, keyNumber | 0);
  hash = round(hash, Math.floor(keyNumber / TWO_TO_32));
  const words = lengthBytes >= headBytes ? HEAD_WORDS : lengthBytes >> 2;
  for (let i = 1; i < words; i++) hash = round(hash, view.getUint32(offset + 4 * i, true) | 0);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return (mixed << 13) | (mixed >>> 19);
}

/**
 * Tells a sound value of another key from an unsound one; only values that carry a whole key number can say.
 */
function whyBad(view: DataView, offset: number, lengthBytes: number, keyNumber: number): ValueVerdict {
  if (lengthBytes < 12) return ValueVerdict.BAD_CHECK;
  const stored = view.getUint32(offset + 8, true) * TWO_TO_32 + view.getUint32(offset + 4, true);
  if (stored === keyNumber) return ValueVerdict.BAD_CHECK;
  const sound = view.getUint32(offset, true) === checkOf(view, offset, lengthBytes, stored);
  return sound ? ValueVerdict.OTHER_KEY : ValueVerdict.BAD_CHECK;
}

function wordCountOf(lengthBytes: number): number {
  return Math.min(HEAD_WORDS, lengthBytes >> 2);
}

/** A byte of the fill: the high byte of a Weyl sequence, so no shift of the fill equals it. */
function fillByte(index: number): number {
  return Math.imul(index, 0x9e3779b1) >>> 24;
}
