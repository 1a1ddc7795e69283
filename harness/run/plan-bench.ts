/** What `fusee bench` is to run: every setting checked, every pool sized, before anything starts. */
import { readFileSync } from 'node:fs';
import { CACHE_BYTES_MAX } from '../../fusee/client/connect.js';
import type { HostFabricKind } from '../../fusee/fabric/open.js';
import { DEFAULT_CACHE } from '../../fusee/index/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import {
  coroutineCountMax,
  type Flavour,
  flavours,
  keyStrideBytes,
  readTrace,
  strideKeyCount,
  type Trace,
  WorkloadError,
  type WorkloadSpec,
  workloadSpec,
} from '../../workloads/index.js';
import { keyRowCountMax } from '../../workloads/keys.js';
import { requestCountMax } from '../../workloads/requests.js';
import { headBytes } from '../../workloads/values.js';
import { clientFaults, clientsAtOnce, joinersIn, type PlannedFault, planFaults } from '../fault/plan.js';
import { type BenchShape, parseTimeline, type TimelineEvent } from '../fault/timeline.js';
import type { CellPlan } from './cell.js';
import type { ClientPlan } from './messages.js';
import { type Available, planPool, requireRoom, traceDemand, valueBytesOf, workloadDemand } from './plan.js';
import { planVerified } from './plan-verified.js';

/** Settings of a bench, as the command line gives them. */
export interface BenchOptions {
  readonly workloads: readonly string[];
  /** What leads from clients to nodes. @default 'shm' */
  readonly fabric?: HostFabricKind;
  readonly searchRatio?: number;
  readonly tracePath?: string;
  readonly flavour: string;
  readonly clients: number;
  readonly coroutines: number;
  readonly nodes: number;
  readonly indexReplicas: number;
  readonly dataReplicas: number;
  readonly kvBytes: number;
  readonly records: number;
  /** Per workload, of all clients together. */
  readonly requests: number;
  readonly secondsMax: number;
  /** @default by how fast the load went, see `chooseWarmup` */
  readonly warmupMs?: number;
  readonly rttNs: number;
  readonly seed: number;
  readonly repetitions: number;
  readonly cacheBytes?: number;
  /** Record histories and check that they are linearizable. @default false */
  readonly verify?: boolean;
  /** File with the timeline of what is to go wrong in each cell. */
  readonly faultsPath?: string;
  /** The same as data, in place of a file. */
  readonly timeline?: readonly object[];
  /** The window closes when all of the timeline has happened; `secondsMax` bounds it. @default false */
  readonly endsWithTimeline?: boolean;
  /** Requests begin again when they have been played to the end: the window is as long as it is to be. */
  readonly loops?: boolean;
  /** Masters that see to what the dead leave behind: one leads, the others stand by. @default 0 */
  readonly masters?: number;
  /** The lease that they give to clients. @default a long one, for busy machines */
  readonly leaseMs?: number;
  /** Folder of all runs. */
  readonly out: string;
  readonly figures: boolean;
}

/** One workload and repetition. */
export interface Cell {
  readonly name: string;
  readonly repetition: number;
  /** Its own: repetitions differ. */
  readonly seed: number;
  readonly plan: CellPlan;
}

const CLIENTS_MAX = 64;
const MASTERS_MAX = 8;
const REPETITIONS_MAX = 1000;
const SEED_MAX = 2 ** 32 - 1 - REPETITIONS_MAX;
/** Far beyond any network; the store's own deadline is 1 s. */
const RTT_NS_MAX = 100e6;
/**
 * Of a cell whose pool reclaims, so that requests wait for splits and for memory: far above the store's own
 * second, for beside other jobs a process may not run for longer than that.
 */
const RECLAIMING_DEADLINE_NS = 30e9;
/** What a client process takes before it holds anything. */
const PROCESS_BYTES = 100 << 20;
/** A request in a stream, with its value's size. */
const REQUEST_BYTES = 14;

/**
 * Checks everything that can be checked before anything starts.
 * @throws UsageError naming the value, the limit and the way out.
 */
export async function planBench(options: BenchOptions, available?: Available): Promise<Cell[]> {
  checkOptions(options);
  const shape = shapeOf(options);
  const timeline = readTimeline(options, shape);
  const cells: Cell[] = [];
  for (const workload of options.workloads) {
    checkWorkload(workload, options);
    const trace = workload === 'trace' ? await openTrace(options) : null;
    for (let repetition = 0; repetition < options.repetitions; repetition++) {
      const seed = options.seed + repetition;
      const faults = timeline === null ? null : planFaults(timeline, { ...shape, seed });
      checkJoins(workload, faults, options);
      const clients = faults === null ? options.clients : clientsAtOnce(faults, options.clients);
      const config = poolOf(options, { workload, clients, trace });
      const clientBytes = clients * clientMemory(options, trace);
      requireRoom(config, { clientBytes, ...(available === undefined ? {} : { available }) });
      const plan = cellPlan(options, { workload, repetition, faults }, config);
      cells.push({ name: workload, repetition, seed, plan });
    }
  }
  return cells;
}

