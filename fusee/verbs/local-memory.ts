/**
 * The registered memory of one client: descriptors, objects to write, and the bytes that READs bring back.
 *
 * Verbs name it by offset. A fabric creates it, since only the fabric knows what kind of memory its transport
 * can reach; everything above shares it by reserving ranges, once, when coroutines are set up.
 */
export class LocalMemory {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** CRC-32C of `lengthBytes` bytes at `offset`, continued from `seed`; unsigned. */
  readonly crc32c: (offset: number, lengthBytes: number, seed: number) => number;
  #reservedBytes = 0;

  constructor(buffer: ArrayBuffer, crc32c: (offset: number, lengthBytes: number, seed: number) => number) {
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.crc32c = crc32c;
  }

  /**
   * Sets aside `lengthBytes` bytes, 64-byte aligned, for the life of the client.
   * @returns the offset of the first byte.
   * @throws RangeError when the memory is exhausted: the client was configured with too little.
   */
  reserve(lengthBytes: number): number {
    const offset = this.#reservedBytes;
    const end = offset + Math.ceil(lengthBytes / 64) * 64;
    if (end > this.buffer.byteLength) {
      throw new RangeError(
        `registered memory is exhausted: ${lengthBytes} bytes asked for, ` +
          `${this.buffer.byteLength - offset} of ${this.buffer.byteLength} left`,
      );
    }
    this.#reservedBytes = end;
    return offset;
  }
}
