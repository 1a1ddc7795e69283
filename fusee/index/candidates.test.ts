import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GROUP_BYTES, GROUP_SLOTS, KIND_MOVED, KIND_TENT, makeSlot } from '../layout/index.js';
import { type Word, word } from '../verbs/index.js';
import {
  CANDIDATE_BYTES,
  candidateHolding,
  candidateWord,
  chooseVacancy,
  matches,
  nextMatch,
} from './candidates.js';
import { CANDIDATES, candidateSlot, type KeyPlace, keyMemory, keyPlace, locateKey } from './hash.js';

const AT = 128;
const KV = makeSlot(word(), 4096, 2, 7);
const TOMB = makeSlot(word(), 8192, 0, 7);
const TENT = makeSlot(word(), 4096 + KIND_TENT, 2, 7);
const MOVED = makeSlot(word(), 4096 + KIND_MOVED, 0, 7);

/** Both combined buckets at {@link AT}: headers that look like matches, and the given words. */
function buckets(content: (candidate: number) => Word): Uint32Array {
  const words = new Uint32Array((AT + CANDIDATE_BYTES + 64) / 4);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = KV.lo;
    words[i + 1] = KV.hi;
  }
  for (let q = 0; q < CANDIDATES; q++) {
    const w = content(q);
    const at = (AT + Math.floor(q / 7) * 64 + 8 + (q % 7) * 8) / 4;
    words[at] = w.lo;
    words[at + 1] = w.hi;
  }
  return words;
}

function place(sides: [number, number], placeHash = 0): KeyPlace {
  const p = keyPlace({ subtables: 1, groups: 2 });
  p.mainLast.set(sides);
  p.placeHash = placeHash;
  return p;
}

describe('candidates', () => {
  it('are the 28 slots behind the bucket headers', () => {
    const words = buckets((q) => word(q + 1, q + 100));
    for (let q = 0; q < CANDIDATES; q++) {
      expect(candidateWord(words, AT, q, word())).toEqual(word(q + 1, q + 100));
      expect(candidateHolding(words, AT, word(q + 1, q + 100))).toBe(q);
      expect(candidateHolding(words, AT, word(q, q + 100))).toBe(-1);
    }
  });

  it('match when they are a KV of the fingerprint, and no tombstone, tentative or moved slot does', () => {
    const content = [word(), TOMB, TENT, MOVED, KV, makeSlot(word(), 64, 2, 8), makeSlot(word(), 64, 1, 7)];
    const words = buckets((q) => content[q % 7]);
    const found: number[] = [];
    for (let q = nextMatch(words, AT, 0, 7); q >= 0; q = nextMatch(words, AT, q + 1, 7)) found.push(q);
    expect(found).toEqual([4, 6, 11, 13, 18, 20, 25, 27]);
    expect(content.map((w) => matches(w, 7))).toEqual([false, false, false, false, true, false, true]);
    expect(nextMatch(words, AT, 28, 7)).toBe(-1);
    expect(nextMatch(words, AT, 0, 9)).toBe(-1);
  });
});

describe('an INSERT claims', () => {
  const sides: [number, number][] = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ];

  it.each(sides)('a main bucket before any overflow bucket, with main halves %i and %i', (a, b) => {
    const mains = [a, 2 + b];
    for (const main of mains) {
      // One vacancy in this main bucket, 14 in the overflows.
      const words = buckets((q) => (q === main * 7 + 3 || !mains.includes(Math.floor(q / 7)) ? word() : KV));
      expect(chooseVacancy(words, AT, place([a, b]))).toBe(main * 7 + 3);
    }
    for (const overflow of [a ^ 1, 2 + (b ^ 1)]) {
      const words = buckets((q) => (q === overflow * 7 + 6 ? TOMB : KV));
      expect(chooseVacancy(words, AT, place([a, b]))).toBe(overflow * 7 + 6);
    }
  });

  it.each(sides)('the emptier of two buckets, with main halves %i and %i', (a, b) => {
    for (const level of [0, 1]) {
      const pair = [a ^ level, 2 + (b ^ level)];
      for (const emptier of [0, 1]) {
        for (const hash of [0, 0x10000, 0xffffffff]) {
          const free = (q: number): boolean => {
            const bucket = Math.floor(q / 7);
            return bucket === pair[emptier] ? q % 7 < 3 : bucket === pair[1 - emptier] && q % 7 < 2;
          };
          const chosen = chooseVacancy(
            buckets((q) => (free(q) ? word() : KV)),
            AT,
            place([a, b], hash),
          );
          expect(Math.floor(chosen / 7)).toBe(pair[emptier]);
        }
      }
    }
  });

  it('of two equally empty buckets the one that the hash says', () => {
    const words = buckets(() => word());
    expect(Math.floor(chooseVacancy(words, AT, place([0, 0], 0)) / 7)).toBe(0);
    expect(Math.floor(chooseVacancy(words, AT, place([0, 0], 0x10000)) / 7)).toBe(2);
  });

  it('among free slots the one that the hash says, each equally often', () => {
    const free = [1, 2, 4, 6];
    const words = buckets((q) => (free.includes(q) ? TOMB : KV));
    for (let n = 0; n < 128; n++) {
      expect(chooseVacancy(words, AT, place([0, 0], n << 17))).toBe(free[n % 4]);
    }
  });

  it('only what is EMPTY or a tombstone; nothing when all is taken', () => {
    const taken = [KV, TENT, MOVED];
    expect(
      chooseVacancy(
        buckets((q) => taken[q % 3]),
        AT,
        place([0, 1]),
      ),
    ).toBe(-1);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 28, maxLength: 28 }), fc.integer(), (content, hash) => {
        const kinds = [word(), TOMB, ...taken];
        const words = buckets((q) => kinds[content[q] % 5]);
        const chosen = chooseVacancy(words, AT, place([hash & 1, (hash >>> 1) & 1], hash >>> 0));
        const isVacant = (q: number): boolean => content[q] % 5 < 2;
        if (chosen < 0) expect(Array.from(content.keys()).some(isVacant)).toBe(false);
        else expect(isVacant(chosen)).toBe(true);
      }),
    );
  });
});

/** Inserts keys into one simulated subtable until one finds no vacancy; the share of slots taken by then. */
function loadFactor(groups: number, name: string): number {
  const table = new Uint32Array((groups * GROUP_BYTES) / 4);
  const read = new Uint32Array(CANDIDATE_BYTES / 4);
  const p = keyPlace({ subtables: 1, groups });
  for (let i = 0; ; i++) {
    const key = Buffer.from(`${name}${i}`);
    locateKey(p, keyMemory(key), 0, key.length);
    for (const c of [0, 1]) {
      read.set(table.subarray(p.combined[c] / 4, p.combined[c] / 4 + 32), c * 32);
    }
    const q = chooseVacancy(read, 0, p);
    if (q < 0) return i / (groups * GROUP_SLOTS);
    const at = candidateSlot(p, q) / 4;
    if ((table[at] | table[at + 1]) !== 0) expect(q).toBe('a free slot');
    table[at] = KV.lo;
    table[at + 1] = KV.hi;
  }
}

it('a table takes most of its slots before the first INSERT finds it full', () => {
  const mean = (groups: number): number => {
    const runs = Array.from({ length: 10 }, (_, i) => loadFactor(groups, `run-${i}-`));
    return runs.reduce((a, b) => a + b, 0) / runs.length;
  };
  const measured = [8, 64, 512].map((groups) => ({ groups, load: mean(groups) }));
  // Measured: 0.971, 0.935 and 0.918.
  for (const { load } of measured) expect(load).toBeGreaterThan(0.9);
});
