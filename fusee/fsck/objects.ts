/** Objects and their log entries, in bytes that a walk has read. */
import {
  CLASS_LINES,
  getPointer,
  HEADER_BYTES,
  LINE_BYTES,
  LogField,
  objectLines,
  readOldValue,
} from '../layout/index.js';
import { type LocalMemory, word } from '../verbs/index.js';

/** True when an object of exactly so many lines lies at `at`, with its CRC. */
export function isWhole(local: LocalMemory, at: number, lines: number): boolean {
  const lengths = local.words[at >>> 2];
  const keyBytes = lengths & 0xffff;
  const payload = keyBytes + (lengths >>> 16);
  if (keyBytes === 0 || objectLines(keyBytes, payload - keyBytes) !== lines) return false;
  return local.crc32c(at + HEADER_BYTES, payload, lengths) === local.words[(at >>> 2) + 1];
}

/** Lines of the whole object that ends at `end`, where a cell of this class does; 0 when there is none. */
export function wholeLines(local: LocalMemory, end: number, sizeClass: number): number {
  const least = sizeClass === 0 ? 0 : CLASS_LINES[sizeClass - 1];
  for (let lines = CLASS_LINES[sizeClass]; lines > least; lines--)
    if (isWhole(local, end - lines * LINE_BYTES, lines)) return lines;
  return 0;
}

/** A log entry. */
export interface LogEntry {
  readonly operation: number;
  readonly isUsed: boolean;
  /** The old value is there, as its CRC says; or it was never written. Neither: half written. */
  readonly isCommitted: boolean;
  readonly isBlank: boolean;
  readonly next: number;
  readonly prev: number;
}

/** Reads the log entry of the object that ends at `end`. */
export function readEntry(bytes: Uint8Array, end: number): LogEntry {
  const last = bytes[end + LogField.OPERATION];
  let blank = 0;
  for (let i = end + LogField.OLD_VALUE; i < end + LogField.OPERATION; i++) blank |= bytes[i];
  return {
    operation: last >> 1,
    isUsed: (last & 1) === 1,
    isCommitted: readOldValue(bytes, end, word()),
    isBlank: blank === 0,
    next: getPointer(bytes, end + LogField.NEXT),
    prev: getPointer(bytes, end + LogField.PREV),
  };
}
