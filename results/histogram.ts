/**
 * Latencies of one kind of operation, recorded in about 3 ns and without allocation.
 *
 * The buckets are exactly HdrHistogram's for lowest 1 ns, highest 60 s and 3 significant digits, so that a
 * count here and a count in any HdrHistogram tool mean the same. Percentiles come from merged histograms
 * only: nothing in this folder averages one.
 */
import { decodeFromCompressedBase64, encodeIntoCompressedBase64, Float64Histogram } from 'hdr-histogram-js';

/** Smallest and largest latency with a bucket of its own, in ns; above the largest, values are overflow. */
export const LOWEST_NS = 1;
/** Largest latency that has a counter; beyond it is overflow. */
export const HIGHEST_NS = 60e9;
/** Significant decimal digits every bucket keeps. */
export const SIGNIFICANT_DIGITS = 3;

/**
 * Bucket 0 holds 0..2047 ns one by one; each further bucket doubles the range with 1024 more counters. 26
 * buckets reach past 60 s, hence (26 + 1) * 1024 counters.
 */
const HALF_BITS = 10;
const HALF_COUNT = 1 << HALF_BITS;
const BUCKET_COUNT = 26;
/** Counters in one histogram. */
export const COUNTER_COUNT = (BUCKET_COUNT + 1) * HALF_COUNT;

/** Indices into the doubles kept beside the counters; a typed array, so that no update allocates a number. */
const TOTAL = 0;
const MIN = 1;
const MAX = 2;
const OVERFLOW = 3;

interface Beside {
  /** Exact extremes in ns, overflow included; null when nothing was recorded. */
  readonly minNs: number | null;
  readonly maxNs: number | null;
  /** How many values lay above {@link HIGHEST_NS}. */
  readonly overflow: number;
}

/** A histogram as other tools read it. */
export interface EncodedHistogram extends Beside {
  /** HdrHistogram's compressed V2 encoding, base64. Overflow is not in it. */
  readonly base64: string;
}

/** A histogram as it travels between processes, many times a second: quick to make, as compression is not. */
export interface PackedHistogram extends Beside {
  /** Number of a counter and its count, for each that is not 0. */
  readonly counters: readonly number[];
}

/** The percentiles a result row keeps, in ns; `max` is exact. */
export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Number of the counter that holds `ns`, for 0 <= ns < 2^36. */
export const counterIndex = (ns: number): number => {
  if (ns < 4294967296) {
    const low = ns >>> 0;
    const bucket = 31 - HALF_BITS - Math.clz32(low | HALF_COUNT);
    return (bucket << HALF_BITS) + (low >>> bucket);
  }
  // Shifts see 32 bits only; what is left after dividing by 2^22 lies in 1024..16383.
  const high = (ns / 4194304) >>> 0;
  const extra = 31 - HALF_BITS - Math.clz32(high);
  return ((22 + extra) << HALF_BITS) + (high >>> extra);
};

/** Smallest value in ns that counter `index` holds. */
export const counterLowestNs = (index: number): number => {
  const bucket = Math.max((index >> HALF_BITS) - 1, 0);
  return (index - (bucket << HALF_BITS)) * 2 ** bucket;
};

/** Largest whole value in ns that counter `index` holds. */
export const counterHighestNs = (index: number): number => counterLowestNs(index + 1) - 1;

