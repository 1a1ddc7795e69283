import { describe, expect, it } from 'vitest';
import { Geometry, MAX_PAYLOAD_BYTES } from '../layout/index.js';
import { smallPool } from '../node/in-process.js';
import { UsageError } from '../verbs/index.js';
import { checkLengths, checkPoolName, payloadLimit } from './limits.js';

describe('the payload limit', () => {
  it('is the longest object that a slot can name, or that a block can hold', () => {
    expect(payloadLimit(new Geometry(smallPool()))).toBe(MAX_PAYLOAD_BYTES);
    const small = new Geometry(smallPool({ blockBytes: 4096 }));
    expect(payloadLimit(small)).toBeLessThan(4096);
    expect(small.cellsPerBlock(small.largestClass())).toBeGreaterThanOrEqual(1);
  });

  it.each([
    [1, 0, true],
    [0, 0, false],
    [0, 5, false],
    [10, MAX_PAYLOAD_BYTES - 10, true],
    [10, MAX_PAYLOAD_BYTES - 9, false],
    [MAX_PAYLOAD_BYTES, 0, true],
    [MAX_PAYLOAD_BYTES + 1, 0, false],
  ])('takes a key of %i and a value of %i bytes: %s', (keyBytes, valueBytes, isFine) => {
    const check = (): void => checkLengths(new Geometry(smallPool()), keyBytes, valueBytes);
    if (isFine) expect(check).not.toThrow();
    else expect(check).toThrow(UsageError);
  });
});

describe("a pool's name", () => {
  it.each(['default', 'a', 'Pool_1.2-x', 'x'.repeat(150)])('may be %s', (name) => {
    expect(() => checkPoolName(name)).not.toThrow();
  });

  it.each(['', 'a/b', '../x', 'a b', 'ä', 'x'.repeat(151), 'a\0'])('is refused when it is %j', (name) => {
    expect(() => checkPoolName(name)).toThrow(UsageError);
  });
});
