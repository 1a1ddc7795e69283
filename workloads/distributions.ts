/** How the keys of a workload are chosen among the loaded ones, 0 to `recordCount - 1`. */
import { requireInteger } from './errors.js';
import { absoluteHash, hashKeyNumber, hashModulusMax, moduloHash, newHash } from './fnv.js';
import { KeyPermutation } from './permutation.js';
import type { RandomStream } from './random.js';
import { ExactZipf, GrayZipf, itemCountMax, type RankGenerator, thetaDefault } from './zipf.js';

/**
 * Whose benchmark "YCSB" means; part of every result, since the share of the hottest key, and with it the
 * rate of conflicts, differs by a factor of two between them.
 *
 * - `ycsb-java`: YCSB of brianfrankcooper, with eta repaired;
 * - `ycsb-java-bug`: the same with YCSB's defect in eta, which only workload D can show;
 * - `ycsb-c`: the C++ port of basicthinker, behind most papers' request files;
 * - `exact`: Zipf's law over the loaded keys, no key left out.
 */
export type Flavour = (typeof flavours)[number];

/** All flavours, the default first. */
export const flavours = ['ycsb-java', 'ycsb-java-bug', 'ycsb-c', 'exact'] as const;

/** The most keys a store may be loaded with: a key number plus 1 is a modulus of the key hash. */
export const recordCountMax = hashModulusMax - 1;

/** YCSB's `ScrambledZipfianGenerator.ITEM_COUNT` is 10^10, inclusive. */
const SCRAMBLED_ITEM_COUNT = 10_000_000_001;

/**
 * YCSB's `ZETAN`, zeta of the item count as its authors summed it. The literal is part of the benchmark: it
 * carries a summation error of 3e-11 that a better sum would not have.
 */
const SCRAMBLED_ZETA = 26.46902820178302;

/** Chooses a key number among the loaded keys. */
export interface KeyChooser {
  next(random: RandomStream): number;
}

/** What every chooser is made from. */
export interface KeyChooserOptions {
  /** The count of loaded keys, 1 to `recordCountMax`. */
  readonly recordCount: number;
  /** The skew of the zipfian choosers, strictly between 0 and 1; 0.99 unless told. */
  readonly theta?: number;
}

/** Every loaded key with the same probability. */
export class UniformKeys implements KeyChooser {
  readonly #recordCount: number;

  constructor(options: KeyChooserOptions) {
    this.#recordCount = requireRecordCount(options.recordCount);
  }

  next(random: RandomStream): number {
    return random.nextBelow(this.#recordCount);
  }
}

/**
 * YCSB's `zipfian` (flavour `ycsb-java`): a rank of Gray's generator over a fixed 10^10 + 1 items, hashed,
 * modulo
 * `recordCount + 1`; the one number past the loaded keys is drawn again, as YCSB does with keys not yet
 * acknowledged. Hashing ten thousand million ranks onto few keys flattens the skew; that is YCSB's design.
 */
export class ScrambledZipfKeys implements KeyChooser {
  readonly #recordCount: number;
  readonly #ranks: GrayZipf;
  readonly #hash = newHash();

  constructor(options: KeyChooserOptions) {
    const theta = options.theta ?? thetaDefault;
    const zeta = theta === thetaDefault ? SCRAMBLED_ZETA : undefined;
    this.#recordCount = requireRecordCount(options.recordCount);
    this.#ranks = new GrayZipf({ count: SCRAMBLED_ITEM_COUNT, theta, zeta });
  }

  next(random: RandomStream): number {
    for (;;) {
      const key = this.keyOf(random.nextDouble());
      if (key < this.#recordCount) return key;
    }
  }

  /**
   * The key number of one uniform number of [0, 1): 0 to `recordCount`, the last of which is to be redrawn.
   */
  keyOf(uniform: number): number {
    hashKeyNumber(this.#ranks.rankOf(uniform), this.#hash);
    absoluteHash(this.#hash);
    return moduloHash(this.#hash, this.#recordCount + 1);
  }
}

/**
 * The zipfian of the C++ port (flavour `ycsb-c`): Gray's generator over the real `recordCount`, and the
 * unsigned hash of the rank modulo `recordCount`. Collisions leave 29 % of 100,000 keys without any request.
 */
export class HashedZipfKeys implements KeyChooser {
  readonly #recordCount: number;
  readonly #ranks: GrayZipf;
  readonly #hash = newHash();

  constructor(options: KeyChooserOptions) {
    this.#recordCount = requireRecordCount(options.recordCount);
    this.#ranks = new GrayZipf({ count: this.#recordCount, theta: options.theta });
  }

  next(random: RandomStream): number {
    return this.keyOfRank(this.#ranks.next(random));
  }

  /** The key number a rank is hashed to. */
  keyOfRank(rank: number): number {
    hashKeyNumber(rank, this.#hash);
    return moduloHash(this.#hash, this.#recordCount);
  }
}

/**
 * Zipf's law exactly (flavour `exact`), its ranks spread over the keys by `KeyPermutation`: no key is left
 * out.
 */
export class PermutedZipfKeys implements KeyChooser {
  readonly #ranks: ExactZipf;
  readonly #permutation: KeyPermutation;

  constructor(options: KeyChooserOptions) {
    const recordCount = requireRecordCount(options.recordCount);
    this.#ranks = new ExactZipf(recordCount, options.theta);
    this.#permutation = new KeyPermutation(recordCount);
  }

  next(random: RandomStream): number {
    return this.keyOfRank(this.#ranks.next(random));
  }

  /** The key number of a rank. */
  keyOfRank(rank: number): number {
    return this.#permutation.apply(rank);
  }
}

/** The zipfian chooser of a flavour. */
export function zipfKeys(flavour: Flavour, options: KeyChooserOptions): KeyChooser {
  switch (flavour) {
    case 'ycsb-java':
    case 'ycsb-java-bug':
      return new ScrambledZipfKeys(options);
    case 'ycsb-c':
      return new HashedZipfKeys(options);
    case 'exact':
      return new PermutedZipfKeys(options);
  }
}

/**
 * Ranks from the newest key for `latest` (workload D), 0 the newest. As in YCSB's `SkewedLatestGenerator` the
 * ranks of `recordCount` keys number `recordCount - 1`, so that the oldest key is never chosen.
 */
export function latestRanks(flavour: Flavour, options: KeyChooserOptions): RankGenerator {
  const recordCount = requireInteger('record count', options.recordCount, {
    min: 2,
    max: itemCountMax,
    wayOut: 'the latest distribution needs a newest key and one before it',
  });
  const count = recordCount - 1;
  if (flavour === 'exact') return new ExactZipf(count, options.theta);
  const etaCount = flavour === 'ycsb-java-bug' ? 'initial' : 'present';
  return new GrayZipf({ count, theta: options.theta, etaCount });
}

function requireRecordCount(recordCount: number): number {
  return requireInteger('record count', recordCount, {
    min: 1,
    max: recordCountMax,
    wayOut: 'load at least one key before choosing among them',
  });
}
