/**
 * Zipf-distributed ranks: rank 0 is the most popular of `count` items, and the popularity of rank r is
 * proportional to (r + 1)^-theta.
 */
import { requireInteger, WorkloadError } from './errors.js';
import type { RandomStream } from './random.js';

/** YCSB's skew, and the paper's. */
export const thetaDefault = 0.99;

/** The largest number of items a generator of this folder draws from: key numbers are hashed modulo it. */
export const itemCountMax = 2 ** 36;

/**
 * Terms of zeta beyond this index are added by Euler and Maclaurin's formula, which is exact to the last
 * digits.
 */
const SUMMED_TERMS_MAX = 1_000_000;

/** Something that draws ranks and whose number of items can grow. */
export interface RankGenerator {
  /** The number of items ranks are drawn from. */
  readonly count: number;
  /** Draws a rank from 0 to `count - 1`. */
  next(random: RandomStream): number;
  /** Raises the number of items; throws `WorkloadError` when it would shrink. */
  grow(count: number): void;
}

/** The sum of i^-theta for i from `from + 1` to `to`; zeta(n) is `zetaSum(0, n, theta)`. */
export function zetaSum(from: number, to: number, theta: number): number {
  const summedTo = Math.max(from, Math.min(to, SUMMED_TERMS_MAX));
  let sum = 0;
  for (let i = from + 1; i <= summedTo; i++) sum += i ** -theta;
  return summedTo < to ? sum + zetaTail(summedTo, to, theta) : sum;
}

/** The sum of i^-theta for i from `from + 1` to `to`, `from` large: integral, ends, first derivatives. */
function zetaTail(from: number, to: number, theta: number): number {
  if (to - from <= 64) {
    let sum = 0;
    for (let i = from + 1; i <= to; i++) sum += i ** -theta;
    return sum;
  }
  const power = 1 - theta;
  const integral = (to ** power - from ** power) / power;
  const ends = (to ** -theta - from ** -theta) / 2;
  const slopes = (-theta * (to ** (-theta - 1) - from ** (-theta - 1))) / 12;
  return integral + ends + slopes;
}

/** Which count eta uses after growth: the present one, or, as a named defect of YCSB, the initial one. */
export type EtaCount = 'present' | 'initial';

/** What `GrayZipf` is made from. */
export interface GrayZipfOptions {
  readonly count: number;
  /** The skew, strictly between 0 and 1; 0.99 unless told. */
  readonly theta?: number;
  /** zeta(count), when a literal must stand in for the sum. */
  readonly zeta?: number;
  /** 'present' unless told. */
  readonly etaCount?: EtaCount;
}

/**
 * The generator of Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD 1994), as
 * YCSB's `ZipfianGenerator` has it: one uniform number, one power. It is an approximation: at 100,000 items
 * rank 2 is drawn 19 % more often than under Zipf's law. `ExactZipf` is exact.
 *
 * *Deviation:* YCSB and its ports recompute eta on growth from the initial count, which makes the ranks after
 * the second vanish as a workload grows; here it follows the present count unless `etaCount` asks for the
 * defect.
 */
export class GrayZipf implements RankGenerator {
  readonly #theta: number;
  readonly #alpha: number;
  readonly #zetaOfTwo: number;
  readonly #initialCount: number;
  readonly #etaCount: EtaCount;
  #count: number;
  #zeta: number;
  #eta: number;

  constructor(options: GrayZipfOptions) {
    const theta = requireTheta(options.theta ?? thetaDefault);
    this.#count = requireInteger('item count', options.count, { min: 1, max: itemCountMax });
    this.#theta = theta;
    this.#alpha = 1 / (1 - theta);
    this.#zetaOfTwo = 1 + 0.5 ** theta;
    this.#initialCount = this.#count;
    this.#etaCount = options.etaCount ?? 'present';
    this.#zeta = options.zeta ?? zetaSum(0, this.#count, theta);
    this.#eta = this.#etaOf(this.#count);
  }

  get count(): number {
    return this.#count;
  }

  /** zeta(count) as it stands. */
  get zeta(): number {
    return this.#zeta;
  }

  next(random: RandomStream): number {
    return this.rankOf(random.nextDouble());
  }

  /** The rank of one uniform number of [0, 1). */
  rankOf(uniform: number): number {
    const scaled = uniform * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < this.#zetaOfTwo) return 1;
    const rank = Math.floor(this.#count * (this.#eta * uniform - this.#eta + 1) ** this.#alpha);
    // A uniform number next to 1 may round up to `count`; with fewer than three items eta is no number.
    return rank < this.#count ? rank : this.#count - 1;
  }

  grow(count: number): void {
    requireGrowth(this.#count, count);
    this.#zeta += zetaSum(this.#count, count, this.#theta);
    this.#count = count;
    this.#eta = this.#etaOf(this.#etaCount === 'initial' ? this.#initialCount : count);
  }

  #etaOf(count: number): number {
    return (1 - (2 / count) ** (1 - this.#theta)) / (1 - this.#zetaOfTwo / this.#zeta);
  }
}

/**
 * Zipf's law exactly, for any count and no table: rejection-inversion (Hoermann and Derflinger, "Rejection-
 * inversion to generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996). It takes one
 * uniform number or, seldom, a few more.
 */
export class ExactZipf implements RankGenerator {
  readonly #theta: number;
  readonly #areaLow: number;
  readonly #acceptDistance: number;
  #count: number;
  #areaHigh: number;

  constructor(count: number, theta: number = thetaDefault) {
    this.#theta = requireTheta(theta);
    this.#count = requireInteger('item count', count, { min: 1, max: itemCountMax });
    this.#areaLow = this.#area(1.5) - 1;
    this.#areaHigh = this.#area(count + 0.5);
    this.#acceptDistance = 2 - this.#areaInverse(this.#area(2.5) - 2 ** -theta);
  }

  get count(): number {
    return this.#count;
  }

  next(random: RandomStream): number {
    for (;;) {
      const area = this.#areaHigh + random.nextDouble() * (this.#areaLow - this.#areaHigh);
      const x = this.#areaInverse(area);
      const item = Math.min(Math.max(Math.floor(x + 0.5), 1), this.#count);
      if (item - x <= this.#acceptDistance) return item - 1;
      if (area >= this.#area(item + 0.5) - item ** -this.#theta) return item - 1;
    }
  }

  grow(count: number): void {
    requireGrowth(this.#count, count);
    this.#count = count;
    this.#areaHigh = this.#area(count + 0.5);
  }

  /** The integral of x^-theta from 1 to x; `expm1` keeps it exact as theta nears 1. */
  #area(x: number): number {
    return Math.expm1((1 - this.#theta) * Math.log(x)) / (1 - this.#theta);
  }

  #areaInverse(area: number): number {
    return Math.exp(Math.log1p(Math.max(area * (1 - this.#theta), -1)) / (1 - this.#theta));
  }
}

function requireTheta(theta: number): number {
  if (theta > 0 && theta < 1) return theta;
  throw new WorkloadError(
    `theta is ${theta}, but must lie strictly between 0 and 1: for no skew ask for the uniform distribution`,
  );
}

function requireGrowth(present: number, count: number): void {
  requireInteger('item count', count, {
    min: present,
    max: itemCountMax,
    wayOut: 'a Zipf generator grows and never shrinks; make a new one',
  });
}
