import { WorkloadError } from './errors.js';
import type { KeySource } from './keys.js';

/** The longest key of a trace, in bytes. */
export const traceKeyBytesMax = 65535;

/** The most different keys of a trace. */
export const traceKeyCountMax = 2 ** 26;

/** The most bytes all different keys of a trace take together, each padded to a multiple of 4. */
export const traceKeyPoolBytesMax = 2 ** 31;

/**
 * The different keys of a trace, numbered from 0 in the order of their first appearance; the number is also
 * the row. A hash table with open addressing over typed arrays that double as they fill: a key costs its
 * bytes, padded to a multiple of 4, at most twice, and 18 to 36 bytes more. The text of the trace is not
 * retained.
 */
export class TraceKeys implements KeySource {
  #bytes = new Uint8Array(4096);
  #words = new Uint32Array(this.#bytes.buffer);
  #lengths = new Uint16Array(256);
  #hashes = new Int32Array(256);
  #wordOffsets = new Uint32Array(256);
  /** Row + 1, or 0 where free; its length is a power of two, at least twice the count of keys. */
  #slots = new Int32Array(1024);
  #count = 0;
  #wordCount = 0;

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get words(): Uint32Array {
    return this.#words;
  }

  get lengths(): Uint16Array {
    return this.#lengths;
  }

  get rowCount(): number {
    return this.#count;
  }

  rowOf(keyNumber: number): number {
    return keyNumber >= 0 && keyNumber < this.#count ? keyNumber : -1;
  }

  wordOffsetOf(row: number): number {
    return this.#wordOffsets[row];
  }

  /** The text of a row's key, one character a byte, for messages. */
  nameOf(row: number): string {
    const start = 4 * this.#wordOffsets[row];
    return Buffer.from(this.#bytes.buffer, start, this.#lengths[row]).toString('latin1');
  }

  /**
   * The number of the key in `text[start, end)`, a new one if the key is new.
   * Throws `WorkloadError` for a key that is too long and when there are too many.
   */
  intern(text: Uint8Array, start: number, end: number): number {
    if (end - start > traceKeyBytesMax) {
      throw new WorkloadError(
        `a key of ${end - start} bytes exceeds the limit of ${traceKeyBytesMax}: replace long keys by their hash`,
      );
    }
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text[i], 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 13)) & mask;
    while (this.#slots[slot] !== 0) {
      const row = this.#slots[slot] - 1;
      if (this.#hashes[row] === hash && this.#equals(row, text, start, end)) return row;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = this.#count + 1;
    return this.#append(hash, text, start, end);
  }

  #equals(row: number, text: Uint8Array, start: number, end: number): boolean {
    if (this.#lengths[row] !== end - start) return false;
    const offset = 4 * this.#wordOffsets[row];
    for (let i = start; i < end; i++) if (this.#bytes[offset + i - start] !== text[i]) return false;
    return true;
  }

  #append(hash: number, text: Uint8Array, start: number, end: number): number {
    const row = this.#count;
    const words = (end - start + 3) >> 2;
    const usedBytes = 4 * (this.#wordCount + words);
    if (row === traceKeyCountMax || usedBytes > traceKeyPoolBytesMax) {
      throw new WorkloadError(
        `more than ${row} different keys of ${4 * this.#wordCount} bytes exceed the limits of ` +
          `${traceKeyCountMax} keys and ${traceKeyPoolBytesMax} bytes: replay a part of the trace`,
      );
    }
    if (usedBytes > this.#bytes.length) this.#growPool(usedBytes);
    if (row === this.#lengths.length) this.#growRows();
    const offset = 4 * this.#wordCount;
    for (let i = start; i < end; i++) this.#bytes[offset + i - start] = text[i];
    this.#hashes[row] = hash;
    this.#lengths[row] = end - start;
    this.#wordOffsets[row] = this.#wordCount;
    this.#wordCount += words;
    this.#count++;
    if (2 * this.#count > this.#slots.length) this.#growSlots();
    return row;
  }

  #growPool(neededBytes: number): void {
    let size = 2 * this.#bytes.length;
    while (size < neededBytes) size *= 2;
    const bytes = new Uint8Array(Math.min(size, traceKeyPoolBytesMax));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer);
  }

  #growRows(): void {
    const size = 2 * this.#lengths.length;
    const [lengths, hashes, wordOffsets] = [this.#lengths, this.#hashes, this.#wordOffsets];
    this.#lengths = new Uint16Array(size);
    this.#hashes = new Int32Array(size);
    this.#wordOffsets = new Uint32Array(size);
    this.#lengths.set(lengths);
    this.#hashes.set(hashes);
    this.#wordOffsets.set(wordOffsets);
  }

  #growSlots(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let row = 0; row < this.#count; row++) {
      let slot = (this.#hashes[row] ^ (this.#hashes[row] >>> 13)) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = row + 1;
    }
    this.#slots = slots;
  }
}
