import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKET_BYTES, GROUP_BYTES } from '../layout/index.js';
import {
  CANDIDATE_OFFSET,
  CANDIDATES,
  candidateSlot,
  keyMemory,
  keyPlace,
  locateKey,
  xxHash32Pair,
} from './hash.js';

/** xxHash32 from its specification, in BigInt: shares nothing with the code under test. */
function xxHash32BySpecification(bytes: Uint8Array, seed: bigint): number {
  const P = [2654435761n, 2246822519n, 3266489917n, 668265263n, 374761393n];
  const u32 = (x: bigint): bigint => BigInt.asUintN(32, x);
  const rotate = (x: bigint, n: bigint): bigint => u32((u32(x) << n) | (u32(x) >> (32n - n)));
  const load = (at: number): bigint => {
    let x = 0n;
    for (let i = 3; i >= 0; i--) x = (x << 8n) | BigInt(bytes[at + i]);
    return x;
  };
  let at = 0;
  let h = u32(seed + P[4]);
  if (bytes.length >= 16) {
    const lanes = [seed + P[0] + P[1], seed + P[1], seed, seed - P[0]];
    while (bytes.length - at >= 16) {
      for (let lane = 0; lane < 4; lane++, at += 4) {
        lanes[lane] = u32(rotate(lanes[lane] + load(at) * P[1], 13n) * P[0]);
      }
    }
    h = rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n);
  }
  h = u32(h + BigInt(bytes.length));
  for (; bytes.length - at >= 4; at += 4) h = u32(rotate(h + load(at) * P[2], 17n) * P[3]);
  for (; at < bytes.length; at++) h = u32(rotate(h + BigInt(bytes[at]) * P[4], 11n) * P[0]);
  h = u32((h ^ (h >> 15n)) * P[1]);
  h = u32((h ^ (h >> 13n)) * P[2]);
  return Number(h ^ (h >> 16n));
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

/** Both hashes by one call, unsigned. */
function xxHash32s(bytes: Uint8Array, at: number, lengthBytes: number, seeds: [number, number]): number[] {
  const into = { placeHash: 0, groupHash: 0 };
  const [placeHash, groupHash] = seeds;
  xxHash32Pair(keyMemory(bytes), at, lengthBytes, { placeHash, groupHash }, into);
  return [into.placeHash >>> 0, into.groupHash >>> 0];
}

describe('xxHash32', () => {
  it.each([
    ['', 0, 0x02cc5d05],
    ['', 0x9e3779b1, 0x36b78ae7],
    ['a', 0, 0x550d7456],
    ['as', 0, 0x9d5a0464],
    ['abc', 0, 0x32d153ff],
    ['asd', 0, 0x3d83552b],
    ['asdf', 0, 0x5e702c32],
    ['Call me Ishmael. Some years ago--never mind how long precisely-', 0, 0x6f320359],
  ])('of %j with seed %i is the published value', (s, seed, expected) => {
    expect(xxHash32s(text(s), 0, text(s).length, [seed, 7])[0]).toBe(expected);
    expect(xxHash32s(text(s), 0, text(s).length, [7, seed])[1]).toBe(expected);
    expect(xxHash32BySpecification(text(s), BigInt(seed))).toBe(expected);
  });

  it('agrees with its specification at every length, alignment and seed', () => {
    const seeds = fc.oneof(
      fc.constantFrom(0, 1, 0x9e3779b9, 0xffffffff),
      fc.integer({ min: 0, max: 0xffffffff }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(3), seeds, seeds, (data, word, seed, other) => {
        const at = 4 * word;
        const bytes = new Uint8Array(at + data.length + 3).fill(0xee);
        bytes.set(data, at);
        expect(xxHash32s(bytes, at, data.length, [seed, other])).toEqual([
          xxHash32BySpecification(data, BigInt(seed)),
          xxHash32BySpecification(data, BigInt(other)),
        ]);
      }),
      { numRuns: 1000 },
    );
  });
});

const indexes = fc.record({
  subtables: fc.nat(8).map((n) => 2 ** n),
  groups: fc.oneof(fc.integer({ min: 2, max: 40 }), fc.constantFrom(32767, 32768)),
});

