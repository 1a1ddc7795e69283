/** What the bytes of a key's two combined buckets say: pure functions over bytes already read. */
import { BUCKET_SLOTS, isFree, isKv, slotFingerprint } from '../layout/index.js';
import { type Word, word } from '../verbs/index.js';
import { CANDIDATE_OFFSET, CANDIDATES, type KeyPlace } from './hash.js';

/** Bytes of both combined buckets, as two READs of 128 bytes land side by side. */
export const CANDIDATE_BYTES = 256;

/** The word of candidate `i`, from buckets read to registered memory at `at` (8-byte aligned). */
export function candidateWord(words: Uint32Array, at: number, i: number, into: Word): Word {
  const w = (at + CANDIDATE_OFFSET[i]) >>> 2;
  into.lo = words[w];
  into.hi = words[w + 1];
  return into;
}

/** The first candidate from `from` on that is a KV with the fingerprint, or -1. */
export function nextMatch(words: Uint32Array, at: number, from: number, fingerprint: number): number {
  for (let i = from; i < CANDIDATES; i++) {
    const lo = words[(at + CANDIDATE_OFFSET[i]) >>> 2];
    // A KV has a length and no kind bits in the pointer's low 6.
    if ((lo & 255) === fingerprint && (lo & 0xff00) !== 0 && (lo & 0x3f0000) === 0) return i;
  }
  return -1;
}

const scratch = word();

/** The candidate with exactly this word, or -1. */
export function candidateHolding(words: Uint32Array, at: number, wanted: Word): number {
  for (let i = 0; i < CANDIDATES; i++) {
    candidateWord(words, at, i, scratch);
    if (scratch.lo === wanted.lo && scratch.hi === wanted.hi) return i;
  }
  return -1;
}

function freeIn(words: Uint32Array, at: number, bucket: number): number {
  let free = 0;
  for (let i = bucket * BUCKET_SLOTS; i < (bucket + 1) * BUCKET_SLOTS; i++) {
    if (isFree(candidateWord(words, at, i, scratch))) free++;
  }
  return free;
}

/**
 * The free candidate that an INSERT of the key should claim, or -1 when all are taken.
 *
 * Main buckets before overflow buckets; of two, the emptier; among its free slots one chosen by the key's
 * hash, so that different keys collide rarely and two INSERTs of one key meet in the same slot.
 */
export function chooseVacancy(words: Uint32Array, at: number, place: KeyPlace): number {
  for (const overflow of [0, 1]) {
    const first = place.mainLast[0] ^ overflow;
    const second = 2 + (place.mainLast[1] ^ overflow);
    const freeFirst = freeIn(words, at, first);
    const freeSecond = freeIn(words, at, second);
    if (freeFirst + freeSecond === 0) continue;
    const preferSecond =
      freeSecond > freeFirst || (freeSecond === freeFirst && (place.placeHash & 0x10000) !== 0);
    const bucket = preferSecond ? second : first;
    let skip = ((place.placeHash >>> 17) & 127) % (preferSecond ? freeSecond : freeFirst);
    for (let i = bucket * BUCKET_SLOTS; ; i++) {
      if (isFree(candidateWord(words, at, i, scratch)) && skip-- === 0) return i;
    }
  }
  return -1;
}

/** True when the word is a KV whose fingerprint is the key's. */
export const matches = (w: Word, fingerprint: number): boolean =>
  isKv(w) && slotFingerprint(w) === fingerprint;