/** A log-linear histogram of latencies in ns. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(COUNTER_COUNT);
  readonly #beside = new Float64Array(4);

  constructor() {
    this.reset();
  }

  /**
   * Records one latency in ns. A value above {@link HIGHEST_NS} counts as overflow.
   * @throws RangeError when `ns` is negative or not a number: the caller's clock is broken.
   */
  record(ns: number): void {
    const counts = this.#counts;
    const beside = this.#beside;
    // Written out for latencies below 4.3 s: a call and a second branch would double the cost.
    if (ns < 4294967296 && ns >= 0) {
      const low = ns >>> 0;
      const bucket = 31 - HALF_BITS - Math.clz32(low | HALF_COUNT);
      counts[(bucket << HALF_BITS) + (low >>> bucket)]++;
    } else this.#recordRare(ns);
    beside[TOTAL]++;
    if (ns < beside[MIN]) beside[MIN] = ns;
    if (ns > beside[MAX]) beside[MAX] = ns;
  }

  #recordRare(ns: number): void {
    if (!(ns >= 0)) throw new RangeError(`a latency is ${ns} ns; it must be 0 or more`);
    if (ns > HIGHEST_NS) this.#beside[OVERFLOW]++;
    else this.#counts[counterIndex(ns)]++;
  }

  /** How many latencies were recorded, overflow included. */
  get count(): number {
    return this.#beside[TOTAL];
  }

  /** How many of them lay above {@link HIGHEST_NS}. */
  get overflow(): number {
    return this.#beside[OVERFLOW];
  }

  /** Exact smallest latency in ns; NaN when nothing was recorded. */
  get minNs(): number {
    return this.count === 0 ? Number.NaN : this.#beside[MIN];
  }

  /** Exact largest latency in ns, overflow included; NaN when nothing was recorded. */
  get maxNs(): number {
    return this.count === 0 ? Number.NaN : this.#beside[MAX];
  }

  /** Forgets everything recorded. */
  reset(): void {
    this.#counts.fill(0);
    this.#beside.set([0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]);
  }

  /** Adds what `other` recorded. */
  merge(other: LatencyHistogram): void {
    for (let index = 0; index < COUNTER_COUNT; index++) this.#counts[index] += other.#counts[index];
    this.#beside[TOTAL] += other.#beside[TOTAL];
    this.#beside[OVERFLOW] += other.#beside[OVERFLOW];
    this.#beside[MIN] = Math.min(this.#beside[MIN], other.#beside[MIN]);
    this.#beside[MAX] = Math.max(this.#beside[MAX], other.#beside[MAX]);
  }

  /**
   * Latency in ns that `percent` (0 to 100) of the recorded ones do not exceed, to the resolution of the
   * buckets, by HdrHistogram's rule: the upper end of the bucket, and the lower end for 0. A percentile that
   * falls into the overflow is the exact maximum. NaN, which JSON writes as null, when nothing was recorded.
   */
  percentile(percent: number): number {
    if (!(percent >= 0 && percent <= 100))
      throw new RangeError(`percentile ${percent} is not within 0 to 100`);
    if (this.count === 0) return Number.NaN;
    const wanted = Math.max(ceilWithinOneUlp((percent / 100) * this.count), 1);
    let seen = 0;
    for (let index = 0; index < COUNTER_COUNT; index++) {
      seen += this.#counts[index];
      if (seen >= wanted) return percent === 0 ? counterLowestNs(index) : counterHighestNs(index);
    }
    return this.maxNs;
  }

  /** The percentiles of a result row, none above the exact maximum; null when nothing was recorded. */
  summary(): LatencySummary | null {
    if (this.count === 0) return null;
    const at = (percent: number): number => Math.min(this.percentile(percent), this.maxNs);
    return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: this.maxNs };
  }

  /** Calls `visit` for each counter that is not 0, in rising order of latency. */
  forEachCounter(visit: (lowestNs: number, highestNs: number, count: number) => void): void {
    for (let index = 0; index < COUNTER_COUNT; index++) {
      const count = this.#counts[index];
      if (count !== 0) visit(counterLowestNs(index), counterHighestNs(index), count);
    }
  }

  /**
   * The same counts as an HdrHistogram (64-bit counters). Overflow is left out, since it has no bucket there.
   */
  toHdr(): Float64Histogram {
    const hdr = new Float64Histogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS);
    this.forEachCounter((lowestNs, highestNs, count) => {
      // The extremes stand in for their buckets, so that the copy's own maximum and minimum are exact too.
      const holdsMax = this.maxNs >= lowestNs && this.maxNs <= highestNs;
      const holdsMin = this.minNs >= lowestNs && this.minNs <= highestNs;
      if (holdsMin && holdsMax && count > 1) {
        hdr.recordValueWithCount(Math.floor(this.minNs), count - 1);
        hdr.recordValueWithCount(Math.floor(this.maxNs), 1);
        return;
      }
      hdr.recordValueWithCount(Math.floor(holdsMax ? this.maxNs : holdsMin ? this.minNs : lowestNs), count);
    });
    return hdr;
  }

  /** This histogram in a form that crosses process boundaries as JSON. */
  encode(): EncodedHistogram {
    return { base64: encodeIntoCompressedBase64(this.toHdr()), ...this.#besides() };
  }

  /** The histogram for another process; {@link unpack} makes it one again. */
  pack(): PackedHistogram {
    const counters: number[] = [];
    this.#counts.forEach((count, index) => {
      if (count !== 0) counters.push(index, count);
    });
    return { counters, ...this.#besides() };
  }

  /** The histogram that {@link pack} packed. */
  static unpack({ counters, minNs, maxNs, overflow }: PackedHistogram): LatencyHistogram {
    const histogram = new LatencyHistogram();
    const beside = histogram.#beside;
    for (let i = 0; i < counters.length; i += 2) {
      histogram.#counts[counters[i]] = counters[i + 1];
      beside[TOTAL] += counters[i + 1];
    }
    beside[TOTAL] += overflow;
    beside[OVERFLOW] = overflow;
    if (minNs !== null) beside[MIN] = minNs;
    if (maxNs !== null) beside[MAX] = maxNs;
    return histogram;
  }

  #besides(): Beside {
    const { count, minNs, maxNs, overflow } = this;
    return { minNs: count === 0 ? null : minNs, maxNs: count === 0 ? null : maxNs, overflow };
  }

  /**
   * The histogram that {@link encode} wrote. The extremes may be unknown (a log of another tool): then they
   * are those of the outermost buckets.
   * @throws RangeError when the encoding has other buckets than ours.
   */
  static decode(encoded: Partial<EncodedHistogram> & { readonly base64: string }): LatencyHistogram {
    const hdr = decodeFromCompressedBase64(encoded.base64, 64) as Float64Histogram;
    if (
      hdr.numberOfSignificantValueDigits !== SIGNIFICANT_DIGITS ||
      hdr.lowestDiscernibleValue !== LOWEST_NS
    ) {
      throw new RangeError(
        `an encoded histogram keeps ${hdr.numberOfSignificantValueDigits} digits from ` +
          `${hdr.lowestDiscernibleValue} up; it must keep ${SIGNIFICANT_DIGITS} from ${LOWEST_NS} ns up`,
      );
    }
    const histogram = new LatencyHistogram();
    const overflow = encoded.overflow ?? 0;
    for (let index = 0; index < hdr.countsArrayLength; index++) {
      const count = hdr.getCountAtIndex(index);
      if (count === 0) continue;
      if (index >= COUNTER_COUNT)
        throw new RangeError(`an encoded histogram holds values above ${HIGHEST_NS} ns`);
      histogram.#counts[index] = count;
      histogram.#beside[TOTAL] += count;
      histogram.#beside[MIN] = Math.min(histogram.#beside[MIN], counterLowestNs(index));
      histogram.#beside[MAX] = counterHighestNs(index);
    }
    histogram.#beside[TOTAL] += overflow;
    histogram.#beside[OVERFLOW] = overflow;
    histogram.#beside[MIN] = encoded.minNs ?? histogram.#beside[MIN];
    histogram.#beside[MAX] = encoded.maxNs ?? histogram.#beside[MAX];
    return histogram;
  }
}

/**
 * Rounds a count up, except when floating point has put it one unit in the last place above a whole number:
 * HdrHistogram's guard against skipping a value.
 */
const ceilWithinOneUlp = (count: number): number => {
  const ulp = count === 0 ? 0 : 2 ** (Math.floor(Math.log2(count)) - 52);
  return Math.ceil(count - ulp);
};
