/**
 * Values that say which write they came from: a number in the first four bytes, and a pattern that follows
 * from it. Shorter values cannot be told apart; their number is made of their bytes, so that two alike have
 * the same.
 */
import { CorruptionError } from '../../fusee/verbs/index.js';

/** Numbers of long values begin here; the short ones lie below. */
const FIRST_LONG = 1 << 20;
const STEP = 17;

/** Hands out values, and recognizes them. */
export class Values {
  #next = FIRST_LONG;

  /** Writes a new value of `lengthBytes` to `bytes` at `at`; returns its number. */
  put(bytes: Uint8Array, at: number, lengthBytes: number): number {
    const id = this.#next++;
    let byte = id & 255;
    if (lengthBytes < 4) {
      for (let i = 0; i < lengthBytes; i++, byte += STEP) bytes[at + i] = byte;
      return shortId(bytes, at, lengthBytes);
    }
    bytes[at] = id;
    bytes[at + 1] = id >>> 8;
    bytes[at + 2] = id >>> 16;
    bytes[at + 3] = id >>> 24;
    for (let i = 4; i < lengthBytes; i++, byte += STEP) bytes[at + i] = byte;
    return id;
  }
}

/**
 * The number of the value that lies at `at`.
 * @throws CorruptionError when nobody has written such a value.
 */
export function valueId(bytes: Uint8Array, at: number, lengthBytes: number): number {
  if (lengthBytes < 4) return shortId(bytes, at, lengthBytes);
  const id = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  let byte = id & 255;
  for (let i = 4; i < lengthBytes; i++, byte = (byte + STEP) & 255) {
    if (bytes[at + i] !== byte) {
      throw new CorruptionError(
        `byte ${i} of a value of ${lengthBytes} bytes is not what value ${id} has there`,
      );
    }
  }
  return id;
}

function shortId(bytes: Uint8Array, at: number, lengthBytes: number): number {
  let id = lengthBytes === 3 ? 0x20000 : lengthBytes === 2 ? 0x200 : lengthBytes;
  // The third byte follows from the first two by the pattern.
  for (let i = 0; i < Math.min(2, lengthBytes); i++)
    id += (lengthBytes === 1 ? 1 : 1 << (8 * i)) * bytes[at + i];
  return id;
}
