import { describe, expect, it } from 'vitest';
import { chiSquareDeviation } from './chi-square.js';
import {
  type Flavour,
  flavours,
  HashedZipfKeys,
  type KeyChooser,
  latestRanks,
  PermutedZipfKeys,
  recordCountMax,
  ScrambledZipfKeys,
  UniformKeys,
  zipfKeys,
} from './distributions.js';
import { WorkloadError } from './errors.js';
import { RandomStream } from './random.js';
import { ExactZipf, GrayZipf, zetaSum } from './zipf.js';

const random = (seed: number) => new RandomStream({ seed, host: 0, process: 0, coroutine: 0 });

function countsOf(chooser: KeyChooser, recordCount: number, draws: number): Uint32Array {
  const counts = new Uint32Array(recordCount);
  const stream = random(11);
  for (let i = 0; i < draws; i++) counts[chooser.next(stream)]++;
  return counts;
}

describe('ScrambledZipfKeys', () => {
  it.each([
    [1000, 0.01, 144],
    [1000, 0.0379, 610],
    [1000, 0.0569, 213],
    [1000, 0.1, 942],
    [1000, 0.12, 505],
    [1000, 0.25, 809],
    [1000, 0.5, 367],
    [1000, 0.75, 767],
    [1000, 0.9, 991],
    [1000, 0.99, 745],
    [100_000, 0, 42439],
    [100_000, 0.01, 42439],
    [100_000, 0.0377, 42439],
    [100_000, 0.04, 91481],
    [100_000, 0.05, 91481],
    [100_000, 0.0569, 44356],
    [100_000, 0.1, 29960],
    [100_000, 0.5, 14271],
    [100_000, 0.75, 42248],
    [100_000, 0.9, 25774],
    [100_000, 0.99, 56229],
    [100_000, 0.999, 76372],
    [100_000, 0.999999, 68880],
  ])('of %i records chooses at u = %f the key YCSB chooses, %i', (recordCount, uniform, key) => {
    expect(new ScrambledZipfKeys({ recordCount }).keyOf(uniform)).toBe(key);
  });

  it('gives the hottest of 100,000 keys 3.79 % of requests', () => {
    const counts = countsOf(new ScrambledZipfKeys({ recordCount: 100_000 }), 100_000, 200_000);
    expect(Math.max(...counts) / 200_000).toBeCloseTo(0.0379, 2);
    expect(counts.indexOf(Math.max(...counts))).toBe(42439);
  });

  it('never chooses the number past the loaded keys, which the modulus includes', () => {
    const keys = new ScrambledZipfKeys({ recordCount: 1 });
    const uniforms = Array.from({ length: 200 }, (_, i) => i / 200);
    expect(new Set(uniforms.map((uniform) => keys.keyOf(uniform)))).toEqual(new Set([0, 1]));
    expect(countsOf(keys, 1, 1000)[0]).toBe(1000);
  });

  it('follows the distribution that one uniform number gives, the last key redrawn', () => {
    const keys = new ScrambledZipfKeys({ recordCount: 50 });
    const probabilities = new Float64Array(50);
    let kept = 0;
    for (let i = 0; i < 1_000_000; i++) {
      const key = keys.keyOf((i + 0.5) / 1_000_000);
      if (key < 50) {
        probabilities[key]++;
        kept++;
      }
    }
    const scaled = probabilities.map((count) => count / kept);
    expect(chiSquareDeviation(countsOf(keys, 50, 100_000), scaled)).toBeLessThan(4);
  });
});

