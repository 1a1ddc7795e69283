/** What the harness and the processes it forks say to each other, over the IPC channel that fork gives. */
import type { HostFabricKind, NodeAccess } from '../../fusee/fabric/open.js';
import type { ChangeReport, RecoveryReport } from '../../fusee/host/status.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import { FuseeError, type Ledger } from '../../fusee/verbs/index.js';
import type { PackedHistogram } from '../../results/histogram.js';
import type { Operation, UpkeepCounts } from '../../results/schema.js';
import { type Flavour, WorkloadError } from '../../workloads/index.js';
import type { ClientFaults } from '../fault/plan.js';
import type { IntervalReport } from './interval-log.js';
import type { ClientSchedule } from './plan-open-loop.js';
import type { SelfCost } from './self-cost.js';

/** What one client process of a cell is to do. */
export interface ClientPlan extends NodeAccess {
  /** Those that join later have numbers from `clients` up, and load nothing. */
  readonly clientIndex: number;
  readonly clients: number;
  readonly coroutines: number;
  readonly rttNs: number;
  readonly workload: { readonly name: string; readonly searchRatio?: number; readonly tracePath?: string };
  readonly flavour: Flavour;
  readonly seed: number;
  readonly records: number;
  /** Requests of this client, over all its coroutines. */
  readonly requests: number;
  /** Requests begin again when they have been played to the end. */
  readonly loops?: boolean;
  readonly valueBytes: number;
  readonly cacheBytes?: number;
  /** @default the store's own */
  readonly deadlineNs?: number;
  /** Record a history of all requests, and write it to this file at the end of the check. */
  readonly historyPath?: string;
  /** Its share of an open loop; left out in a closed one. */
  readonly schedule?: ClientSchedule;
  /** What this client does to itself in the measured window; given when anything at all is to go wrong. */
  readonly faults?: ClientFaults;
}

/** What a client does, one after the other, and what can be stopped. */
export type Phase = 'load' | 'run' | 'check';

export type ToClient =
  | { readonly type: 'prepare'; readonly plan: ClientPlan }
  | { readonly type: 'load' }
  | {
      readonly type: 'run';
      readonly startNs: number;
      readonly measureNs: number;
      readonly endNs: number;
      /** Say `warm` when this share of the requests has begun; null when nobody wants to know. */
      readonly warmShare: number | null;
    }
  /** The window begins now, earlier than the run was told. */
  | { readonly type: 'measure'; readonly measureNs: number }
  /** Ends a phase, also one that has not begun: a stop overtakes what waits its turn. */
  | { readonly type: 'stop'; readonly phase: Phase }
  /** Ends the run of this client alone, which leaves the pool; its process ends with its channel. */
  | { readonly type: 'leave' }
  /** Reads back, also what those clients have loaded that have died. */
  | { readonly type: 'check'; readonly alsoOf: readonly number[] };

/** What happened to one kind of operation in the measured window. */
export interface OperationReport {
  readonly operation: Operation;
  readonly latency: PackedHistogram;
  /** From the intended start; left out in a closed loop. */
  readonly response?: PackedHistogram;
  /** Costs of all requests that ended in the window. */
  readonly ledger: Readonly<
    Pick<Ledger, 'rtts' | 'verbs' | 'bytes' | 'casFailures' | 'polls' | 'backgroundVerbs' | 'backgroundBytes'>
  >;
  readonly count: number;
  readonly outcomes: Readonly<Record<string, number>>;
}

/** What became of requests whose intended start lay in the window. */
export interface ArrivalCounts {
  readonly scheduled: number;
  readonly late: number;
  readonly skipped: number;
  readonly dropped: number;
}

