/**
 * Where a key may live (RACE hashing, as FUSEE section 4.2 uses it).
 *
 * Two xxHash32 values with different seeds make 64 bits: subtable, fingerprint and two groups, each used for
 * one purpose only. The two groups always differ, so the two combined buckets share no slot.
 */
import { BUCKET_BYTES, BUCKET_SLOTS, COMBINED_SLOTS, GROUP_BYTES } from '../layout/index.js';

const P1 = 2654435761;
const P2 = 2246822519;
const P3 = 3266489917;
const P4 = 668265263;
const P5 = 374761393;

/** Memory that keys lie in, seen as words and as bytes; registered memory is such. */
export interface KeyMemory {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

/** A key in memory of its own, at 0: for tools and tests. */
export function keyMemory(key: Uint8Array): KeyMemory {
  const words = new Uint32Array((key.length + 3) >>> 2);
  const bytes = new Uint8Array(words.buffer);
  bytes.set(key);
  return { words, bytes };
}

/**
 * xxHash32 of `lengthBytes` bytes at `at`, a multiple of 4, as a *signed* 32-bit number: those stay unboxed.
 */
export function xxHash32({ words, bytes }: KeyMemory, at: number, lengthBytes: number, seed: number): number {
  let w = at >>> 2;
  const wordsEnd = w + (lengthBytes >>> 2);
  let h: number;
  if (lengthBytes >= 16) {
    let a = (seed + P1 + P2) | 0;
    let b = (seed + P2) | 0;
    let c = seed | 0;
    let d = (seed - P1) | 0;
    for (; w + 4 <= wordsEnd; w += 4) {
      a = round(a, words[w]);
      b = round(b, words[w + 1]);
      c = round(c, words[w + 2]);
      d = round(d, words[w + 3]);
    }
    h = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
  } else {
    h = (seed + P5) | 0;
  }
  h = (h + lengthBytes) | 0;
  for (; w < wordsEnd; w++) h = Math.imul(rotate((h + Math.imul(words[w], P3)) | 0, 17), P4);
  const end = at + lengthBytes;
  for (let p = wordsEnd << 2; p < end; p++) h = Math.imul(rotate((h + Math.imul(bytes[p], P5)) | 0, 11), P1);
  h = Math.imul(h ^ (h >>> 15), P2);
  h = Math.imul(h ^ (h >>> 13), P3);
  return h ^ (h >>> 16);
}

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));
const round = (acc: number, lane: number): number =>
  Math.imul(rotate((acc + Math.imul(lane, P2)) | 0, 13), P1);

const SEED_PLACE = 0;
const SEED_GROUPS = 0x9e3779b9;

/** The places of one key in one index; filled by {@link locateKey}, reused for each request. */
export interface KeyPlace {
  readonly subtables: number;
  readonly groups: number;
  /** The 64 hash bits, as two signed 32-bit numbers. */
  placeHash: number;
  groupHash: number;
  fingerprint: number;
  /**
   * Logical index offsets of the two combined buckets; both lie in one subtable, hence on the same replicas.
   */
  readonly combined: Float64Array;
  /** 1 when the main bucket is the second half of that combined bucket. */
  readonly mainLast: Uint8Array;
}

/** A place for keys of an index of `subtables` (a power of two) x `groups`. */
export const keyPlace = (index: { subtables: number; groups: number }): KeyPlace => ({
  subtables: index.subtables,
  groups: index.groups,
  placeHash: 0,
  groupHash: 0,
  fingerprint: 0,
  combined: new Float64Array(2),
  mainLast: new Uint8Array(2),
});

/** Computes where the key of `lengthBytes` bytes at `at`, a multiple of 4, may live. */
export function locateKey(place: KeyPlace, memory: KeyMemory, at: number, lengthBytes: number): void {
  const h1 = xxHash32(memory, at, lengthBytes, SEED_PLACE);
  const h2 = xxHash32(memory, at, lengthBytes, SEED_GROUPS);
  const groups = place.groups;
  place.placeHash = h1;
  place.groupHash = h2;
  place.fingerprint = h1 >>> 24;
  const base = (h1 & (place.subtables - 1)) * groups * GROUP_BYTES;
  const first = ((h2 & 0x7fff) * groups) >>> 15;
  // The step is 1 to groups - 1, so the second group is never the first.
  let second = first + 1 + ((((h2 >>> 16) & 0x7fff) * (groups - 1)) >>> 15);
  if (second >= groups) second -= groups;
  const firstMainLast = (h2 >>> 15) & 1;
  const secondMainLast = h2 >>> 31;
  place.mainLast[0] = firstMainLast;
  place.mainLast[1] = secondMainLast;
  place.combined[0] = base + first * GROUP_BYTES + firstMainLast * BUCKET_BYTES;
  place.combined[1] = base + second * GROUP_BYTES + secondMainLast * BUCKET_BYTES;
}

/** Candidate slots of a key: the slots of both combined buckets. */
export const CANDIDATES: number = 2 * COMBINED_SLOTS;

/** Offset of candidate `i` within the 256 bytes that READs of both combined buckets bring back. */
export const CANDIDATE_OFFSET: Uint16Array = Uint16Array.from({ length: CANDIDATES }, (_, i) => {
  const bucket = Math.floor(i / BUCKET_SLOTS);
  return bucket * BUCKET_BYTES + 8 + (i % BUCKET_SLOTS) * 8;
});

/** Logical index offset of candidate `i`. */
export const candidateSlot = (place: KeyPlace, i: number): number =>
  i < COMBINED_SLOTS
    ? place.combined[0] + CANDIDATE_OFFSET[i]
    : place.combined[1] + CANDIDATE_OFFSET[i] - 2 * BUCKET_BYTES;
