import { describe, expect, it } from 'vitest';
import { word } from '../verbs/index.js';
import { IndexCache } from './cache.js';
import { type KeyMemory, keyMemory, keyPlace, locateKey } from './hash.js';

/** The key in memory at 4, with other bytes ahead of it and behind it. */
function inMemory(key: string, around: string): KeyMemory {
  return keyMemory(Buffer.from(`${around}${key}${around}`, 'latin1'));
}

describe.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('a cached key of %i bytes', (lengthBytes) => {
  const key = 'abcdefghi'.slice(0, lengthBytes);
  const memory = inMemory(key, '####');
  const place = keyPlace({ subtables: 4, groups: 64 });
  locateKey(place, memory, 4, lengthBytes);
  const cache = new IndexCache({ bytes: 4096, keyBytes: 32, threshold: 1 });
  cache.learn(place, memory, 4, lengthBytes, 8, word(1, 2), true);
  /** Looks another key up as if all its hash bits were those of the cached one. */
  const collides = (other: string, around: string): boolean =>
    cache.lookup(place, inMemory(other, around), 4, other.length, word());

  it('is no hit for a key that shares its whole hash, wherever the two differ', () => {
    for (let i = 0; i < lengthBytes; i++) {
      const other = `${key.slice(0, i)}X${key.slice(i + 1)}`;
      expect(collides(other, '####'), other).toBe(false);
    }
    expect(collides(`${key}#`, '####')).toBe(false);
  });

  it('is a hit whatever stands around it', () => {
    expect(collides(key, '####')).toBe(true);
    expect(collides(key, '\xff\xff\xff\xff')).toBe(true);
  });
});
