/**
 * Hashes of states: two independent 32-bit hashes side by side, 64 bits in all.
 *
 * States are told apart by their digest alone (hash compaction): with ten million states the chance that any
 * two of them meet, and so hide something, is about 3 in a million.
 */

/** A running hash of whole numbers. */
export class Digest {
  a = 0;
  b = 0;

  /** Begins afresh. */
  reset(): this {
    this.a = 0x2545f491;
    this.b = 0x1b873593;
    return this;
  }

  /** Takes a 32-bit number in; order matters. */
  add(x: number): this {
    let a = Math.imul(this.a ^ x, 0x9e3779b1);
    a = Math.imul(a ^ (a >>> 15), 0x85ebca77);
    this.a = ((a ^ (a >>> 13)) + 0x3c6ef372) | 0;
    let b = Math.imul(this.b + x, 0xcc9e2d51);
    b = Math.imul(b ^ (b >>> 16), 0x27d4eb2f);
    this.b = b ^ (b >>> 14) ^ 0x165667b1;
    return this;
  }

  /** Takes another digest in. */
  addDigest(other: Digest): this {
    return this.add(other.a).add(other.b);
  }

  /** Takes a number of up to 53 bits in. */
  addNumber(x: number): this {
    return this.add(x | 0).add(Math.floor(x / 0x1_0000_0000) | 0);
  }

  /** Takes `lengthBytes` bytes at `at` in. */
  addBytes(bytes: Uint8Array, at: number, lengthBytes: number): this {
    const end = at + lengthBytes;
    let i = at;
    for (; i + 4 <= end; i += 4)
      this.add(bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    for (; i < end; i++) this.add(bytes[i]);
    return this;
  }

  /** Takes text in. */
  addText(text: string): this {
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i));
    return this.add(text.length);
  }

  /** Adds another digest so that the order of additions does not matter. */
  join(other: Digest): this {
    this.a = (this.a + other.a) | 0;
    this.b = (this.b + other.b) | 0;
    return this;
  }

  copy(from: Digest): this {
    this.a = from.a;
    this.b = from.b;
    return this;
  }
}
