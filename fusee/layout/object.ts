/**
 * The object: a KV pair with its embedded log entry (FUSEE section 4.5, Figure 8).
 *
 *     line start                                                            cell end
 *     | keyBytes u16 | valueBytes u16 | CRC-32C u32 | key | value | pad | log entry 22 |
 *
 * Right-aligned in its cell: the last line of the object is the last line of the cell, the slot points to the
 * first used line, and pointer + 64 x length is the end. So only used bytes travel, the log entry is found
 * from the slot alone, and the very last byte, which a WRITE lands last, carries the used bit: a set used bit
 * proves a whole object (provided that it was clear before, hazard H9).
 *
 * Log entry, offsets from the object's end:
 *
 *     -22 next 6 | -16 prev 6 | -10 old value 8 | -2 CRC-8 of the old value | -1 operation << 1 | used
 */

import type { Word } from '../verbs/index.js';
import { assertLayout } from './assert.js';

/** One line: objects are aligned to it and their lengths count it. */
export const LINE_BYTES = 64;
/** Lengths and CRC ahead of the key. */
export const HEADER_BYTES = 8;
/** The log entry at the object's end. */
export const LOG_ENTRY_BYTES = 22;
/** The 8-bit length can name no more. */
export const MAX_LINES = 255;
/** Largest key + value. */
export const MAX_PAYLOAD_BYTES = MAX_LINES * LINE_BYTES - HEADER_BYTES - LOG_ENTRY_BYTES;

/** Distances of the log entry's fields from the object's end. */
export const LogField = { NEXT: -22, PREV: -16, OLD_VALUE: -10, OLD_VALUE_CRC: -2, OPERATION: -1 } as const;
/** Bytes of a log commit: the old value and its CRC. */
export const LOG_COMMIT_BYTES = 9;

/** Operation of a log entry: 7 bits. */
export const LogOperation = { INSERT: 1, UPDATE: 2, DELETE: 3 } as const;
export type LogOperation = (typeof LogOperation)[keyof typeof LogOperation];

assertLayout(LogField.NEXT + 6 === LogField.PREV, 'next is 6 bytes');
assertLayout(LogField.OLD_VALUE + LOG_COMMIT_BYTES === LogField.OPERATION, 'one WRITE commits value and CRC');
assertLayout(LogField.NEXT === -LOG_ENTRY_BYTES, 'the entry begins with next');

/** Lines that an object with this key and value needs. */
export const objectLines = (keyBytes: number, valueBytes: number): number =>
  Math.ceil((HEADER_BYTES + keyBytes + valueBytes + LOG_ENTRY_BYTES) / LINE_BYTES);

const CRC8 = new Uint8Array(256);
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = c & 0x80 ? ((c << 1) ^ 0x07) & 0xff : c << 1;
  CRC8[i] = c;
}

/**
 * CRC-8 of an old value; never 0. So an entry whose CRC has not landed yet is incomplete, whatever of the old
 * value has: of a commit that its client's death has torn, the last byte is still the zero of a fresh entry.
 */
export function oldValueCrc(w: Word): number {
  let c = 0xff;
  for (let shift = 0; shift < 32; shift += 8) c = CRC8[c ^ ((w.lo >>> shift) & 255)];
  for (let shift = 0; shift < 32; shift += 8) c = CRC8[c ^ ((w.hi >>> shift) & 255)];
  return c === 0 ? 0xff : c;
}

/** Writes a 48-bit pointer, least significant byte first. */
export function putPointer(bytes: Uint8Array, at: number, pointer: number): void {
  const hi = Math.floor(pointer / 0x1000000);
  const lo = pointer - hi * 0x1000000;
  bytes[at] = lo;
  bytes[at + 1] = lo >>> 8;
  bytes[at + 2] = lo >>> 16;
  bytes[at + 3] = hi;
  bytes[at + 4] = hi >>> 8;
  bytes[at + 5] = hi >>> 16;
}

/** Reads a 48-bit pointer. */
export const getPointer = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) +
  (bytes[at + 3] | (bytes[at + 4] << 8) | (bytes[at + 5] << 16)) * 0x1000000;

/** Writes an unaligned word, least significant byte first. */
export function putWord(bytes: Uint8Array, at: number, w: Word): void {
  for (let i = 0; i < 4; i++) {
    bytes[at + i] = w.lo >>> (8 * i);
    bytes[at + 4 + i] = w.hi >>> (8 * i);
  }
}

/** Reads an unaligned word. */
export function getWord(bytes: Uint8Array, at: number, into: Word): Word {
  into.lo = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  into.hi = (bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24)) >>> 0;
  return into;
}

/** Stages the old value and its CRC in the log entry of the object that ends at `end`. */
export function stageOldValue(bytes: Uint8Array, end: number, vOld: Word): void {
  putWord(bytes, end + LogField.OLD_VALUE, vOld);
  bytes[end + LogField.OLD_VALUE_CRC] = oldValueCrc(vOld);
}

/**
 * Old values that no slot ever holds, since they lie below every pointer. ARBITRATED: a master has decided
 * that the object stands. SINGLE: written when a replicated index had one replica left, where no log is
 * committed: the object counts as named as long as its used bit is set.
 */
export const ARBITRATED: Word = { hi: 0, lo: 1 };
/** See {@link ARBITRATED}. */
export const SINGLE: Word = { hi: 0, lo: 2 };

/** Is it a slot's word, and not one of the special ones, or none? */
export const isReplacedWord = (w: Word): boolean => w.hi !== 0 || w.lo > 2;

/** Reads the old value of a log entry; false when it is incomplete. */
export function readOldValue(bytes: Uint8Array, end: number, into: Word): boolean {
  getWord(bytes, end + LogField.OLD_VALUE, into);
  return bytes[end + LogField.OLD_VALUE_CRC] === oldValueCrc(into);
}
