import { describe, expect, it } from 'vitest';
import { chiSquareDeviation } from './chi-square.js';
import { WorkloadError } from './errors.js';
import { RandomStream } from './random.js';
import { ExactZipf, GrayZipf, type RankGenerator, zetaSum } from './zipf.js';

const random = (seed: number) => new RandomStream({ seed, host: 0, process: 0, coroutine: 0 });

function countsOf(generator: RankGenerator, draws: number, seed: number): Uint32Array {
  const counts = new Uint32Array(generator.count);
  const stream = random(seed);
  for (let i = 0; i < draws; i++) counts[generator.next(stream)]++;
  return counts;
}

/** The probabilities Gray's formula gives the ranks: the lengths of the intervals of u it maps to each. */
function grayProbabilities(count: number, theta = 0.99): Float64Array {
  const zeta = zetaSum(0, count, theta);
  const zetaOfTwo = 1 + 0.5 ** theta;
  const eta = (1 - (2 / count) ** (1 - theta)) / (1 - zetaOfTwo / zeta);
  const start = (rank: number): number => ((rank / count) ** (1 - theta) - 1 + eta) / eta;
  return Float64Array.from({ length: count }, (_, rank) => {
    if (rank === 0) return 1 / zeta;
    if (rank === 1) return (zetaOfTwo - 1) / zeta;
    return start(rank + 1) - (rank === 2 ? zetaOfTwo / zeta : start(rank));
  });
}

function zipfProbabilities(count: number, theta = 0.99): Float64Array {
  const zeta = zetaSum(0, count, theta);
  return Float64Array.from({ length: count }, (_, rank) => (rank + 1) ** -theta / zeta);
}

describe('zetaSum', () => {
  it.each([
    [10, 2.95610751651036],
    [1000, 7.72895321728],
    [1e5, 12.77833806255],
    [1e6, 15.39184974604],
    [1e7, 18.0662425749696],
    [1e8, 20.8029304900244],
    [1e10, 26.46902820175148],
  ])('of %i at theta 0.99 agrees with 40-digit arithmetic', (count, zeta) => {
    expect(zetaSum(0, count, 0.99)).toBeCloseTo(zeta, 9);
  });

  it('can be added up in parts', () => {
    const parts =
      zetaSum(0, 999_990, 0.99) + zetaSum(999_990, 1_000_005, 0.99) + zetaSum(1_000_005, 3e6, 0.99);
    expect(parts).toBeCloseTo(zetaSum(0, 3e6, 0.99), 9);
    expect(zetaSum(5, 5, 0.99)).toBe(0);
    expect(zetaSum(2e6, 2e6, 0.99)).toBe(0);
  });
});

