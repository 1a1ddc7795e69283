import { describe, expect, it } from 'vitest';
import { word } from '../verbs/index.js';
import { type CacheOptions, DEFAULT_CACHE, IndexCache } from './cache.js';
import { type KeyMemory, type KeyPlace, keyMemory, keyPlace, locateKey } from './hash.js';

const OPTIONS: CacheOptions = { bytes: 4096, keyBytes: 32, threshold: 0.1 };

/** A cache with keys by name; `at` shows that a key may stand anywhere in registered memory. */
function fixture(options: Partial<CacheOptions> = {}) {
  const cache = new IndexCache({ ...OPTIONS, ...options });
  const into = word();
  const place = keyPlace({ subtables: 4, groups: 64 });
  const located = (key: string): { memory: KeyMemory; place: KeyPlace } => {
    const memory = keyMemory(Buffer.from(`####${key}####`, 'latin1'));
    locateKey(place, memory, 4, key.length);
    return { memory, place };
  };
  return {
    cache,
    into,
    lookup: (key: string): boolean => {
      const k = located(key);
      return cache.lookup(k.place, k.memory, 4, key.length, into);
    },
    learn: (key: string, slot: number, w: { hi: number; lo: number }, own = false): void => {
      const k = located(key);
      cache.learn(k.place, k.memory, 4, key.length, slot, w, own);
    },
    forget: (key: string): void => {
      const k = located(key);
      cache.forget(k.place, k.memory, 4, key.length);
    },
  };
}

