/** Many seeds over worker processes, until there are enough, time is up, or somebody says stop. */
import { UsageError } from '../../fusee/verbs/index.js';
import { Child } from '../run/child.js';
import { HOT_FLAGS } from '../run/hot-flags.js';
import type { Profile } from './profile.js';
import {
  addSum,
  emptySum,
  type RanSeeds,
  type RunSeeds,
  type SwarmFailure,
  type SwarmSum,
} from './worker.js';

export interface VerifyOptions {
  /** Seeds to run; Infinity runs until `seconds` are over. */
  readonly seeds: number;
  /** Longest time; Infinity for none. */
  readonly seconds: number;
  /** The first seed; the others follow it. */
  readonly firstSeed: number;
  /** Worker processes. */
  readonly jobs: number;
  /** @default 'any' */
  readonly profile?: Profile;
  /** Told of each failure as it is found, and of progress about once a second. */
  readonly onFailure?: (failure: SwarmFailure) => void;
  readonly onProgress?: (sum: SwarmSum, seconds: number) => void;
  /** Ends the run early, with what was done. */
  readonly signal?: AbortSignal;
}

export interface VerifyResult {
  readonly sum: SwarmSum;
  readonly failures: readonly SwarmFailure[];
  readonly firstSeed: number;
  readonly jobs: number;
  readonly seconds: number;
  /** Requests per second of all workers together: simulated and checked, by the clock. */
  readonly throughputOps: number;
  /** Requests per second of one worker: without its checks, and with them. */
  readonly simulatedOps: number;
  readonly checkedOps: number;
  readonly isInterrupted: boolean;
}

/** Seeds a worker runs between two reports. */
const CHUNK = 8;
/** Failing seeds after which a run ends: they are all the same, as a rule. */
const FAILURES_MAX = 10;

/** Largest first seed: those that follow stay exact. */
export const SEED_MAX = 2 ** 52;

/**
 * A first seed from any text: FNV-1a over its UTF-16 code units, 52 bits.
 */
export function seedFrom(text: string): number {
  let hash = 0xcbf29ce484222325n;
  for (const unit of text) hash = BigInt.asUintN(64, (hash ^ BigInt(unit.codePointAt(0)!)) * 0x100000001b3n);
  return Number(BigInt.asUintN(52, hash ^ (hash >> 12n)));
}

/**
 * Runs seeds.
 * @throws UsageError when there is neither a number of seeds nor a time, or a limit is exceeded; FabricError
 * when a worker ends on its own.
 */
export async function verifySeeds(options: VerifyOptions): Promise<VerifyResult> {
  checkOptions(options);
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  const sum = emptySum();
  const failures: SwarmFailure[] = [];
  let next = 0;
  let lastProgress = 0;
  const isOver = (): boolean =>
    next >= options.seeds ||
    elapsed() >= options.seconds ||
    failures.length >= FAILURES_MAX ||
    options.signal?.aborted === true;

  const work = async (index: number): Promise<void> => {
    const child = new Child<RunSeeds, RanSeeds>(`worker ${index}`, '../swarm/worker', {
      nodeFlags: HOT_FLAGS,
    });
    try {
      while (!isOver()) {
        const count = Math.min(CHUNK, options.seeds - next);
        const seeds = Array.from({ length: count }, (_, i) => options.firstSeed + next + i);
        next += count;
        child.tell({ type: 'run', seeds, profile: options.profile ?? 'any' });
        const ran = await child.expect('ran');
        addSum(sum, ran.sum);
        for (const failure of ran.failures) {
          failures.push(failure);
          options.onFailure?.(failure);
        }
        if (elapsed() - lastProgress < 1) continue;
        lastProgress = elapsed();
        options.onProgress?.(sum, lastProgress);
      }
    } finally {
      await child.end();
    }
  };
  const jobs = Math.min(options.jobs, Math.ceil(options.seeds / CHUNK));
  await Promise.all(Array.from({ length: jobs }, (_, index) => work(index)));
  const seconds = elapsed();
  return {
    sum,
    failures,
    firstSeed: options.firstSeed,
    jobs,
    seconds,
    throughputOps: sum.requests / seconds,
    simulatedOps: rate(sum.requests, sum.runMs),
    checkedOps: rate(sum.requests, sum.runMs + sum.checkMs),
    isInterrupted: options.signal?.aborted === true,
  };
}

const rate = (count: number, ms: number): number => (ms === 0 ? 0 : count / (ms / 1000));

function checkOptions({ seeds, seconds, firstSeed, jobs }: VerifyOptions): void {
  if (seeds === Number.POSITIVE_INFINITY && seconds === Number.POSITIVE_INFINITY)
    throw new UsageError('neither a number of seeds nor a time is given: a run would never end; give one');
  if (!(seeds >= 1)) throw new UsageError(`seeds is ${seeds}; give 1 or more`);
  if (!(seconds > 0)) throw new UsageError(`the time is ${seconds} s; give more than 0`);
  if (!(Number.isInteger(firstSeed) && firstSeed >= 0 && firstSeed <= SEED_MAX))
    throw new UsageError(`the seed is ${firstSeed}; give a whole number from 0 to 2^52`);
  if (!(Number.isInteger(jobs) && jobs >= 1 && jobs <= 256))
    throw new UsageError(`jobs is ${jobs}; give 1 to 256`);
}
