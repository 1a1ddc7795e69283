/**
 * Numbers for words and byte strings, so that states are small vectors of numbers; number 0 is the zero word.
 */
import { formatWord, type Word, word } from '../../../fusee/verbs/index.js';

/** Gives each word, and each byte string, a number of its own. */
export class Interner {
  readonly #words: Word[] = [];
  readonly #wordIds = new Map<string, number>();
  readonly #bytes: Uint8Array[] = [];
  readonly #byteIds = new Map<string, number>();

  constructor() {
    this.word(0, 0);
  }

  /** The number of a word. */
  word(hi: number, lo: number): number {
    const key = formatWord({ hi, lo });
    const known = this.#wordIds.get(key);
    if (known !== undefined) return known;
    this.#wordIds.set(key, this.#words.length);
    return this.#words.push(word(hi, lo)) - 1;
  }

  wordAt(id: number, into: Word): Word {
    into.hi = this.#words[id].hi;
    into.lo = this.#words[id].lo;
    return into;
  }

  /** The number of `lengthBytes` bytes of `from` at `at`. */
  bytes(from: Uint8Array, at: number, lengthBytes: number): number {
    const key = Buffer.from(from.buffer, from.byteOffset + at, lengthBytes).toString('latin1');
    const known = this.#byteIds.get(key);
    if (known !== undefined) return known;
    this.#byteIds.set(key, this.#bytes.length);
    return this.#bytes.push(from.slice(at, at + lengthBytes)) - 1;
  }

  bytesAt(id: number): Uint8Array {
    return this.#bytes[id];
  }
}
