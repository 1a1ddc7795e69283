import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { hashedStream, hashStreams } from './requests.js';

const parts = () => ({
  kinds: Uint8Array.of(0, 2),
  keys: Float64Array.of(5, 2 ** 40),
  fromLatest: Uint8Array.of(0, 1),
  valueBytes: 100,
});

describe('hashedStream', () => {
  it('gives equal streams equal hashes of 64 hexadecimal digits', () => {
    expect(hashedStream(parts()).hash).toMatch(/^[0-9a-f]{64}$/);
    expect(hashedStream(parts()).hash).toBe(hashedStream(parts()).hash);
    expect(hashedStream(parts()).length).toBe(2);
  });

  it('tells every part of a stream apart', () => {
    const hashes = [
      parts(),
      { ...parts(), kinds: Uint8Array.of(2, 0) },
      { ...parts(), keys: Float64Array.of(5, 2 ** 40 + 1) },
      { ...parts(), fromLatest: Uint8Array.of(1, 0) },
      { ...parts(), valueBytes: 101 },
      { ...parts(), valueSizes: Uint32Array.of(100, 100) },
      { ...parts(), valueSizes: Uint32Array.of(100, 101) },
    ].map((variant) => hashedStream(variant).hash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('covers a view of a larger buffer, not the buffer', () => {
    const larger = Float64Array.of(9, 5, 2 ** 40, 9);
    expect(hashedStream({ ...parts(), keys: larger.subarray(1, 3) }).hash).toBe(hashedStream(parts()).hash);
  });
});

describe('hashStreams', () => {
  it('depends on every stream and on their order', () => {
    const one = hashedStream(parts());
    const other = hashedStream({ ...parts(), valueBytes: 7 });
    const hashes = [[one], [other], [one, other], [other, one], [one, one]].map(hashStreams);
    expect(new Set(hashes).size).toBe(5);
    expect(hashStreams([one, other])).toBe(hashes[2]);
  });

  it('refuses an empty list', () => {
    expect(() => hashStreams([])).toThrow(WorkloadError);
  });
});