/** Chi-square of counts against equal shares, as standard deviations above its mean. */
function excess(counts: ArrayLike<number>): number {
  const n = counts.length;
  const total = Array.from(counts).reduce((a, b) => a + b, 0);
  const chi = Array.from(counts).reduce((sum, c) => sum + (c - total / n) ** 2 / (total / n), 0);
  return (chi - (n - 1)) / Math.sqrt(2 * (n - 1));
}

describe('the places of a key', () => {
  it('are two combined buckets of different groups within one subtable', () => {
    fc.assert(
      fc.property(indexes, fc.uint8Array({ minLength: 1, maxLength: 40 }), (index, key) => {
        const place = keyPlace(index);
        locateKey(place, keyMemory(key), 0, key.length);
        const subtableBytes = index.groups * GROUP_BYTES;
        const [subtables, groups] = [0, 1].map((i) => {
          const start = place.combined[i] - place.mainLast[i] * BUCKET_BYTES;
          expect(start % GROUP_BYTES).toBe(0);
          expect([0, 1]).toContain(place.mainLast[i]);
          return [Math.floor(start / subtableBytes), (start % subtableBytes) / GROUP_BYTES];
        });
        expect(subtables[0]).toBe(groups[0]);
        expect(subtables[1]).not.toBe(groups[1]);
        expect(subtables[0]).toBeLessThan(index.subtables);
        expect(place.fingerprint).toBe(xxHash32BySpecification(key, 0n) >>> 24);
        expect(subtables[0]).toBe(xxHash32BySpecification(key, 0n) % index.subtables);
      }),
      { numRuns: 1000 },
    );
  });

  it('name 28 distinct slots, in the order in which two READs of 128 bytes bring them back', () => {
    const place = keyPlace({ subtables: 4, groups: 5 });
    for (let i = 0; i < 50; i++) {
      locateKey(place, keyMemory(text(`key-${i}`)), 0, 6);
      const slots = Array.from({ length: CANDIDATES }, (_, c) => candidateSlot(place, c));
      expect(new Set(slots).size).toBe(28);
      slots.forEach((slot, c) => {
        const read = c < 14 ? 0 : 1;
        expect(CANDIDATE_OFFSET[c] - 128 * read).toBe(slot - place.combined[read]);
        // Never a bucket header.
        expect(slot % 64).toBeGreaterThan(0);
        expect(slot - place.combined[read]).toBeLessThan(128);
        expect(slot - place.combined[read]).toBeGreaterThan(0);
      });
    }
  });

  it.each([2, 3, 64])('spread evenly over subtables, fingerprints, sides and both of %i groups', (groups) => {
    const place = keyPlace({ subtables: 8, groups });
    const counts = {
      subtable: new Uint32Array(8),
      fingerprint: new Uint32Array(256),
      first: new Uint32Array(groups),
      second: new Uint32Array(groups),
      step: new Uint32Array(groups - 1),
      sides: new Uint32Array(4),
      vacancyBits: new Uint32Array(256),
    };
    for (let i = 0; i < 20000; i++) {
      const key = text(`user${i}`);
      locateKey(place, keyMemory(key), 0, key.length);
      const at = [0, 1].map((c) => Math.floor(place.combined[c] / GROUP_BYTES) % groups);
      counts.subtable[Math.floor(place.combined[0] / (groups * GROUP_BYTES))]++;
      counts.fingerprint[place.fingerprint]++;
      counts.first[at[0]]++;
      counts.second[at[1]]++;
      counts.step[(at[1] - at[0] + groups - 1) % groups]++;
      counts.sides[place.mainLast[0] * 2 + place.mainLast[1]]++;
      counts.vacancyBits[(place.placeHash >>> 16) & 255]++;
    }
    for (const [name, of] of Object.entries(counts)) {
      // 32768 hash values do not divide by 3: a share may be off by 1 / 32768, which 20000 keys cannot show.
      if (of.length > 1) expect({ name, isEven: Math.abs(excess(of)) < 4.5 }).toEqual({ name, isEven: true });
    }
  });
});
