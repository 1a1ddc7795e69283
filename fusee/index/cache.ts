/**
 * The adaptive index cache of one client (FUSEE section 4.6, protocol of hits in section 4.2).
 *
 * An entry remembers, for one key, the slot's place and the word it held. A hit is only a hint: it is valid
 * when the slot, read again in the same round trip, still holds that word (hazard H6). Entries whose slot
 * keeps changing are bypassed; their counters keep moving, so that they recover.
 *
 * Four-way sets in typed arrays, bounded in bytes. Keys stand in the entries, so a hash collision is no hit;
 * a key longer than the entry's room is not cached. Keys are passed as words of registered memory, at a
 * multiple of 4.
 */
import type { Word } from '../verbs/index.js';
import type { KeyMemory, KeyPlace } from './hash.js';

const WAYS = 4;
/** 32-bit words of an entry ahead of its key: hash, slot, slot word, counters. */
const HEAD_WORDS = 8;
const HASH = 0;
const KEY_BYTES = 1;
const SLOT_LO = 2;
const SLOT_HI = 3;
const WORD_LO = 4;
const WORD_HI = 5;
/** Accesses in the low half, invalid ones in the high half. */
const COUNTERS = 6;
/** The client's period when the word was read from the slot, or written there. */
const PERIOD = 7;
const INVALID_ONE = 0x10000;
/** Counters are halved when they reach this, so that old behaviour fades. */
const COUNTER_LIMIT = 1024;

export interface CacheOptions {
  /** Memory for entries; 0 switches the cache off. */
  readonly bytes: number;
  /** Longest key that is cached. */
  readonly keyBytes: number;
  /** Bypass a key when its invalid share of accesses exceeds this. */
  readonly threshold: number;
}

/** 32 MiB hold about half a million keys of up to 32 bytes; 0.1 is the paper's threshold (section 6.1). */
export const DEFAULT_CACHE: CacheOptions = { bytes: 32 << 20, keyBytes: 32, threshold: 0.1 };

/** The cache of one client; the head of this file says what an entry means. */
export class IndexCache {
  readonly #threshold: number;
  readonly #keyBytes: number;
  readonly #entryWords: number;
  readonly #setMask: number;
  readonly #words: Uint32Array;
  /** The entry that the last {@link lookup} found, as a word offset. */
  #at = 0;
  /** What {@link touch} read last, for no use but that a compiler must not leave the reads out. */
  touched = 0;
  hits = 0;
  misses = 0;
  bypassed = 0;

