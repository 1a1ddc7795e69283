/**
 * FNV-1a-64 of key numbers as YCSB's CoreWorkload uses it (`Utils.fnvhash64`), in two-word arithmetic:
 * JavaScript has no 64-bit integer but BigInt, which is more than ten times slower.
 *
 * A hash is a `Uint32Array(2)`: element 0 the high word, element 1 the low one. The caller owns it, so that
 * nothing here allocates.
 */

const OFFSET_BASIS_HIGH = 0xcbf29ce4 | 0;
const OFFSET_BASIS_LOW = 0x84222325 | 0;
/** The FNV prime is 2^40 + 0x1b3. */
const PRIME_LOW = 0x1b3;
const TWO_TO_32 = 4294967296;

/** `moduloHash` is exact for moduli up to this: a remainder shifted by 16 bits must stay under 2^52. */
export const hashModulusMax = 2 ** 36;

/** A fresh hash: `[high word, low word]`. */
export function newHash(): Uint32Array {
  return new Uint32Array(2);
}

/**
 * FNV-1a-64 over the 8 octets of a key number, least significant first, into `hash`.
 * The key number is an integer from 0 to 2^53 - 1; it is not checked here.
 */
export function hashKeyNumber(keyNumber: number, hash: Uint32Array): void {
  let high = OFFSET_BASIS_HIGH;
  let low = OFFSET_BASIS_LOW;
  let octets = keyNumber | 0;
  const octetsHigh = Math.floor(keyNumber / TWO_TO_32);
  for (let i = 0; i < 8; i++) {
    low ^= octets & 0xff;
    octets = i === 3 ? octetsHigh : octets >>> 8;
    // hash * (2^40 + 0x1b3): the low word in halves of 16 bits, so that every product stays under 2^31.
    const product0 = (low & 0xffff) * PRIME_LOW;
    const product1 = (low >>> 16) * PRIME_LOW + (product0 >>> 16);
    high = (Math.imul(high, PRIME_LOW) + (product1 >>> 16) + (low << 8)) | 0;
    low = (product1 << 16) | (product0 & 0xffff);
  }
  hash[0] = high;
  hash[1] = low;
}

/**
 * Replaces a hash, read as a two's complement int64, by its absolute value. -2^63 becomes 2^63, where Java's
 * `Math.abs` leaves it negative; no key number that has been tried hashes to it.
 */
export function absoluteHash(hash: Uint32Array): void {
  if (hash[0] < 0x80000000) return;
  const low = hash[1];
  hash[1] = -low;
  hash[0] = low === 0 ? -hash[0] : ~hash[0];
}

/** The remainder of an unsigned hash by `modulus`, an integer from 1 to `hashModulusMax`. */
export function moduloHash(hash: Uint32Array, modulus: number): number {
  const low = hash[1];
  let rest = remainder(hash[0], modulus);
  rest = remainder(rest * 65536 + (low >>> 16), modulus);
  return remainder(rest * 65536 + (low & 0xffff), modulus);
}

/** `value` mod `modulus` for value < 2^52; a third of the cost of `%` on doubles. */
function remainder(value: number, modulus: number): number {
  const rest = value - Math.floor(value / modulus) * modulus;
  // The quotient may have been rounded up to the next integer, never down past one.
  return rest < 0 ? rest + modulus : rest;
}

/**
 * Writes an unsigned hash as decimal digits without leading zeros at `offset` and returns their count
 * (1 to 20).
 */
export function writeDecimal(hash: Uint32Array, bytes: Uint8Array, offset: number): number {
  const high = hash[0];
  // 2^32 = 4294 * 10^6 + 967296, so the low six digits and the rest separate exactly in doubles.
  const lower = high * 967296 + hash[1];
  const carry = Math.floor(lower / 1000000);
  const digits2 = lower - carry * 1000000;
  const upper = high * 4294 + carry;
  const digits0 = Math.floor(upper / 1000000);
  const digits1 = upper - digits0 * 1000000;
  if (digits0 > 0) {
    const count = writeShort(digits0, bytes, offset);
    writeSix(digits1, bytes, offset + count);
    writeSix(digits2, bytes, offset + count + 6);
    return count + 12;
  }
  if (digits1 > 0) {
    const count = writeShort(digits1, bytes, offset);
    writeSix(digits2, bytes, offset + count);
    return count + 6;
  }
  return writeShort(digits2, bytes, offset);
}

/** Writes a number under 10^8 without leading zeros; returns the count of digits. */
function writeShort(value: number, bytes: Uint8Array, offset: number): number {
  let count = 1;
  for (let limit = 10; value >= limit; limit *= 10) count++;
  let rest = value | 0;
  for (let i = offset + count - 1; i >= offset; i--) {
    const next = (rest / 10) | 0;
    bytes[i] = 48 + rest - next * 10;
    rest = next;
  }
  return count;
}

/** Writes a number under 10^6 as exactly six digits. */
function writeSix(value: number, bytes: Uint8Array, offset: number): void {
  let rest = value | 0;
  for (let i = offset + 5; i >= offset; i--) {
    const next = (rest / 10) | 0;
    bytes[i] = 48 + rest - next * 10;
    rest = next;
  }
}
