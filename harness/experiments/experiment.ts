/** What an experiment is: benches that make one run, and what is to be told of it. */
import type { Figure, FigureRow } from '../../plots/figure.js';
import type { StoredRun } from '../../results/stored-run.js';
import type { BenchOptions } from '../run/plan-bench.js';

/** What a user may change; everything else belongs to the experiment. */
export interface Scale {
  readonly out: string;
  readonly seed: number;
  readonly figures: boolean;
  /** Shorter, to see that it works: nothing to be quoted. */
  readonly isQuick: boolean;
  readonly clients?: number | undefined;
  readonly repetitions?: number | undefined;
  /** Processes to be killed, where that is the experiment. */
  readonly kills?: number | undefined;
}

/** Something that is asked of the store, and whether it was so; null when the run does not tell. */
export interface Verdict {
  readonly text: string;
  readonly asked: string;
  readonly measured: string;
  readonly holds: boolean | null;
  /** Its failure is the store's, on whatever machine; others are figures, which a busy one misses. */
  readonly isPromise?: true;
}

/** What a run came to, from what is stored of it alone. */
export interface Conclusion {
  readonly title: string;
  /** Measured beside published values. */
  readonly table: readonly FigureRow[];
  readonly figures: readonly Figure[];
  readonly verdicts: readonly Verdict[];
  /** What a reader must know to compare them. */
  readonly notes: readonly string[];
}

/** One experiment. */
export interface Experiment {
  readonly name: string;
  readonly summary: string;
  /** The benches, in order. */
  parts(scale: Scale): BenchOptions[];
  /** @throws ResultError when the run lacks what the experiment is about. */
  conclude(run: StoredRun): Conclusion;
}

/** Settings of a bench that experiments start from. */
export const base = ({ out, seed, figures }: Scale): BenchOptions => ({
  workloads: [],
  flavour: 'ycsb-java',
  clients: 2,
  coroutines: 8,
  nodes: 2,
  indexReplicas: 2,
  dataReplicas: 2,
  kvBytes: 1024,
  records: 10_000,
  requests: 200_000,
  secondsMax: 10,
  warmupMs: 1000,
  rttNs: 0,
  seed,
  repetitions: 1,
  cacheBytes: 1 << 22,
  masters: 1,
  loops: true,
  out,
  figures,
});

/** Answers are held back so long where clients are to be as slow as a network makes them. */
export const HELD_NS = 200e3;

/** The note that goes with every comparison. */
export const NO_NETWORK =
  'ours: shm (no network), every process on one host; the paper: RDMA between hosts of a cluster';
/** What holding back means. */
export const HELD =
  'our answers are held back by 200 µs, so that waiting and not the cores of this host bounds each client';

/** Is a promise of the store broken, or not known to be kept? */
export const hasBrokenPromise = ({ verdicts }: Pick<Conclusion, 'verdicts'>): boolean =>
  verdicts.some(({ holds, isPromise }) => isPromise === true && holds !== true);