  /**
   * @param storage memory for the entries, at least {@link CacheOptions.bytes}, zeroed: large pages spare
   * each lookup a walk of page tables. @default memory of its own
   */
  constructor(options: CacheOptions = DEFAULT_CACHE, storage?: Uint32Array) {
    this.#threshold = options.threshold;
    this.#keyBytes = options.keyBytes;
    this.#entryWords = HEAD_WORDS + Math.ceil(options.keyBytes / 32) * 8;
    const sets = Math.floor(options.bytes / (this.#entryWords * 4 * WAYS));
    this.#setMask = sets < 1 ? -1 : 2 ** Math.floor(Math.log2(sets)) - 1;
    const words = (this.#setMask + 1) * WAYS * this.#entryWords;
    this.#words = storage?.subarray(0, words) ?? new Uint32Array(words);
  }

  /** Bytes that entries take. */
  get bytes(): number {
    return this.#words.byteLength;
  }

  /**
   * Looks a key up and counts the access; on true, `slotWord` holds the cached word and {@link slot} the
   * place. False for a key that is absent, too long, or bypassed.
   */
  lookup(place: KeyPlace, memory: KeyMemory, at: number, lengthBytes: number, slotWord: Word): boolean {
    const e = this.#find(place, memory, at, lengthBytes);
    if (e < 0) {
      this.misses++;
      return false;
    }
    const w = this.#words;
    let counters = ++w[e + COUNTERS];
    if ((counters & 0xffff) >= COUNTER_LIMIT) {
      counters = (counters >>> 1) & 0x7fff7fff;
      w[e + COUNTERS] = counters;
    }
    const invalid = counters >>> 16;
    if (invalid > 1 && invalid > this.#threshold * (counters & 0xffff)) {
      this.bypassed++;
      return false;
    }
    this.hits++;
    this.#at = e;
    slotWord.lo = w[e + WORD_LO];
    slotWord.hi = w[e + WORD_HI];
    return true;
  }

  /** Where the entries of a place stand, for {@link touch}; 0 when the cache is off. */
  setOf(place: KeyPlace): number {
    return this.#setMask < 0 ? 0 : this.#set(place);
  }

  /**
   * Reads the first two entries of each of `count` sets: a tight loop, so that the processor waits for all of
   * them together and look-ups then find them near; look-ups one after the other would wait once each.
   */
  touch(sets: Uint32Array, count: number): void {
    if (this.#setMask < 0) return;
    const words = this.#words;
    let read = 0;
    const stride = this.#entryWords;
    for (let i = 0; i < count; i++) read ^= words[sets[i]] ^ words[sets[i] + stride];
    this.touched = read;
  }

  /** Logical index offset of the slot that the last successful {@link lookup} found. */
  get slot(): number {
    return this.#words[this.#at + SLOT_LO] + this.#words[this.#at + SLOT_HI] * 0x100000000;
  }

  /** The period in which the word that the last successful {@link lookup} found was seen in the slot. */
  get period(): number {
    return this.#words[this.#at + PERIOD];
  }

  /**
   * Records what an operation of a period learned: the key's slot held `slotWord`.
   *
   * @param own true when this client has just written it: a change by our own hand is no sign of a key that
   * others write, so it does not count as invalid.
   */
  learn(
    place: KeyPlace,
    memory: KeyMemory,
    at: number,
    lengthBytes: number,
    slot: number,
    slotWord: Word,
    own: boolean,
    period = 0,
  ): void {
    if (this.#setMask < 0 || lengthBytes > this.#keyBytes) return;
    let e = this.#find(place, memory, at, lengthBytes);
    const w = this.#words;
    if (e < 0) {
      e = this.#victim(place);
      w[e + HASH] = place.placeHash;
      w[e + KEY_BYTES] = lengthBytes;
      w[e + COUNTERS] = 1;
      const { words } = memory;
      const whole = lengthBytes >>> 2;
      for (let i = 0; i < whole; i++) w[e + HEAD_WORDS + i] = words[(at >>> 2) + i];
      if ((lengthBytes & 3) !== 0)
        w[e + HEAD_WORDS + whole] = words[(at >>> 2) + whole] & lastMask(lengthBytes);
    } else if (!own && (w[e + WORD_LO] !== slotWord.lo || w[e + WORD_HI] !== slotWord.hi)) {
      if (w[e + COUNTERS] < COUNTER_LIMIT * INVALID_ONE) w[e + COUNTERS] += INVALID_ONE;
    }
    w[e + PERIOD] = period;
    // Not `%`: of doubles it is a call into a C library.
    const high = Math.floor(slot / 0x100000000);
    w[e + SLOT_LO] = slot - high * 0x100000000;
    w[e + SLOT_HI] = high;
    w[e + WORD_LO] = slotWord.lo;
    w[e + WORD_HI] = slotWord.hi;
  }

  /** Drops a key: it was deleted, or its slot no longer names it. */
  forget(place: KeyPlace, memory: KeyMemory, at: number, lengthBytes: number): void {
    const e = this.#find(place, memory, at, lengthBytes);
    if (e >= 0) this.#words[e + KEY_BYTES] = 0;
  }

  #set(place: KeyPlace): number {
    // Group bits choose the set: fingerprint and subtable bits would leave most sets empty.
    return ((place.groupHash ^ (place.placeHash << 7)) & this.#setMask) * WAYS * this.#entryWords;
  }

  #find(place: KeyPlace, memory: KeyMemory, at: number, lengthBytes: number): number {
    if (this.#setMask < 0 || lengthBytes > this.#keyBytes) return -1;
    const w = this.#words;
    const stride = this.#entryWords;
    const first = this.#set(place);
    const hash = place.placeHash >>> 0;
    for (let e = first, end = first + WAYS * stride; e < end; e += stride) {
      if (
        w[e + HASH] === hash &&
        w[e + KEY_BYTES] === lengthBytes &&
        this.#sameKey(e, memory.words, at, lengthBytes)
      )
        return e;
    }
    return -1;
  }

  #sameKey(e: number, words: Uint32Array, at: number, lengthBytes: number): boolean {
    const own = this.#words;
    const mine = e + HEAD_WORDS;
    const theirs = at >>> 2;
    const whole = lengthBytes >>> 2;
    for (let i = 0; i < whole; i++) if (own[mine + i] !== words[theirs + i]) return false;
    if ((lengthBytes & 3) === 0) return true;
    return ((own[mine + whole] ^ words[theirs + whole]) & lastMask(lengthBytes)) === 0;
  }

  /** A free way, or the least used; the others age, so that no entry stays for ever. */
  #victim(place: KeyPlace): number {
    const w = this.#words;
    const first = this.#set(place);
    let least = first;
    for (let i = 0, e = first; i < WAYS; i++, e += this.#entryWords) {
      if (w[e + KEY_BYTES] === 0) return e;
      if ((w[e + COUNTERS] & 0xffff) < (w[least + COUNTERS] & 0xffff)) least = e;
    }
    for (let i = 0, e = first; i < WAYS; i++, e += this.#entryWords) {
      // A quarter, rounded up: rounded down, a count below 4 would never age.
      const accesses = w[e + COUNTERS] & 0xffff;
      const invalid = w[e + COUNTERS] >>> 16;
      w[e + COUNTERS] = accesses - ((accesses + 3) >>> 2) + (invalid - ((invalid + 3) >>> 2)) * INVALID_ONE;
    }
    return least;
  }
}

/** The bytes of a key's last, partial word. */
const lastMask = (lengthBytes: number): number => (1 << ((lengthBytes & 3) << 3)) - 1;