/** What one client process measured. Times are of the host's monotonic clock. */
export interface ClientReport {
  readonly operations: readonly OperationReport[];
  readonly warmupOperations: number;
  /** Requests, of the warm-up too, that ended in anything but OK. */
  readonly notOk: number;
  /** First and last moment of the measured window. */
  readonly measureNs: number;
  readonly endNs: number;
  /** When it began no more requests: until the end it only waited for those in flight. */
  readonly closedNs: number;
  /** What became of the schedule of an open loop; left out in a closed one. */
  readonly arrivals?: ArrivalCounts;
  readonly wrongValues: number;
  /** Up to three of the values that were wrong, for a person. */
  readonly wrongExamples: readonly string[];
  /** Completions per 100 ms since the window's start, and each interval's p99. */
  readonly series: readonly { readonly operations: number; readonly p99Ns: number }[];
  /** Latencies by interval; null in a report ahead of the end, and in the last one of who died. */
  readonly intervals: IntervalReport | null;
  readonly collections: { readonly count: number; readonly milliseconds: number; readonly longestMs: number };
  /** Look-ups in the client's index cache since the window began, to within a turn of its event loop. */
  readonly cache: { readonly hits: number; readonly misses: number; readonly bypassed: number };
  /** Work since then that no request waited for. */
  readonly background: { readonly rtts: number; readonly verbs: number; readonly bytes: number };
  /** What background work has brought since the client began, loading included. */
  readonly upkeep: UpkeepCounts;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  /** How long its thread could have run in the window and had no core; null when the kernel does not tell. */
  readonly coreWaitNs: number | null;
  /** What the harness itself costs; null before it was measured. */
  readonly selfCost: SelfCost | null;
}

export type FromClient =
  | {
      readonly type: 'prepared';
      readonly streamHash: string;
      /** To be measured, of all coroutines. */
      readonly requests: number;
      /** Its number in the pool; null for one that joins later. */
      readonly cid: number | null;
    }
  | {
      readonly type: 'loaded';
      readonly keys: number;
      readonly failed: number;
      /** What the failed ones ended in. */
      readonly outcomes: readonly string[];
    }
  | {
      readonly type: 'progress';
      readonly operations: number;
      readonly p99Ns: number;
      /** All that was counted so far in the measured window, where this client may die. */
      readonly report?: ClientReport;
    }
  | { readonly type: 'warm' }
  /** A client has joined, or left, the pool in the window. */
  | { readonly type: 'joined' | 'left'; readonly atNs: number; readonly cid: number }
  | { readonly type: 'finished'; readonly report: ClientReport }
  | {
      readonly type: 'checked';
      readonly keys: number;
      readonly lostKeys: number | null;
      /** Keys whose SEARCH brought no answer. */
      readonly unreadKeys: number;
      readonly wrongValues: number;
    }
  | Failed;

export type ToNode = {
  readonly type: 'start';
  readonly pool: string;
  readonly mn: number;
  readonly config: PoolConfig;
  /** Let clients in over a network too: at a port of the system's choice, for those who know the secret. */
  readonly secretFile?: string;
  /** Which network. @default 'tcp' */
  readonly fabric?: HostFabricKind;
};
/** Status of a node that was stopped for longer than its lease: the pool goes on without it. */
export const EXPELLED_STATUS = 3;
export type FromNode =
  | {
      readonly type: 'ready';
      /** Of TCP; 0 when nobody is let in there. */
      readonly port: number;
    }
  | Failed;

/** All that has died is seen to; what this master has done for it. */
export interface Settled {
  readonly type: 'settled';
  readonly recoveries: readonly RecoveryReport[];
  readonly changes: readonly ChangeReport[];
}

export type ToMasterProcess =
  /** Lead, or stand by while another does. */
  | {
      readonly type: 'start';
      readonly access: NodeAccess;
      readonly leaseMs: number;
      readonly standsBy: boolean;
      /** Over a network: where it listens when it leads. */
      readonly listen?: string;
    }
  /** Say `settled` when all that has died is seen to; null: at once. */
  | { readonly type: 'settle'; readonly timeoutMs: number | null };
export type FromMasterProcess =
  | { readonly type: 'standing by' }
  /** It leads; since when, by the host's monotonic clock. */
  | { readonly type: 'leading'; readonly atNs: number }
  | Settled
  | Failed;

/** Any process: it cannot go on. */
export interface Failed {
  readonly type: 'failed';
  readonly code: string;
  readonly message: string;
}

/** An error as a message: of one that nobody expects, where it comes from too. */
export const failed = (error: unknown): Failed => {
  if (error instanceof FuseeError) return { type: 'failed', code: error.code, message: error.message };
  if (error instanceof WorkloadError) return { type: 'failed', code: 'USAGE', message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { type: 'failed', code: 'UNKNOWN', message };
};
