/** What `fusee bench` may be asked for: every limit of its options, with the way out. */
import { CACHE_BYTES_MAX } from '../../fusee/client/connect.js';
import { UsageError } from '../../fusee/verbs/index.js';
import {
  coroutineCountMax,
  flavours,
  keyStrideBytes,
  strideKeyCount,
  WorkloadError,
  type WorkloadSpec,
  workloadSpec,
} from '../../workloads/index.js';
import { keyRowCountMax } from '../../workloads/keys.js';
import { requestCountMax } from '../../workloads/requests.js';
import { headBytes } from '../../workloads/values.js';
import { joinersIn, type PlannedFault } from '../fault/plan.js';
import { valueBytesOf } from './plan.js';
import type { BenchOptions } from './plan-bench.js';

const CLIENTS_MAX = 64;
const MASTERS_MAX = 8;
const REPETITIONS_MAX = 1000;
const SEED_MAX = 2 ** 32 - 1 - REPETITIONS_MAX;
/** Far beyond any network; the store's own deadline is 1 s. */
const RTT_NS_MAX = 100e6;

/** Refuses a number outside its limits. */
function within(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new UsageError(`${name} is ${value}; choose a whole number from ${least} to ${most}`);
  }
}

/** Checks all but what workload and timeline ask for. @throws UsageError */
export function checkOptions(options: BenchOptions): void {
  const { clients, coroutines, workloads } = options;
  within('clients', clients, 1, CLIENTS_MAX);
  within('coroutines', coroutines, 1, coroutineCountMax);
  within('records', options.records, 1, keyRowCountMax);
  within('masters', options.masters ?? 0, 0, MASTERS_MAX);
  within('repeats', options.repetitions, 1, REPETITIONS_MAX);
  within('seed', options.seed, 0, SEED_MAX);
  const lanes = clients * coroutines;
  if (!Number.isInteger(options.requests) || options.requests < lanes) {
    throw new UsageError(
      `requests is ${options.requests}; ${clients} clients with ${coroutines} coroutines each need ` +
        `at least ${lanes}, one for every coroutine: ask for more, or use fewer clients or coroutines`,
    );
  }
  within('requests', options.requests, lanes, requestCountMax);
  requireSpan('the window', options.secondsMax, { least: 0.001, most: 86_400, unit: 's' });
  requireSpan('the warm-up', options.warmupMs ?? 0, { least: 0, most: 3_600_000, unit: 'ms' });
  requireSpan('the round trip', options.rttNs, { least: 0, most: RTT_NS_MAX, unit: 'ns' });
  if (options.cacheBytes !== undefined) within('the cache size', options.cacheBytes, 0, CACHE_BYTES_MAX);
  valueBytesOf(options.kvBytes);
  checkVerifiable(options);
  if (options.out === '') throw new UsageError('the folder of all runs has no name; give one with --out');
  if (!(flavours as readonly string[]).includes(options.flavour)) {
    throw new UsageError(`flavour '${options.flavour}' is unknown; choose one of ${flavours.join(', ')}`);
  }
  if (workloads.length === 0) throw new UsageError('no workload was named; choose for example ycsb-a');
  const twice = workloads.find((name, i) => workloads.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UsageError(`workload '${twice}' is named twice; name it once, and repeat it with --repeats`);
  }
  checkCompanions(options);
}

/** A history needs values that name their writer, and requests whose outcomes are known. */
function checkVerifiable(options: BenchOptions): void {
  const { verify = false, kvBytes, workloads, loops = false } = options;
  if (!verify) return;
  if (loops && options.faultsPath === undefined && options.timeline === undefined) {
    throw new UsageError(
      '--loop makes histories of any length, which --verify keeps in files only with --faults',
    );
  }
  if (valueBytesOf(kvBytes) < headBytes) {
    const least = headBytes + keyStrideBytes;
    throw new UsageError(
      `KV size is ${kvBytes} bytes; --verify needs values that name their writer: at least ${least}`,
    );
  }
  if (workloads.includes('trace')) {
    throw new UsageError('--verify cannot follow the workload trace, whose values have sizes of their own');
  }
}

/** Who joins later works on keys that others have loaded. */
export function checkJoins(
  workload: string,
  faults: readonly PlannedFault[] | null,
  options: BenchOptions,
): void {
  const { keySpace, shares } = specOf(workload, options);
  if (faults !== null && joinersIn(faults) > 0 && keySpace !== 'shared') {
    throw new UsageError(
      `the timeline lets clients join, who would have no keys in the workload ${workload}; choose one whose ` +
        'clients share theirs, such as ycsb-a',
    );
  }
  if (faults !== null && joinersIn(faults) > 0 && options.openLoop !== undefined) {
    throw new UsageError('--rate is shared out among clients that are there from the start; let none join');
  }
  if (options.loops === true && (keySpace === 'trace' || shares.insert + shares.remove > 0)) {
    throw new UsageError(
      `--loop plays requests again, but ${workload} inserts or deletes keys, which works once; ` +
        'leave it out, and raise --requests',
    );
  }
}

/** Options that mean something to one workload only. */
function checkCompanions({ workloads, tracePath, searchRatio }: BenchOptions): void {
  if (tracePath !== undefined && !workloads.includes('trace')) {
    throw new UsageError(`--trace ${tracePath} is given, but not the workload trace; add --workload trace`);
  }
  if (searchRatio !== undefined && !workloads.includes('mix')) {
    throw new UsageError(
      `--search-ratio ${searchRatio} is given, but not the workload mix; add --workload mix`,
    );
  }
}

function requireSpan(
  name: string,
  value: number,
  { least, most, unit }: { least: number; most: number; unit: string },
): void {
  if (value >= least && value <= most) return;
  throw new UsageError(`${name} is ${value} ${unit}; choose ${least} to ${most} ${unit}`);
}

/** The share of SEARCH, for the workload that has one. */
export const ratioOf = (workload: string, { searchRatio }: BenchOptions): { searchRatio?: number } =>
  workload === 'mix' && searchRatio !== undefined ? { searchRatio } : {};

/** Checks what a workload asks of the options. @throws UsageError */
export function checkWorkload(name: string, options: BenchOptions): void {
  if (name === 'mix' && options.searchRatio === undefined) {
    throw new UsageError(
      "workload 'mix' needs its share of SEARCH; give it with --search-ratio, from 0 to 1",
    );
  }
  if (name === 'trace' && options.tracePath === undefined) {
    throw new UsageError("workload 'trace' replays a file; name it with --trace FILE");
  }
  const spec = specOf(name, options);
  const perCoroutine = Math.ceil(options.requests / options.clients / options.coroutines);
  if (spec.distribution === 'latest' && options.records < 2) {
    throw new UsageError(`records is ${options.records}; ${name} needs a newest key and one before it, so 2`);
  }
  if (spec.shares.insert + spec.shares.remove > 0 && perCoroutine > strideKeyCount) {
    throw new UsageError(
      `requests is ${options.requests}, ${perCoroutine} for each coroutine; in ${name} one has ` +
        `${strideKeyCount} keys: use fewer requests, or more clients or coroutines`,
    );
  }
}

function specOf(name: string, options: BenchOptions): WorkloadSpec {
  try {
    return workloadSpec(name, ratioOf(name, options));
  } catch (error) {
    return asUsage(error);
  }
}

/** A workload's own complaints are about usage. */
export function asUsage(error: unknown): never {
  throw error instanceof WorkloadError ? new UsageError(error.message) : error;
}
