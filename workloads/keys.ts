/**
 * Key names: `user` and the decimal |int64| of the key number's FNV-1a-64, as YCSB's CoreWorkload builds
 * them. All flavours share the names: they only need to differ, and which key a request means is a number.
 */
import { requireInteger, WorkloadError } from './errors.js';
import { absoluteHash, hashKeyNumber, newHash, writeDecimal } from './fnv.js';
import { clientKeyCount, coroutineCountMax, firstKeyOfClient, strideKeyCount } from './key-space.js';

/** The room of one key in a `KeyTable`: `user`, at most 19 digits, and a zero. */
export const keyStrideBytes = 24;

/** `keyStrideBytes` as uint32 words. */
export const keyStrideWords = keyStrideBytes / 4;

/** The most rows of a `KeyTable`: 1.6 GiB. */
export const keyRowCountMax = 2 ** 26;

const scratch = newHash();

/** Writes the name of a key at `offset` and returns its length, 5 to 23 bytes. `bytes` needs room for 23. */
export function writeKey(keyNumber: number, bytes: Uint8Array, offset: number): number {
  bytes[offset] = 0x75;
  bytes[offset + 1] = 0x73;
  bytes[offset + 2] = 0x65;
  bytes[offset + 3] = 0x72;
  hashKeyNumber(keyNumber, scratch);
  absoluteHash(scratch);
  return 4 + writeDecimal(scratch, bytes, offset + 4);
}

/** The name of a key as a string, for messages. */
export function keyName(keyNumber: number): string {
  const bytes = new Uint8Array(keyStrideBytes);
  return String.fromCharCode(...bytes.subarray(0, writeKey(keyNumber, bytes, 0)));
}

/**
 * Key names by row, whatever their origin: built from numbers (`KeyTable`) or read from a trace
 * (`TraceKeys`).
 */
export interface KeySource {
  /** All names, each at an offset that is a multiple of 4, zeros behind it up to the next multiple of 4. */
  readonly bytes: Uint8Array;
  /** The same memory as uint32 words. */
  readonly words: Uint32Array;
  /** The length of each row's name in bytes. */
  readonly lengths: Uint8Array | Uint16Array;
  readonly rowCount: number;
  /** The row of a key number, or -1 when the source does not have it. */
  rowOf(keyNumber: number): number;
  /** Where the name of a row starts in `words`. */
  wordOffsetOf(row: number): number;
}

/** Which keys a `KeyTable` holds. */
export interface KeyTableOptions {
  /** The count of loaded keys: rows 0 to `recordCount - 1`. */
  readonly recordCount: number;
  readonly clientIndex: number;
  /** How many coroutines of the client insert; 0 when none does. */
  readonly coroutineCount: number;
  /** How many keys of its stride each of them may use. */
  readonly insertsPerCoroutine: number;
}

/**
 * The names of the loaded keys and of one client's own inserts, so that the measured path copies a key as
 * `keyStrideWords` words and never builds one. Rows have a fixed stride of `keyStrideBytes`; a name's unused
 * bytes are zero. Memory: 25 bytes a row, 2.5 MB for 100,000 keys.
 */
export class KeyTable implements KeySource {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly lengths: Uint8Array;
  readonly rowCount: number;
  readonly #recordCount: number;
  readonly #firstInsert: number;
  readonly #insertsPerCoroutine: number;
  readonly #insertSpan: number;

  constructor(options: KeyTableOptions) {
    const { recordCount, coroutineCount, insertsPerCoroutine } = options;
    this.#firstInsert = firstKeyOfClient(options);
    requireInteger('coroutine count', coroutineCount, { min: 0, max: coroutineCountMax });
    requireInteger('inserts per coroutine', insertsPerCoroutine, { min: 0, max: strideKeyCount });
    this.#recordCount = recordCount;
    this.#insertsPerCoroutine = insertsPerCoroutine;
    this.#insertSpan = coroutineCount * strideKeyCount;
    this.rowCount = recordCount + coroutineCount * insertsPerCoroutine;
    if (this.rowCount > keyRowCountMax) {
      throw new WorkloadError(
        `a key table of ${this.rowCount} rows exceeds the limit of ${keyRowCountMax}: ` +
          'use fewer keys, or build names with writeKey as they are needed',
      );
    }
    this.bytes = new Uint8Array(this.rowCount * keyStrideBytes);
    this.words = new Uint32Array(this.bytes.buffer);
    this.lengths = new Uint8Array(this.rowCount);
    this.#fill(0, { first: 0, count: recordCount });
    for (let coroutine = 0; coroutine < coroutineCount; coroutine++) {
      const first = this.#firstInsert + coroutine * strideKeyCount;
      this.#fill(recordCount + coroutine * insertsPerCoroutine, { first, count: insertsPerCoroutine });
    }
  }

  rowOf(keyNumber: number): number {
    if (keyNumber < this.#recordCount) return keyNumber;
    const offset = keyNumber - this.#firstInsert;
    if (offset < 0 || offset >= this.#insertSpan) return -1;
    // A client's strides span under 2^31 keys, so 32-bit operations split coroutine and index.
    const index = offset & (strideKeyCount - 1);
    if (index >= this.#insertsPerCoroutine) return -1;
    return this.#recordCount + (offset >> strideKeyCountLog2) * this.#insertsPerCoroutine + index;
  }

  wordOffsetOf(row: number): number {
    return row * keyStrideWords;
  }

  #fill(firstRow: number, keys: { first: number; count: number }): void {
    for (let i = 0; i < keys.count; i++) {
      const row = firstRow + i;
      this.lengths[row] = writeKey(keys.first + i, this.bytes, row * keyStrideBytes);
    }
  }
}

const strideKeyCountLog2 = Math.log2(strideKeyCount);
if (!Number.isInteger(strideKeyCountLog2) || clientKeyCount > 2 ** 30) {
  throw new Error('the strides of a client must be a power of two of keys each and span at most 2^30 keys');
}
