/**
 * CRC-32C (Castagnoli, reflected) in plain TypeScript, for fabrics that run without native code.
 *
 * Slice-by-8 over 32-bit words; the twin of native/src/crc.cc, and a property test holds the two together.
 */

const POLYNOMIAL = 0x82f63b78;
const TABLES = 8;

/** Table k gives the checksum of a byte that is followed by k zero bytes; laid out one after the other. */
const table = makeTables();

function makeTables(): Int32Array {
  const t = new Int32Array(TABLES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let c = byte;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    t[byte] = c;
  }
  for (let i = 256; i < t.length; i++) t[i] = (t[i - 256] >>> 8) ^ t[t[i - 256] & 255];
  return t;
}

/**
 * A checksum function over one memory, in the shape that registered memory wants: `(offset, lengthBytes,
 * seed)`. Seed 0 starts a checksum, an earlier result continues it; "123456789" gives 0xE3069283.
 */
export function crc32cOver(
  buffer: ArrayBuffer,
): (offset: number, lengthBytes: number, seed: number) => number {
  const bytes = new Uint8Array(buffer);
  const words = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
  return (offset, lengthBytes, seed) => {
    let c = ~seed;
    let at = offset;
    const end = offset + lengthBytes;
    for (; at < end && at & 3; at++) c = (c >>> 8) ^ table[(c ^ bytes[at]) & 255];
    for (; at + 8 <= end; at += 8) {
      const a = c ^ words[at >>> 2];
      const b = words[(at >>> 2) + 1];
      c =
        table[0x700 + (a & 255)] ^
        table[0x600 + ((a >>> 8) & 255)] ^
        table[0x500 + ((a >>> 16) & 255)] ^
        table[0x400 + (a >>> 24)] ^
        table[0x300 + (b & 255)] ^
        table[0x200 + ((b >>> 8) & 255)] ^
        table[0x100 + ((b >>> 16) & 255)] ^
        table[b >>> 24];
    }
    for (; at < end; at++) c = (c >>> 8) ^ table[(c ^ bytes[at]) & 255];
    return ~c >>> 0;
  };
}
