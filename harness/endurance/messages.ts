/** What a long-running check and its client processes say to each other. */
import type { LatencySummary } from '../../results/histogram.js';
import type { Failed } from '../run/messages.js';

/** How the keys of UPDATEs are drawn. */
export type Skew = 'zipfian' | 'uniform' | 'both';

/** What a client's requests are. */
export type Load =
  /** 90 % UPDATE, 10 % SEARCH, of keys that all clients share; values of sizes drawn anew each time. */
  | { readonly kind: 'update'; readonly keys: number; readonly skew: Skew }
  /**
   * INSERT of own keys that are not there, DELETE of those that are, and some SEARCH. If it shifts, sizes
   * drift, so that memory has to move from class to class.
   */
  | { readonly kind: 'churn'; readonly keysPerCoroutine: number; readonly shifts: boolean }
  /** INSERT of keys that nobody has inserted. */
  | { readonly kind: 'grow'; readonly keys: number }
  /** SEARCH of keys that others have inserted. */
  | { readonly kind: 'search' };

/** What one client process is to do. */
export interface WorkerPlan {
  readonly pool: string;
  readonly clientIndex: number;
  readonly clients: number;
  readonly coroutines: number;
  readonly seed: number;
  readonly deadlineNs: number;
  readonly load: Load;
}

/** What a client process can be told to end. */
export type WorkerPhase = 'load' | 'run' | 'check';

export type ToWorker =
  | { readonly type: 'prepare'; readonly plan: WorkerPlan }
  | { readonly type: 'load' }
  /** The series begins at `startNs`; `bytes`: what this client will write until it is stopped, about. */
  | { readonly type: 'run'; readonly startNs: number; readonly bytes: number }
  /** Keys that are there for sure, of each client: 0 to below the number. */
  | { readonly type: 'frontier'; readonly inserted: readonly number[] }
  | { readonly type: 'stop'; readonly phase: WorkerPhase }
  | { readonly type: 'check' }
  /** Asks a client of SEARCHes for its latencies beside these spans of time, and outside them. */
  | { readonly type: 'cut'; readonly spans: readonly (readonly [startNs: number, endNs: number])[] }
  | { readonly type: 'leave' };

/** One subtable's split, on the host's monotonic clock. */
export interface SplitRecord {
  readonly startNs: number;
  readonly endNs: number;
  /** Share of the subtable's slots that held a key or a tombstone when it was copied. */
  readonly load: number;
}

/** Requests of one interval of a series, and CPU time of the process in it. */
export interface SeriesPart {
  readonly operations: number;
  readonly cpuMs: number;
}

/** What a client's run brought. */
export interface RunReport {
  readonly operations: number;
  readonly bytes: number;
  readonly endNs: number;
  /** By 100 ms from the start. */
  readonly series: readonly SeriesPart[];
  readonly splits: readonly SplitRecord[];
  /** Locks of dead splitters that this client has lifted; nobody dies here. */
  readonly takeovers: number;
  /** Cells that its background has freed, and taken back; true when it gave up. */
  readonly freed: number;
  readonly reclaimed: number;
  readonly hasStopped: boolean;
}

/** Requests that did not end as they must, told of every phase. */
export interface Faults {
  readonly count: number;
  /** The first few, for a person. */
  readonly examples: readonly string[];
}

export type FromWorker =
  | { readonly type: 'prepared' }
  | { readonly type: 'loaded'; readonly faults: Faults }
  /** Of the phase so far. */
  | {
      readonly type: 'progress';
      readonly operations: number;
      readonly bytes: number;
      readonly inserted: number;
    }
  | { readonly type: 'finished'; readonly report: RunReport; readonly faults: Faults }
  | { readonly type: 'checked'; readonly keys: number; readonly present: number; readonly faults: Faults }
  | {
      readonly type: 'latencies';
      readonly beside: LatencySummary | null;
      readonly quiet: LatencySummary | null;
    }
  | { readonly type: 'left' }
  | Failed;
