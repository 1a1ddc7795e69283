/**
 * Where a key may live (RACE hashing, as FUSEE section 4.2 uses it).
 *
 * Two xxHash32 values with different seeds make 64 bits: subtable, fingerprint and two groups, each used for
 * one purpose only. The two groups always differ, so the two combined buckets share no slot. The subtable
 * takes its bits from below, as many as its local depth; the place within does not depend on it, so that a
 * split moves words without moving their offsets.
 */
import { BUCKET_BYTES, BUCKET_SLOTS, COMBINED_SLOTS, GROUP_BYTES } from '../layout/index.js';
import { Directory } from './directory.js';

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

/** The 64 hash bits of a key, as two *signed* 32-bit numbers: those stay unboxed. */
export interface HashPair {
  /** Gives subtable and fingerprint. */
  placeHash: number;
  /** Gives the groups. */
  groupHash: number;
}

/**
 * xxHash32 of `lengthBytes` bytes at `at`, a multiple of 4, by two seeds at once: the key is read once, and
 * the two chains of multiplications overlap.
 */
export function xxHash32Pair(
  { words, bytes }: KeyMemory,
  at: number,
  lengthBytes: number,
  seeds: Readonly<HashPair>,
  into: HashPair,
): void {
  let w = at >>> 2;
  const wordsEnd = w + (lengthBytes >>> 2);
  const { placeHash: s, groupHash: t } = seeds;
  let g: number;
  let h: number;
  if (lengthBytes >= 16) {
    let a = (s + P1 + P2) | 0;
    let b = (s + P2) | 0;
    let c = s | 0;
    let d = (s - P1) | 0;
    let e = (t + P1 + P2) | 0;
    let f = (t + P2) | 0;
    let i = t | 0;
    let j = (t - P1) | 0;
    for (; w + 4 <= wordsEnd; w += 4) {
      const w0 = Math.imul(words[w], P2);
      const w1 = Math.imul(words[w + 1], P2);
      const w2 = Math.imul(words[w + 2], P2);
      const w3 = Math.imul(words[w + 3], P2);
      a = round(a, w0);
      b = round(b, w1);
      c = round(c, w2);
      d = round(d, w3);
      e = round(e, w0);
      f = round(f, w1);
      i = round(i, w2);
      j = round(j, w3);
    }
    g = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
    h = (rotate(e, 1) + rotate(f, 7) + rotate(i, 12) + rotate(j, 18)) | 0;
  } else {
    g = (s + P5) | 0;
    h = (t + P5) | 0;
  }
  g = (g + lengthBytes) | 0;
  h = (h + lengthBytes) | 0;
  for (; w < wordsEnd; w++) {
    const lane = Math.imul(words[w], P3);
    g = Math.imul(rotate((g + lane) | 0, 17), P4);
    h = Math.imul(rotate((h + lane) | 0, 17), P4);
  }
  const end = at + lengthBytes;
  for (let p = wordsEnd << 2; p < end; p++) {
    const lane = Math.imul(bytes[p], P5);
    g = Math.imul(rotate((g + lane) | 0, 11), P1);
    h = Math.imul(rotate((h + lane) | 0, 11), P1);
  }
  into.placeHash = avalanche(g);
  into.groupHash = avalanche(h);
}

function avalanche(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 15), P2);
  h = Math.imul(h ^ (h >>> 13), P3);
  return h ^ (h >>> 16);
}

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));
/** One step; `product` is the lane times P2, the same for every seed. */
const round = (acc: number, product: number): number => Math.imul(rotate((acc + product) | 0, 13), P1);

const SEEDS: Readonly<HashPair> = { placeHash: 0, groupHash: 0x9e3779b9 | 0 };

/** The places of one key in one index; filled by {@link locateKey}, reused for each request. */
export interface KeyPlace extends HashPair {
  /** The client's own, shared by all its coroutines: changes under them. */
  readonly directory: Directory;
  readonly groups: number;
  readonly subtableBytes: number;
  fingerprint: number;
  /** Logical index offset of the key's subtable. */
  base: number;
  /**
   * Logical index offsets of the two combined buckets; both lie in one subtable, hence on the same replicas.
   */
  readonly combined: Float64Array;
  /** 1 when the main bucket is the second half of that combined bucket. */
  readonly mainLast: Uint8Array;
}

/** A place for keys of an index of subtables of `groups`: by a directory, or of a fixed power of two. */
export const keyPlace = (
  index: { groups: number } & ({ subtables: number } | { directory: Directory }),
): KeyPlace => ({
  directory: 'directory' in index ? index.directory : new Directory(index.subtables),
  groups: index.groups,
  subtableBytes: index.groups * GROUP_BYTES,
  placeHash: 0,
  groupHash: 0,
  fingerprint: 0,
  // Not 0: a field that begins so and becomes a double changes the shape of its object.
  base: -0,
  combined: new Float64Array(2),
  mainLast: new Uint8Array(2),
});

/** Computes where the key of `lengthBytes` bytes at `at`, a multiple of 4, may live. */
export function locateKey(place: KeyPlace, memory: KeyMemory, at: number, lengthBytes: number): void {
  hashKey(place, memory, at, lengthBytes);
  placeKey(place);
}

/** The first half of {@link locateKey}: nothing in it depends on the directory. */
export function hashKey(place: KeyPlace, memory: KeyMemory, at: number, lengthBytes: number): void {
  xxHash32Pair(memory, at, lengthBytes, SEEDS, place);
}

/** The second half: by the hashes in `place`, and by the directory as it is now. */
export function placeKey(place: KeyPlace): void {
  const { placeHash: h1, groupHash: h2, groups, directory } = place;
  place.fingerprint = h1 >>> 24;
  const base = directory.subtableOf[h1 & directory.mask] * place.subtableBytes;
  const first = ((h2 & 0x7fff) * groups) >>> 15;
  // The step is 1 to groups - 1, so the second group is never the first.
  let second = first + 1 + ((((h2 >>> 16) & 0x7fff) * (groups - 1)) >>> 15);
  if (second >= groups) second -= groups;
  const firstMainLast = (h2 >>> 15) & 1;
  const secondMainLast = h2 >>> 31;
  place.base = base;
  place.mainLast[0] = firstMainLast;
  place.mainLast[1] = secondMainLast;
  place.combined[0] = base + first * GROUP_BYTES + firstMainLast * BUCKET_BYTES;
  place.combined[1] = base + second * GROUP_BYTES + secondMainLast * BUCKET_BYTES;
}

/** True when the slot lies in the key's subtable: one that does not was remembered from before a split. */
export const isInSubtable = (place: KeyPlace, slot: number): boolean =>
  slot >= place.base && slot < place.base + place.subtableBytes;

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
