import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absoluteHash, hashKeyNumber, hashModulusMax, moduloHash, newHash, writeDecimal } from './fnv.js';

/** The same hash in BigInt, written from the definition. */
function hashByDefinition(keyNumber: number): bigint {
  let hash = 0xcbf29ce484222325n;
  let octets = BigInt(keyNumber);
  for (let i = 0; i < 8; i++) {
    hash = BigInt.asUintN(64, (hash ^ (octets & 0xffn)) * 1099511628211n);
    octets >>= 8n;
  }
  return hash;
}

function hashOf(keyNumber: number): Uint32Array {
  const hash = newHash();
  hashKeyNumber(keyNumber, hash);
  return hash;
}

function toBigInt(hash: Uint32Array): bigint {
  return (BigInt(hash[0]) << 32n) | BigInt(hash[1]);
}

function fromBigInt(value: bigint): Uint32Array {
  return Uint32Array.of(Number(value >> 32n), Number(value & 0xffffffffn));
}

function decimalOf(hash: Uint32Array): string {
  const bytes = new Uint8Array(24);
  const count = writeDecimal(hash, bytes, 2);
  return String.fromCharCode(...bytes.subarray(2, 2 + count));
}

const keyNumbers = fc.maxSafeInteger().map(Math.abs);
const words64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe('FNV-1a-64 of a key number', () => {
  it.each([
    [0, '6284781860667377211'],
    [1, '8517097267634966620'],
    [2, '1820151046732198393'],
    [3, '4052466453699787802'],
    [7, '5465015992139406178'],
    [42, '55488592825689361'],
    [99, '6405349725575133178'],
    [255, '8064062821143829734'],
    [256, '2056600594528442646'],
    [999, '2071219101098386137'],
    [1000, '5952875239596136740'],
    [99999, '7592201923306675823'],
    [100000, '2382277743992889674'],
    [2147483646, '3408653790469006400'],
    [9999999999, '3605131173811637474'],
  ])('of %i has the absolute value YCSB names its key by', (keyNumber, decimal) => {
    const hash = hashOf(keyNumber);
    absoluteHash(hash);
    expect(decimalOf(hash)).toBe(decimal);
  });

  it('equals the definition for every key number below 2^53', () => {
    for (const edge of [0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, Number.MAX_SAFE_INTEGER]) {
      expect(toBigInt(hashOf(edge))).toBe(hashByDefinition(edge));
    }
    fc.assert(fc.property(keyNumbers, (key) => toBigInt(hashOf(key)) === hashByDefinition(key)));
  });
});

describe('absoluteHash', () => {
  it('is the absolute value of the two words read as int64', () => {
    const absolute = (value: bigint): bigint => {
      const hash = fromBigInt(value);
      absoluteHash(hash);
      return toBigInt(hash);
    };
    for (const value of [0n, 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 63n + 2n ** 32n, 2n ** 64n - 1n]) {
      const signed = BigInt.asIntN(64, value);
      expect(absolute(value)).toBe(signed < 0n ? -signed : signed);
    }
    fc.assert(
      fc.property(words64, (value) => {
        const signed = BigInt.asIntN(64, value);
        return absolute(value) === (signed < 0n ? -signed : signed);
      }),
    );
  });
});

describe('moduloHash', () => {
  it('is the unsigned remainder for every modulus up to its limit', () => {
    const moduli = fc.oneof(
      fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      fc.integer({ min: 1, max: 2 ** 20 }),
      fc.constant(hashModulusMax),
    );
    fc.assert(
      fc.property(words64, moduli, (value, modulus) => {
        return moduloHash(fromBigInt(value), modulus) === Number(value % BigInt(modulus));
      }),
      { numRuns: 2000 },
    );
    expect(moduloHash(fromBigInt(2n ** 64n - 1n), hashModulusMax - 1)).toBe(
      Number((2n ** 64n - 1n) % BigInt(hashModulusMax - 1)),
    );
  });
});

describe('writeDecimal', () => {
  it('writes every unsigned 64-bit number as BigInt does', () => {
    for (const value of [0n, 9n, 10n, 999_999n, 1_000_000n, 10n ** 12n - 1n, 10n ** 12n, 2n ** 64n - 1n]) {
      expect(decimalOf(fromBigInt(value))).toBe(value.toString());
    }
    fc.assert(fc.property(words64, (value) => decimalOf(fromBigInt(value)) === value.toString()));
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 13n }),
        (value) => decimalOf(fromBigInt(value)) === value.toString(),
      ),
    );
  });
});
