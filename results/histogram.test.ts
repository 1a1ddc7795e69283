import fc from 'fast-check';
import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import {
  COUNTER_COUNT,
  counterHighestNs,
  counterIndex,
  counterLowestNs,
  HIGHEST_NS,
  LatencyHistogram,
} from './histogram.js';

const PERCENTILES = [0, 0.1, 1, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100];
const EDGES = [
  0,
  1,
  2,
  1023,
  1024,
  2047,
  2048,
  2049,
  4095,
  4096,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
].concat([2 ** 32 + 1, 2 ** 33 - 1, 2 ** 33, 2 ** 35 - 1, 2 ** 35, 59e9, 6e10 - 1, 6e10]);

const direct = (values: readonly number[]): Histogram => {
  const hdr = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_NS,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
  });
  for (const value of values) hdr.recordValue(value);
  return hdr;
};

const ours = (values: readonly number[]): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
};

const percentiles = (histogram: LatencyHistogram): number[] =>
  PERCENTILES.map((p) => histogram.percentile(p));
const percentilesOfHdr = (hdr: Histogram): number[] => PERCENTILES.map((p) => hdr.getValueAtPercentile(p));

/** Latencies spread over all magnitudes, with the bucket edges among them. */
const latency = fc.oneof(
  fc.constantFrom(...EDGES),
  fc.integer({ min: 0, max: 5000 }),
  fc
    .tuple(fc.integer({ min: 0, max: 35 }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([bits, part]) => Math.min(Math.floor(2 ** bits * (1 + part)), HIGHEST_NS)),
);
const latencies = fc.array(latency, { minLength: 1, maxLength: 400 });

describe('buckets', () => {
  test('every counter begins where the one below it ends, and holds its own ends', () => {
    const wrong: number[] = [];
    for (let index = 0; index < COUNTER_COUNT; index++) {
      const ends = [counterIndex(counterLowestNs(index)), counterIndex(counterHighestNs(index))];
      if (ends.some((end) => end !== index)) wrong.push(index);
    }
    expect(wrong).toEqual([]);
  });

  test('an edge alone gives the percentiles HdrHistogram gives', () => {
    for (const edge of EDGES) {
      expect(percentiles(ours([edge])), `latency ${edge}`).toEqual(percentilesOfHdr(direct([edge])));
    }
  });
});

describe('percentiles', () => {
  test('equal those of recording into HdrHistogram, directly and through toHdr', () => {
    fc.assert(
      fc.property(latencies, (values) => {
        const expected = percentilesOfHdr(direct(values));
        expect(percentiles(ours(values))).toEqual(expected);
        expect(percentilesOfHdr(ours(values).toHdr())).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('of merged histograms equal those of all values in one', () => {
    fc.assert(
      fc.property(latencies, latencies, (a, b) => {
        const merged = ours(a);
        merged.merge(ours(b));
        const whole = ours([...a, ...b]);
        expect(percentiles(merged)).toEqual(percentiles(whole));
        expect([merged.count, merged.minNs, merged.maxNs]).toEqual([whole.count, whole.minNs, whole.maxNs]);
      }),
      { numRuns: 60 },
    );
  });

  test('that fall into the overflow are the exact maximum', () => {
    const histogram = ours([1000, 2000, 70e9, 90e9]);
    expect(histogram.overflow).toBe(2);
    expect(histogram.count).toBe(4);
    expect(histogram.percentile(50)).toBe(2000);
    expect(histogram.percentile(99)).toBe(90e9);
  });

  test('outside 0 to 100 are refused, and NaN when nothing was recorded', () => {
    expect(() => ours([1]).percentile(101)).toThrow(/percentile 101/);
    expect(() => ours([1]).percentile(Number.NaN)).toThrow(/percentile NaN/);
    expect(new LatencyHistogram().percentile(50)).toBeNaN();
    expect(new LatencyHistogram().summary()).toBeNull();
  });

  test('of a summary never exceed the exact maximum', () => {
    expect(ours([100_001]).summary()).toEqual({
      p50: 100_001,
      p90: 100_001,
      p99: 100_001,
      p999: 100_001,
      max: 100_001,
    });
  });
});

describe('record', () => {
  test('refuses what no clock can give', () => {
    expect(() => ours([-1])).toThrow(/-1 ns/);
    expect(() => ours([Number.NaN])).toThrow(/NaN ns/);
  });

  test('keeps the exact extremes, which the buckets do not', () => {
    const histogram = ours([59e9 + 7, 123_457, 999_999_999]);
    expect(histogram.maxNs).toBe(59e9 + 7);
    expect(histogram.minNs).toBe(123_457);
    expect(histogram.toHdr().maxValue).toBe(59e9 + 7);
    expect(histogram.toHdr().minNonZeroValue).toBe(123_457);
  });

  test('after a reset starts from nothing', () => {
    const histogram = ours([5, 70e9]);
    histogram.reset();
    expect([histogram.count, histogram.overflow]).toEqual([0, 0]);
    histogram.record(9);
    expect([histogram.minNs, histogram.maxNs, histogram.percentile(100)]).toEqual([9, 9, 9]);
  });
});

describe('encoding', () => {
  test('brings back counts, extremes and overflow', () => {
    fc.assert(
      fc.property(latencies, fc.integer({ min: 0, max: 3 }), (values, overflows) => {
        const before = ours([...values, ...Array.from({ length: overflows }, (_, i) => 61e9 + i)]);
        const packed = LatencyHistogram.unpack(JSON.parse(JSON.stringify(before.pack())));
        expect(packed).toEqual(before);
        expect([packed.summary(), packed.overflow]).toEqual([before.summary(), before.overflow]);
        const after = LatencyHistogram.decode(JSON.parse(JSON.stringify(before.encode())));
        expect(percentiles(after)).toEqual(percentiles(before));
        expect([after.count, after.minNs, after.maxNs, after.overflow]).toEqual([
          before.count,
          before.minNs,
          before.maxNs,
          before.overflow,
        ]);
      }),
      { numRuns: 40 },
    );
  });

  test('of an empty histogram comes back empty', () => {
    const after = LatencyHistogram.decode(new LatencyHistogram().encode());
    expect([after.count, after.overflow]).toEqual([0, 0]);
    expect(after.maxNs).toBeNaN();
    after.record(4);
    expect([after.minNs, after.maxNs]).toEqual([4, 4]);
  });

  test("is the V2 format that HdrHistogram's own decoder reads", () => {
    const { base64 } = ours([100, 200, 59e9]).encode();
    expect(base64.startsWith('HISTFAAAA')).toBe(true);
    expect(decodeFromCompressedBase64(base64).totalCount).toBe(3);
  });

  test('with other buckets than ours is refused', () => {
    const other = build({ numberOfSignificantValueDigits: 2, bitBucketSize: 64 });
    other.recordValue(5);
    expect(() => LatencyHistogram.decode({ base64: encodeIntoCompressedBase64(other) })).toThrow(
      /keeps 2 digits/,
    );
  });
});
