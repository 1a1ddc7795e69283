/** What `fusee bench` is to run: every setting checked, every pool sized, before anything starts. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { HostFabricKind } from '../../fusee/fabric/open.js';
import type { RdmaChoice } from '../../fusee/fabric/verbs.js';
import { DEFAULT_CACHE } from '../../fusee/index/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { type Flavour, keyStrideBytes, readTrace, type Trace } from '../../workloads/index.js';
import { clientFaults, clientsAtOnce, joinersIn, type PlannedFault, planFaults } from '../fault/plan.js';
import { type BenchShape, parseTimeline, type TimelineEvent } from '../fault/timeline.js';
import type { CellPlan } from './cell.js';
import { asUsage, checkJoins, checkOptions, checkWorkload, ratioOf } from './check-options.js';
import type { ClientPlan } from './messages.js';
import { type Available, planPool, requireRoom, traceDemand, valueBytesOf, workloadDemand } from './plan.js';
import { checkOpenLoop, clientSchedule, type OpenLoopOptions, type OpenLoopPlan } from './plan-open-loop.js';
import { planVerified } from './plan-verified.js';

/** Settings of a bench, as the command line gives them. */
export interface BenchOptions {
  readonly workloads: readonly string[];
  /** What leads from clients to nodes. @default 'shm' */
  readonly fabric?: HostFabricKind;
  /** Over verbs: the clients' RDMA device. */
  readonly rdma?: RdmaChoice;
  readonly searchRatio?: number;
  readonly tracePath?: string;
  readonly flavour: string;
  readonly clients: number;
  /** Each workload runs with each of these. @default `clients` alone */
  readonly clientCounts?: readonly number[];
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
  /** Requests come by a schedule, whatever becomes of those before. @default each behind the last */
  readonly openLoop?: OpenLoopOptions;
  /** Take cells that earlier runs have finished from there. @default false */
  readonly resume?: boolean;
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

/** One workload and repetition, with one number of clients and one offered load. */
export interface Cell {
  readonly name: string;
  /** Tells apart cells of one workload, such as `c8` and `20000ops`; null when only workloads differ. */
  readonly label: string | null;
  readonly repetition: number;
  /** Its own: repetitions differ. */
  readonly seed: number;
  readonly clients: number;
  readonly openLoop: OpenLoopPlan | null;
  readonly plan: CellPlan;
  /** All that determines it, besides code and machine. */
  readonly settings: object;
}

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
  const { clientCounts = [options.clients], openLoop } = options;
  const twice = clientCounts.find((count, i) => clientCounts.indexOf(count) !== i);
  if (twice !== undefined) throw new UsageError(`${twice} clients are named twice; name them once`);
  if (openLoop !== undefined) checkOpenLoop(openLoop);
  const cells: Cell[] = [];
  for (const clients of clientCounts) {
    cells.push(...(await planClients({ ...options, clients }, available)));
  }
  return cells;
}

/** The cells of one number of clients. */
async function planClients(options: BenchOptions, available: Available | undefined): Promise<Cell[]> {
  checkOptions(options);
  const shape = shapeOf(options);
  const timeline = readTimeline(options, shape);
  const cells: Cell[] = [];
  for (const workload of options.workloads) {
    checkWorkload(workload, options);
    const trace = workload === 'trace' ? await openTrace(options) : null;
    for (const openLoop of openLoopsOf(options)) {
      for (let repetition = 0; repetition < options.repetitions; repetition++) {
        const seed = options.seed + repetition;
        const faults = timeline === null ? null : planFaults(timeline, { ...shape, seed });
        checkJoins(workload, faults, options);
        const clients = faults === null ? options.clients : clientsAtOnce(faults, options.clients);
        // A client that was killed keeps what it had until it is recovered, and all grace waits for that.
        const dying = (faults ?? []).filter(({ kind }) => kind === 'kill' || kind === 'crash').length;
        const holders = clients + Math.min(dying, 2 * clients);
        const config = poolOf(options, { workload, clients: holders, trace });
        const clientBytes = clients * clientMemory(options, trace);
        requireRoom(config, { clientBytes, ...(available === undefined ? {} : { available }) });
        const what = { workload, repetition, faults, openLoop };
        cells.push({
          name: workload,
          label: labelOf(options, openLoop),
          repetition,
          seed,
          clients: options.clients,
          openLoop,
          plan: cellPlan(options, what, config),
          settings: {
            ...settingsOf(options, what),
            seed,
            traceHash: trace === null ? null : traceHash(options),
          },
        });
      }
    }
  }
  return cells;
}

const openLoopsOf = ({ openLoop }: BenchOptions): readonly (OpenLoopPlan | null)[] => {
  if (openLoop === undefined) return [null];
  const { rates, ...common } = openLoop;
  return rates.map((offeredOps) => ({ ...common, offeredOps }));
};

/** What differs between cells of one workload. */
function labelOf(
  { clients, clientCounts = [], openLoop }: BenchOptions,
  plan: OpenLoopPlan | null,
): string | null {
  const parts = [
    ...(clientCounts.length > 1 ? [`c${clients}`] : []),
    ...(plan !== null && (openLoop?.rates.length ?? 0) > 1 ? [`${plan.offeredOps}ops`] : []),
  ];
  return parts.length === 0 ? null : parts.join('-');
}

/** Of a bench, what determines this cell: not what else is run, how often, and where results go. */
function settingsOf(options: BenchOptions, cell: CellChoice): object {
  const { workloads, tracePath, searchRatio, faultsPath, clientCounts, openLoop, ...rest } = options;
  const { repetitions, out, figures, resume, ...settings } = rest;
  return {
    experiment: 'bench',
    system: 'fusee',
    ...settings,
    fabric: options.fabric ?? 'shm',
    ...ratioOf(cell.workload, options),
    ...cell,
  };
}

/** sha256 of the trace that is replayed; null when none is. */
export const traceHash = ({ tracePath }: BenchOptions): string | null =>
  tracePath === undefined ? null : createHash('sha256').update(readFileSync(tracePath)).digest('hex');

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

/** What a cell is, of all that a bench runs. */
interface CellChoice {
  readonly workload: string;
  readonly repetition: number;
  readonly faults: readonly PlannedFault[] | null;
  readonly openLoop: OpenLoopPlan | null;
}

function cellPlan(
  options: BenchOptions,
  { workload, repetition, faults, openLoop }: CellChoice,
  config: CellPlan['config'],
): CellPlan {
  const { clients, coroutines, records, tracePath, cacheBytes } = options;
  const pool = `bench-${process.pid}`;
  const seed = options.seed + repetition;
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
    seed,
    records,
    requests: Math.floor(options.requests / clients),
    ...(options.loops === true ? { loops: true } : {}),
    valueBytes: valueBytesOf(options.kvBytes),
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    ...(options.verify === true || options.loops === true ? { deadlineNs: RECLAIMING_DEADLINE_NS } : {}),
    ...(openLoop === null ? {} : { schedule: clientSchedule(openLoop, { clientIndex, clients, seed }) }),
    ...(faults === null ? {} : { faults: clientFaults(faults, clientIndex) }),
  });
  return {
    pool,
    fabric: options.fabric ?? 'shm',
    ...(options.rdma === undefined ? {} : { rdma: options.rdma }),
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