/** A pool with room for what the workload writes, by so many clients at a time. */
function poolOf(
  options: BenchOptions,
  { workload, clients, trace }: { workload: string; clients: number; trace: Trace | null },
): CellPlan['config'] {
  const { searchRatio } = ratioOf(workload, options);
  // All that join have as many requests as one that is there from the start.
  const requests = Math.ceil((options.requests / options.clients) * clients);
  const size = { ...options, clients, requests, searchRatio, workload };
  const demand = trace === null ? workloadDemand(size) : traceDemand(trace);
  // What is written again and again must be reclaimed: no pool has room for all of it.
  return options.verify === true || options.loops === true
    ? planVerified(size, demand)
    : planPool(size, demand);
}

const shapeOf = ({ clients, nodes, masters = 0, secondsMax }: BenchOptions): BenchShape => ({
  clients,
  nodes,
  masters,
  windowNs: secondsMax * 1e9,
});

function readTimeline(
  { faultsPath: path, timeline }: BenchOptions,
  shape: BenchShape,
): TimelineEvent[] | null {
  if (timeline !== undefined) return parseTimeline(JSON.stringify(timeline), 'timeline', shape);
  if (path === undefined) return null;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--faults ${path} cannot be read (${(error as Error).message}); name a file`);
  }
  return parseTimeline(text, path, shape);
}

/** Refuses a number outside its limits. */
function within(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new UsageError(`${name} is ${value}; choose a whole number from ${least} to ${most}`);
  }
}

function checkOptions(options: BenchOptions): void {
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
function checkJoins(workload: string, faults: readonly PlannedFault[] | null, options: BenchOptions): void {
  const { keySpace, shares } = specOf(workload, options);
  if (faults !== null && joinersIn(faults) > 0 && keySpace !== 'shared') {
    throw new UsageError(
      `the timeline lets clients join, who would have no keys in the workload ${workload}; choose one whose ` +
        'clients share theirs, such as ycsb-a',
    );
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

const ratioOf = (workload: string, { searchRatio }: BenchOptions): { searchRatio?: number } =>
  workload === 'mix' && searchRatio !== undefined ? { searchRatio } : {};

function checkWorkload(name: string, options: BenchOptions): void {
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
function asUsage(error: unknown): never {
  throw error instanceof WorkloadError ? new UsageError(error.message) : error;
}

async function openTrace(options: BenchOptions): Promise<Trace> {
  const { tracePath = '', clients, coroutines } = options;
  const trace = await readTrace(tracePath, { valueBytes: valueBytesOf(options.kvBytes) }).catch(asUsage);
  if (trace.length < clients * coroutines) {
    throw new UsageError(
      `trace ${tracePath} has ${trace.length} requests; ` +
        `${clients} clients with ${coroutines} coroutines each need ` +
        `at least ${clients * coroutines}: use fewer clients or coroutines`,
    );
  }
  return trace;
}

/** About what one client process holds besides the pool: streams, names of keys, cache. */
function clientMemory(options: BenchOptions, trace: Trace | null): number {
  const { records, requests, clients, cacheBytes = DEFAULT_CACHE.bytes } = options;
  const streams = trace === null ? (requests / clients) * REQUEST_BYTES : 2 * trace.length * REQUEST_BYTES;
  const keys =
    trace === null ? (records + requests / clients) * (keyStrideBytes + 1) : trace.table.bytes.length;
  return Math.ceil(PROCESS_BYTES + cacheBytes + streams + keys);
}

function cellPlan(
  options: BenchOptions,
  { workload, repetition, faults }: { workload: string; repetition: number; faults: PlannedFault[] | null },
  config: CellPlan['config'],
): CellPlan {
  const { clients, coroutines, records, tracePath, cacheBytes } = options;
  const pool = `bench-${process.pid}`;
  const clientPlan = (clientIndex: number): ClientPlan => ({
    pool,
    clientIndex,
    clients,
    coroutines,
    rttNs: options.rttNs,
    workload: {
      name: workload,
      ...ratioOf(workload, options),
      ...(tracePath === undefined ? {} : { tracePath }),
    },
    flavour: options.flavour as Flavour,
    seed: options.seed + repetition,
    records,
    requests: Math.floor(options.requests / clients),
    ...(options.loops === true ? { loops: true } : {}),
    valueBytes: valueBytesOf(options.kvBytes),
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    ...(options.verify === true || options.loops === true ? { deadlineNs: RECLAIMING_DEADLINE_NS } : {}),
    ...(faults === null ? {} : { faults: clientFaults(faults, clientIndex) }),
  });
  return {
    pool,
    fabric: options.fabric ?? 'shm',
    config,
    warmupMs: options.warmupMs ?? null,
    secondsMax: options.secondsMax,
    ...(faults === null ? {} : { faults }),
    endsWithFaults: options.endsWithTimeline ?? false,
    masters: options.masters ?? 0,
    ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
    clients: Array.from({ length: clients }, (_, i) => clientPlan(i)),
    joiners: Array.from({ length: joinersIn(faults ?? []) }, (_, i) => clientPlan(clients + i)),
  };
}
