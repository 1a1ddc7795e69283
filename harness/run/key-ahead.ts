/**
 * Key names of the next requests of each coroutine, copied many at once.
 *
 * A key table is read at random: copied one at a time, each name waits for memory. A loop over many names
 * lets the processor wait for several of them together.
 */
import type { KeySource, RequestStream } from '../../workloads/index.js';

/** Requests that are looked ahead; a power of two. */
const AHEAD = 32;
/** Words of room for a name; longer ones, as traces have them, are copied when their request begins. */
const ROOM = 8;

/** The names of the next requests of some streams; asked in the order of each stream, from its start. */
export class KeyAhead {
  readonly #keys: KeySource;
  // The arrays alone: streams come from several makers, and an object of yet another shape is slow to read.
  readonly #numbers: readonly Float64Array[];
  readonly #fromLatest: readonly Uint8Array[];
  readonly #words: Uint32Array;
  /** Bytes of each name; 0 when it was not copied ahead. */
  readonly #lengths: Uint8Array;

  readonly #rows = new Int32Array(AHEAD);
  readonly #starts = new Int32Array(AHEAD);
  /** What was read ahead last, for no use but that a compiler must not leave the reads out. */
  touched = 0;

  constructor(keys: KeySource, streams: readonly RequestStream[]) {
    this.#keys = keys;
    this.#numbers = streams.map((s) => s.keys);
    this.#fromLatest = streams.map((s) => s.fromLatest);
    this.#words = new Uint32Array(streams.length * AHEAD * ROOM);
    this.#lengths = new Uint8Array(streams.length * AHEAD);
  }

  /**
   * Copies the name of request `position` of a stream to word `to` of `words`; returns its length in bytes,
   * or 0 when the caller must copy it: a long one, or one that is known only when its request begins.
   */
  copy(coroutine: number, position: number, words: Uint32Array, to: number): number {
    const ahead = position & (AHEAD - 1);
    if (ahead === 0) this.#fill(coroutine, position);
    const slot = coroutine * AHEAD + ahead;
    const from = slot * ROOM;
    const lengthBytes = this.#lengths[slot];
    for (let w = 0; w < lengthBytes; w += 4) words[to + (w >>> 2)] = this.#words[from + (w >>> 2)];
    return lengthBytes;
  }

  #fill(coroutine: number, position: number): void {
    const numbers = this.#numbers[coroutine];
    const fromLatest = this.#fromLatest[coroutine];
    const rows = this.#rows;
    const end = Math.min(AHEAD, numbers.length - position);
    for (let i = 0; i < end; i++)
      rows[i] = fromLatest[position + i] === 0 ? this.#keys.rowOf(numbers[position + i]) : -1;
    this.#touch(end);
    for (let i = 0; i < end; i++) this.#copyRow(coroutine * AHEAD + i, rows[i]);
  }

  /** Tight loops of reads that do not depend on each other: only these overlap. */
  #touch(count: number): void {
    const { words, lengths } = this.#keys;
    const rows = this.#rows;
    const starts = this.#starts;
    let read = 0;
    for (let i = 0; i < count; i++) starts[i] = rows[i] < 0 ? 0 : this.#keys.wordOffsetOf(rows[i]);
    for (let i = 0; i < count; i++) read ^= words[starts[i]] ^ words[starts[i] + 5];
    for (let i = 0; i < count; i++) read ^= rows[i] < 0 ? 0 : lengths[rows[i]];
    this.touched = read;
  }

  #copyRow(slot: number, row: number): void {
    const { words, lengths } = this.#keys;
    const lengthBytes = row < 0 ? 0 : lengths[row];
    const isCopied = lengthBytes <= 4 * ROOM;
    this.#lengths[slot] = isCopied ? lengthBytes : 0;
    if (!isCopied || row < 0) return;
    const from = this.#keys.wordOffsetOf(row);
    for (let w = 0; w < lengthBytes; w += 4) this.#words[slot * ROOM + (w >>> 2)] = words[from + (w >>> 2)];
  }
}
