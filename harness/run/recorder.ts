/** Records what a client's requests did in the measured window. No allocation while it records. */
import { outcomeName } from '../../fusee/client/client.js';
import { Outcome } from '../../fusee/ops/index.js';
import { Ledger } from '../../fusee/verbs/index.js';
import { LatencyHistogram } from '../../results/histogram.js';
import type { Operation } from '../../results/schema.js';
import { IntervalLog, type IntervalReport } from './interval-log.js';
import type { OperationReport } from './messages.js';

/** As results list them, by kind of request. Not imported: clients would load the schema's validator. */
const OPERATIONS = ['search', 'insert', 'update', 'delete', 'put', 'rmw'] as const satisfies Operation[];
/** Length of an interval of the throughput series. */
export const SERIES_MS = 100;
const INTERVAL_NS = SERIES_MS * 1e6;
/** Places in the times of a recorder. */
const START = 0;
const END = 1;
const OUTCOMES = Object.keys(Outcome).length + 1;

/** Recorder of one phase of one client. */
export class PhaseRecorder {
  readonly ledgers = OPERATIONS.map(() => new Ledger());
  readonly #warmupLedger = new Ledger();
  readonly #outcomes = OPERATIONS.map(() => new Uint32Array(OUTCOMES));
  readonly #intervals: { operations: number; p99Ns: number }[] = [];
  readonly #log = new IntervalLog(SERIES_MS);
  /** Of the open interval alone, by kind: one record a request, and both series and sums come from it. */
  readonly #open = OPERATIONS.map(() => new LatencyHistogram());
  readonly #closed = OPERATIONS.map(() => new LatencyHistogram());
  /** Response times, by kind; null in a closed loop. */
  readonly #responses: readonly LatencyHistogram[] | null;
  readonly #interval = new LatencyHistogram();
  /** Start of the series, and end of the open interval: in an array, where doubles stay unboxed. */
  readonly #times = new Float64Array(2);
  warmupOperations = 0;
  operations = 0;

  /**
   * @param measureNs start of the measured window, and of the series; 0: with the first request that ends.
   * @param options.isOpen response times are recorded too.
   */
  constructor(measureNs: number, { isOpen }: { readonly isOpen: boolean } = { isOpen: false }) {
    this.#responses = isOpen ? OPERATIONS.map(() => new LatencyHistogram()) : null;
    this.startAt(measureNs);
  }

  /** Moves the start of the series; nothing has been measured yet. */
  startAt(measureNs: number): void {
    this.#times[START] = measureNs;
    this.#times[END] = measureNs + INTERVAL_NS;
  }

  /** The ledger of an operation in flight now; warm-up is counted nowhere. */
  ledger(operation: number, measured: boolean): Ledger {
    return measured ? this.ledgers[operation] : this.#warmupLedger;
  }

  /**
   * Counts a request that ended; `measured` as its ledger was chosen, so that counts and costs agree exactly.
   */
  record(
    operation: number,
    postedNs: number,
    completedNs: number,
    outcome: Outcome,
    measured: boolean,
  ): void {
    if (!measured) {
      this.warmupOperations++;
      return;
    }
    this.#outcomes[operation][outcome]++;
    // Waiting for a deadline is no throughput, and its length no latency of the store.
    if (outcome === Outcome.UNAVAILABLE) return;
    this.operations++;
    const latencyNs = completedNs - postedNs;
    const times = this.#times;
    if (completedNs >= times[END]) this.#closeUntil(completedNs);
    this.#open[operation].record(latencyNs);
  }

  /** Counts the response time of a request that was recorded. Without effect in a closed loop. */
  respond(operation: number, responseNs: number, outcome: Outcome): void {
    if (this.#responses === null || outcome === Outcome.UNAVAILABLE) return;
    this.#responses[operation].record(responseNs);
  }

  /** How many requests ended so in the window. */
  ended(outcome: Outcome): number {
    return this.#outcomes.reduce((sum, counts) => sum + counts[outcome], 0);
  }

  /** The latest interval's p99, for progress displays. */
  get latestP99Ns(): number {
    return this.#intervals.at(-1)?.p99Ns ?? 0;
  }

  /** The series so far, with the open interval as its last. */
  series(): readonly { operations: number; p99Ns: number }[] {
    const interval = new LatencyHistogram();
    for (const open of this.#open) interval.merge(open);
    return [...this.#intervals, pointOf(interval)];
  }

  /** Latencies by interval, the open one included: it is closed, and nothing may be recorded any more. */
  closeIntervals(): IntervalReport {
    this.#close();
    return this.#log.report();
  }

  /** What happened, per operation that happened at all. */
  report(): OperationReport[] {
    return OPERATIONS.flatMap((operation, i) => {
      const latency = new LatencyHistogram();
      latency.merge(this.#closed[i]);
      latency.merge(this.#open[i]);
      const outcomes: Record<string, number> = {};
      this.#outcomes[i].forEach((count, outcome) => {
        if (count > 0) outcomes[outcomeName(outcome as Outcome)] = count;
      });
      if (Object.keys(outcomes).length === 0) return [];
      return [
        {
          operation,
          latency: latency.pack(),
          ...(this.#responses === null ? {} : { response: this.#responses[i].pack() }),
          ledger: { ...this.ledgers[i] },
          count: latency.count,
          outcomes,
        },
      ];
    });
  }

  /** Closes every interval that ended by `nowNs`. */
  #closeUntil(nowNs: number): void {
    const times = this.#times;
    // The clock counts from the host's start: a series from 0 would begin with all the time before.
    if (times[START] === 0) {
      times[START] = nowNs;
      times[END] = nowNs + INTERVAL_NS;
    }
    while (nowNs >= times[END]) this.#close();
  }

  #close(): void {
    this.#times[END] += INTERVAL_NS;
    const interval = this.#interval;
    this.#log.begin();
    this.#open.forEach((open, i) => {
      if (open.count === 0) return;
      this.#log.add(OPERATIONS[i], open);
      interval.merge(open);
      this.#closed[i].merge(open);
      open.reset();
    });
    this.#intervals.push(pointOf(interval));
    if (interval.count > 0) interval.reset();
  }
}

const pointOf = (interval: LatencyHistogram): { operations: number; p99Ns: number } => ({
  operations: interval.count,
  p99Ns: interval.count === 0 ? 0 : interval.percentile(99),
});
