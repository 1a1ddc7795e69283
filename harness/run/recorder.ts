/** Records what a client's requests did in the measured window. No allocation while it records. */
import { outcomeName } from '../../fusee/client/client.js';
import { Outcome } from '../../fusee/ops/index.js';
import { Ledger } from '../../fusee/verbs/index.js';
import { LatencyHistogram } from '../../results/histogram.js';
import type { Operation } from '../../results/schema.js';
import type { OperationReport } from './messages.js';

/** As results list them, by kind of request. Not imported: clients would load the schema's validator. */
const OPERATIONS = ['search', 'insert', 'update', 'delete', 'put', 'rmw'] as const satisfies Operation[];
/** Length of an interval of the throughput series. */
export const SERIES_MS = 100;
const OUTCOMES = Object.keys(Outcome).length + 1;

/** Recorder of one phase of one client. */
export class PhaseRecorder {
  readonly histograms = OPERATIONS.map(() => new LatencyHistogram());
  readonly ledgers = OPERATIONS.map(() => new Ledger());
  readonly #warmupLedger = new Ledger();
  readonly #outcomes = OPERATIONS.map(() => new Uint32Array(OUTCOMES));
  readonly #intervals: { operations: number; p99Ns: number }[] = [];
  readonly #interval = new LatencyHistogram();
  #seriesNs: number;
  #intervalIndex = 0;
  warmupOperations = 0;
  operations = 0;

  /**
   * @param measureNs start of the measured window, and of the series; 0: with the first request that ends.
   */
  constructor(measureNs: number) {
    this.#seriesNs = measureNs;
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
    this.operations++;
    const latencyNs = completedNs - postedNs;
    this.histograms[operation].record(latencyNs);
    this.#outcomes[operation][outcome]++;
    // The clock counts from the host's start: a series from 0 would begin with all the time before.
    if (this.#seriesNs === 0) this.#seriesNs = completedNs;
    const index = Math.max(0, Math.floor((completedNs - this.#seriesNs) / (SERIES_MS * 1e6)));
    if (index !== this.#intervalIndex) this.#closeIntervals(index);
    this.#interval.record(latencyNs);
  }

  /** The latest interval's p99, for progress displays. */
  get latestP99Ns(): number {
    return this.#intervals.at(-1)?.p99Ns ?? 0;
  }

  /** Closes the open interval and gives the series. */
  series(): readonly { operations: number; p99Ns: number }[] {
    this.#closeIntervals(this.#intervalIndex + 1);
    return this.#intervals;
  }

  /** What happened, per operation that happened at all. */
  report(): OperationReport[] {
    return OPERATIONS.flatMap((operation, i) => {
      const latency = this.histograms[i];
      if (latency.count === 0) return [];
      const outcomes: Record<string, number> = {};
      this.#outcomes[i].forEach((count, outcome) => {
        if (count > 0) outcomes[outcomeName(outcome as Outcome)] = count;
      });
      return [
        {
          operation,
          latency: latency.encode(),
          ledger: { ...this.ledgers[i] },
          count: latency.count,
          outcomes,
        },
      ];
    });
  }

  #closeIntervals(next: number): void {
    for (; this.#intervalIndex < next; this.#intervalIndex++) {
      const operations = this.#interval.count;
      this.#intervals.push({ operations, p99Ns: operations === 0 ? 0 : this.#interval.percentile(99) });
      if (operations > 0) this.#interval.reset();
    }
  }
}