describe('GrayZipf', () => {
  const uniforms = [
    0, 0.01, 0.0377, 0.0379, 0.05, 0.0569, 0.1, 0.12, 0.2, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.999999,
  ];

  it.each([
    [1000, undefined, [0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 22, 151, 471, 927, 992, 999]],
    [1e5, undefined, [0, 0, 0, 0, 0, 0, 1, 2, 5, 10, 251, 5240, 31066, 89021, 98844, 99998]],
    [
      1e10 + 1,
      26.46902820178302,
      [0, 0, 0, 1, 1, 2, 6, 10, 83, 296, 134552, 42924421, 1170869537, 8086205587, 9790013524, 9999787803],
    ],
  ])('draws the known ranks of %i items', (count, zeta, ranks) => {
    const zipf = new GrayZipf({ count, zeta });
    expect(uniforms.map((uniform) => zipf.rankOf(uniform))).toEqual(ranks);
  });

  it.each([3, 100, 1000, 100_000])("follows the probabilities of Gray's formula over %i items", (count) => {
    const probabilities = grayProbabilities(count);
    expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 9);
    expect(chiSquareDeviation(countsOf(new GrayZipf({ count }), 300_000, count), probabilities)).toBeLessThan(
      4,
    );
  });

  it("is not Zipf's law: rank 2 comes 19 % more often over 100,000 items", () => {
    expect(grayProbabilities(1e5)[2] / zipfProbabilities(1e5)[2]).toBeCloseTo(1.19, 2);
  });

  it('draws after growth what a new generator of that count draws', () => {
    const grown = new GrayZipf({ count: 1000 });
    for (let count = 1001; count <= 1500; count++) grown.grow(count);
    const fresh = new GrayZipf({ count: 1500 });
    expect(grown.zeta).toBeCloseTo(fresh.zeta, 12);
    for (let u = 0; u < 1; u += 0.001) expect(grown.rankOf(u)).toBe(fresh.rankOf(u));
    expect(chiSquareDeviation(countsOf(grown, 200_000, 5), grayProbabilities(1500))).toBeLessThan(4);
  });

  it('loses rank 2 on growth from 100,000 to 150,000 with eta of the initial count, as YCSB does', () => {
    const defect = new GrayZipf({ count: 1e5, etaCount: 'initial' });
    const sound = new GrayZipf({ count: 1e5 });
    defect.grow(1.5e5);
    sound.grow(1.5e5);
    const defectCounts = countsOf(defect, 100_000, 1);
    const soundCounts = countsOf(sound, 100_000, 1);
    expect(defectCounts[2]).toBe(0);
    expect(soundCounts[2]).toBeGreaterThan(2000);
    const share = (counts: Uint32Array) => counts.subarray(0, 10).reduce((sum, n) => sum + n, 0) / 100_000;
    expect(share(defectCounts)).toBeCloseTo(0.208, 2);
    expect(share(soundCounts)).toBeCloseTo(0.235, 2);
  });

  it.each([1, 2, 3])('stays below its count of %i for every uniform number', (count) => {
    const zipf = new GrayZipf({ count });
    for (const uniform of [0, 0.25, 0.5, 0.75, 1 - 2 ** -53]) {
      expect(zipf.rankOf(uniform)).toBeLessThan(count);
      expect(zipf.rankOf(uniform)).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('ExactZipf', () => {
  it.each([1, 2, 3, 100, 1000, 100_000])("follows Zipf's law over %i items", (count) => {
    const counts = countsOf(new ExactZipf(count), 300_000, count + 1);
    if (count === 1) expect(counts[0]).toBe(300_000);
    else expect(chiSquareDeviation(counts, zipfProbabilities(count))).toBeLessThan(4);
  });

  it.each([0.2, 0.5, 0.999])("follows Zipf's law at theta %f", (theta) => {
    const counts = countsOf(new ExactZipf(2000, theta), 200_000, 3);
    expect(chiSquareDeviation(counts, zipfProbabilities(2000, theta))).toBeLessThan(4);
  });

  it('draws after growth over the larger count', () => {
    const zipf = new ExactZipf(10);
    zipf.grow(500);
    expect(zipf.count).toBe(500);
    expect(chiSquareDeviation(countsOf(zipf, 200_000, 4), zipfProbabilities(500))).toBeLessThan(4);
  });
});

describe.each([
  ['GrayZipf', (count: number, theta: number) => new GrayZipf({ count, theta })],
  ['ExactZipf', (count: number, theta: number) => new ExactZipf(count, theta)],
])('%s refuses', (_, make) => {
  it.each([0, 1, 1.2, -0.5, Number.NaN])('theta %f', (theta) => {
    expect(() => make(10, theta)).toThrow(`theta is ${theta}, but must lie strictly between 0 and 1`);
  });

  it.each([0, -1, 1.5, 2 ** 36 + 1])('a count of %f', (count) => {
    expect(() => make(count, 0.99)).toThrow(WorkloadError);
  });

  it('to shrink', () => {
    expect(() => make(10, 0.99).grow(9)).toThrow('grows and never shrinks');
  });
});