describe('the index cache', () => {
  it('gives back the slot and the word that it learnt, in all their bits', () => {
    const { cache, into, lookup, learn } = fixture();
    expect(lookup('k')).toBe(false);
    learn('k', 2 ** 47 + 8, word(0xfedcba98, 0x87654321));
    learn('l', 16, word(1, 2));
    expect(lookup('k')).toBe(true);
    expect([cache.slot, into]).toEqual([2 ** 47 + 8, word(0xfedcba98, 0x87654321)]);
    expect(lookup('l')).toBe(true);
    expect([cache.slot, into]).toEqual([16, word(1, 2)]);
    expect([cache.hits, cache.misses, cache.bypassed]).toEqual([2, 1, 0]);
  });

  it('has the newest word of a key, and its newest slot', () => {
    const { cache, into, lookup, learn } = fixture();
    learn('k', 8, word(1, 1));
    learn('k', 24, word(2, 2));
    expect(lookup('k')).toBe(true);
    expect([cache.slot, into]).toEqual([24, word(2, 2)]);
  });

  it('knows nothing of a key that was forgotten, and everything of the others', () => {
    const { lookup, learn, forget } = fixture();
    learn('k', 8, word(1, 1));
    learn('l', 16, word(2, 2));
    forget('k');
    forget('absent');
    expect([lookup('k'), lookup('l')]).toEqual([false, true]);
  });

  it('bypasses a key whose word keeps being changed by others, and no other key', () => {
    const { cache, lookup, learn } = fixture();
    for (const key of ['hot', 'cold']) learn(key, 8, word(0, 1));
    const seen: boolean[] = [];
    for (let i = 2; i < 12; i++) {
      seen.push(lookup('hot'));
      learn('hot', 8, word(0, i));
      learn('cold', 8, word(0, 1));
    }
    // One change says nothing yet; two in three accesses exceed a tenth.
    expect(seen).toEqual([true, true, ...new Array(8).fill(false)]);
    expect(cache.bypassed).toBe(8);
    expect(lookup('cold')).toBe(true);
  });

  it('uses a bypassed key again when its accesses outgrow its changes: at a tenth, not before', () => {
    const { lookup, learn } = fixture();
    learn('k', 8, word(0, 1));
    for (let i = 2; i <= 4; i++) learn('k', 8, word(0, i));
    // Three invalid of 1 + n accesses: allowed from 30 on.
    const seen = Array.from({ length: 31 }, () => lookup('k'));
    expect(seen.indexOf(true)).toBe(28);
    expect(seen.slice(28)).toEqual([true, true, true]);
  });

  it('counts neither its own writes nor what stayed the same as changes by others', () => {
    const { lookup, learn } = fixture();
    learn('own', 8, word(0, 1), true);
    learn('same', 8, word(7, 1));
    for (let i = 2; i < 30; i++) {
      learn('own', 8, word(i, i), true);
      learn('same', 8, word(7, 1));
    }
    expect([lookup('own'), lookup('same')]).toEqual([true, true]);
  });

  it.each([
    ['high', word(9, 1)],
    ['low', word(7, 9)],
  ])('counts a change of the %s half alone', (_half, changed) => {
    const { lookup, learn } = fixture();
    for (let i = 0; i < 3; i++) {
      learn('k', 8, word(7, 1));
      learn('k', 8, changed);
    }
    expect(lookup('k')).toBe(false);
  });

  it('lets old behaviour fade: counters halve at their limit', () => {
    const { cache, lookup, learn } = fixture({ threshold: 0.5 });
    learn('k', 8, word(0, 0));
    for (let i = 1; i <= 400; i++) learn('k', 8, word(0, i));
    const bypassed = Array.from({ length: 1200 }, () => lookup('k')).filter((hit) => !hit).length;
    // 400 of 800 is at the threshold and no longer above it.
    expect(bypassed).toBe(798);
    // At 1024 accesses both counters were halved: 200 of 689 by now. 150 more changes exceed a half. With the
    // old counts they would not: 550 of 1201.
    for (let i = 0; i < 150; i++) learn('k', 8, word(1, i));
    expect(cache.bypassed).toBe(798);
    expect(lookup('k')).toBe(false);
  });

  it('tells keys with equal hashes apart by their bytes and their length', () => {
    const cache = new IndexCache(OPTIONS);
    const place = keyPlace({ subtables: 1, groups: 8 });
    place.placeHash = 1234;
    place.groupHash = 5678;
    const keys = ['same-hash-a', 'same-hash-b', 'same-hash-', 'tame-hash-a'].map((k) => Buffer.from(k));
    keys.forEach((key, i) => {
      expect(cache.lookup(place, keyMemory(key), 0, key.length, word())).toBe(false);
      cache.learn(place, keyMemory(key), 0, key.length, 8 * i, word(0, i), false);
    });
    keys.forEach((key, i) => {
      const into = word();
      expect(cache.lookup(place, keyMemory(key), 0, key.length, into)).toBe(true);
      expect([cache.slot, into.lo]).toEqual([8 * i, i]);
    });
  });

  it('keeps a key of exactly the longest length, and none longer', () => {
    for (const keyBytes of [8, 31, 32, 33, 64]) {
      const { cache, lookup, learn } = fixture({ keyBytes });
      const [fits, exceeds] = ['a'.repeat(keyBytes), 'a'.repeat(keyBytes + 1)];
      learn(fits, 8, word(1, 1));
      learn(exceeds, 8, word(2, 2));
      expect([lookup(fits), lookup(exceeds)]).toEqual([true, false]);
      expect(cache.misses).toBe(1);
    }
  });

  it('keeps long keys in neighbouring entries apart', () => {
    const { into, lookup, learn } = fixture({ keyBytes: 40, bytes: 1 << 16 });
    const keys = Array.from({ length: 40 }, (_, i) => `${i}`.padStart(40, 'k'));
    keys.forEach((key, i) => {
      learn(key, 8 * i, word(i, i));
    });
    for (const [i, key] of keys.entries()) {
      expect(lookup(key)).toBe(true);
      expect(into).toEqual(word(i, i));
    }
  });

  it.each([0, 1, 255])('of %i bytes is switched off, and says so by missing', (bytes) => {
    const { cache, lookup, learn, forget } = fixture({ bytes });
    learn('k', 8, word(1, 1));
    forget('k');
    expect([lookup('k'), cache.bytes, cache.misses]).toEqual([false, 0, 1]);
  });

  it.each([256, 4096, 5000, 1 << 20])('of %i bytes takes no more, and more than half of them', (bytes) => {
    const { cache, lookup, learn } = fixture({ bytes });
    expect(cache.bytes).toBeLessThanOrEqual(bytes);
    expect(cache.bytes).toBeGreaterThan(bytes / 2);
    const count = bytes >>> 4;
    for (let i = 0; i < count; i++) learn(`key-${i}`, 8, word(0, i));
    let kept = 0;
    for (let i = 0; i < count; i++) if (lookup(`key-${i}`)) kept++;
    const entries = cache.bytes / 64;
    expect(kept).toBeLessThanOrEqual(entries);
    // Four times as many keys as entries: hardly a set stays without four.
    expect(kept).toBeGreaterThan(0.8 * entries);
    expect(lookup(`key-${count - 1}`)).toBe(true);
  });

  it('evicts the least used key of a set, and even a popular one in time', () => {
    const { lookup, learn } = fixture({ bytes: 256 });
    for (const key of ['a', 'b', 'c', 'd']) learn(key, 8, word(1, 1));
    for (let i = 0; i < 40; i++) for (const key of ['a', 'b', 'd']) lookup(key);
    learn('e', 8, word(1, 1));
    expect(['a', 'b', 'c', 'd', 'e'].map(lookup)).toEqual([true, true, false, true, true]);
    for (let i = 0; i < 200; i++) {
      learn(`f${i}`, 8, word(1, 1));
      for (let n = 0; n < 3; n++) lookup(`f${i}`);
    }
    expect(['a', 'b', 'd'].filter(lookup)).toEqual([]);
  });

  it('by default takes 32 MiB, keys of 32 bytes, and the threshold of the paper', () => {
    expect(DEFAULT_CACHE).toEqual({ bytes: 32 << 20, keyBytes: 32, threshold: 0.1 });
    expect(new IndexCache().bytes).toBe(32 << 20);
  });
});