describe('HashedZipfKeys', () => {
  it('reaches 70.9 % of 100,000 keys, the hottest with 7.83 % of requests', () => {
    const keys = new HashedZipfKeys({ recordCount: 100_000 });
    const reached = new Set<number>();
    for (let rank = 0; rank < 100_000; rank++) reached.add(keys.keyOfRank(rank));
    expect(reached.size / 100_000).toBeCloseTo(0.709, 3);
    const counts = countsOf(keys, 100_000, 200_000);
    expect(counts[keys.keyOfRank(0)] / 200_000).toBeCloseTo(0.0783, 2);
  });

  it('takes the unsigned remainder of the hash: key 1, whose hash is negative, differs from its absolute value', () => {
    const unsigned = Number((2n ** 64n - 8517097267634966620n) % 1000n);
    expect(new HashedZipfKeys({ recordCount: 1000 }).keyOfRank(1)).toBe(unsigned);
  });
});

describe('PermutedZipfKeys', () => {
  it("gives every key the share of its rank under Zipf's law", () => {
    const keys = new PermutedZipfKeys({ recordCount: 777 });
    const zeta = zetaSum(0, 777, 0.99);
    const probabilities = new Float64Array(777);
    for (let rank = 0; rank < 777; rank++) probabilities[keys.keyOfRank(rank)] = (rank + 1) ** -0.99 / zeta;
    expect(probabilities.every((p) => p > 0)).toBe(true);
    expect(chiSquareDeviation(countsOf(keys, 777, 200_000), probabilities)).toBeLessThan(4);
  });
});

describe('UniformKeys', () => {
  it('chooses every key equally often', () => {
    const counts = countsOf(new UniformKeys({ recordCount: 500 }), 500, 100_000);
    expect(chiSquareDeviation(counts, new Float64Array(500).fill(1 / 500))).toBeLessThan(4);
  });
});

describe('zipfKeys', () => {
  it.each([
    ['ycsb-java', ScrambledZipfKeys],
    ['ycsb-java-bug', ScrambledZipfKeys],
    ['ycsb-c', HashedZipfKeys],
    ['exact', PermutedZipfKeys],
  ] as [Flavour, unknown][])('gives %s its chooser', (flavour, type) => {
    expect(zipfKeys(flavour, { recordCount: 10 })).toBeInstanceOf(type as new () => unknown);
  });

  it.each(flavours)('of %s takes another skew, and is the flatter for it', (flavour) => {
    const hottest = (theta: number) =>
      Math.max(...countsOf(zipfKeys(flavour, { recordCount: 100, theta }), 100, 20_000));
    expect(hottest(0.5)).toBeLessThan(hottest(0.99));
  });

  it.each([0, -1, 2.5, recordCountMax + 1])('refuses a record count of %f', (recordCount) => {
    for (const flavour of flavours) expect(() => zipfKeys(flavour, { recordCount })).toThrow(WorkloadError);
    expect(() => new UniformKeys({ recordCount })).toThrow(`record count is ${recordCount}`);
  });
});

describe('latestRanks', () => {
  it('draws over one rank fewer than there are keys, so the oldest key is never read', () => {
    for (const flavour of flavours) expect(latestRanks(flavour, { recordCount: 100 }).count).toBe(99);
    expect(latestRanks('exact', { recordCount: 9 })).toBeInstanceOf(ExactZipf);
    expect(latestRanks('ycsb-c', { recordCount: 9 })).toBeInstanceOf(GrayZipf);
  });

  it('has the defect of eta only in the flavour named after it', () => {
    const rankAfterGrowth = (flavour: Flavour): number => {
      const ranks = latestRanks(flavour, { recordCount: 1001 }) as GrayZipf;
      ranks.grow(3000);
      return ranks.rankOf(0.3);
    };
    const sound = new GrayZipf({ count: 3000 }).rankOf(0.3);
    expect(rankAfterGrowth('ycsb-java')).toBe(sound);
    expect(rankAfterGrowth('ycsb-c')).toBe(sound);
    expect(rankAfterGrowth('ycsb-java-bug')).not.toBe(sound);
  });

  it('refuses fewer than two keys', () => {
    expect(() => latestRanks('ycsb-java', { recordCount: 1 })).toThrow(
      'needs a newest key and one before it',
    );
  });
});
