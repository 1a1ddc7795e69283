/** Table 1: one client crashes after 1,000 UPDATEs and is recovered, step by step. */
import { runCaption } from '../../plots/caption.js';
import type { BarFigure } from '../../plots/figure.js';
import { ResultError } from '../../results/error.js';
import { loadPaperFigure } from '../../results/paper.js';
import type { StoredRun } from '../../results/stored-run.js';
import type { BenchOptions } from '../run/plan-bench.js';
import { base, type Conclusion, type Experiment, NO_NETWORK, type Scale } from './experiment.js';
import { crashRecoveries, medianOf, type RecoveredDeath } from './recoveries.js';

/** UPDATEs of a client before its crash, as in the paper. */
export const UPDATES = 1000;

/**
 * The table's steps, and ours that they stand for. Our master is connected already, so its first step tells
 * the nodes that the client is dead and lists its blocks.
 */
const STEPS: readonly { readonly paper: string; readonly ours: readonly string[] }[] = [
  { paper: 'Recover connection & MR', ours: ['connect'] },
  { paper: 'Get Metadata', ours: ['metadata'] },
  { paper: 'Traverse Log', ours: ['log'] },
  { paper: 'Recover KV Requests', ours: ['requests'] },
  { paper: 'Construct Free List', ours: ['frees', 'blocks'] },
];
/** What the paper has no step for: the client's place is given up. */
const LAST = 'place';

/** A bench in which one of two clients crashes in its n-th UPDATE. */
export const crashAfter = (
  scale: Scale,
  { updates, repetitions }: { updates: number; repetitions: number },
): BenchOptions => ({
  ...base(scale),
  workloads: ['micro-update'],
  records: 1600,
  requests: 40_000,
  warmupMs: 0,
  secondsMax: 120,
  repetitions,
  timeline: [{ client: 1, crash: { operation: 'UPDATE', batch: 'primary CAS', occurrence: updates } }],
  endsWithTimeline: true,
});

/** The experiment. */
export const table1: Experiment = {
  name: 'table1',
  summary: 'a client crashes after 1,000 UPDATEs: its recovery, step by step, beside Table 1',
  parts: (scale) => [
    crashAfter(scale, { updates: UPDATES, repetitions: scale.repetitions ?? (scale.isQuick ? 2 : 5) }),
  ],
  conclude,
};

function conclude(run: StoredRun): Conclusion {
  const deaths = crashRecoveries(run);
  if (deaths.length === 0) throw new ResultError(`${run.folder}: no client was recovered`);
  const stepOf = (ours: readonly string[]) => (death: RecoveredDeath) =>
    ours.reduce((sum, step) => sum + (death.steps[step] ?? 0), 0);
  const published = publishedSteps();
  const rows = [
    ...STEPS.map(({ paper, ours }) => ({ step: paper, ours: ours.join(', '), of: stepOf(ours) })),
    { step: 'Give the place up', ours: LAST, of: stepOf([LAST]) },
    { step: 'Total', ours: 'all steps', of: ({ totalMs }: RecoveredDeath) => totalMs },
  ].map(({ step, ours, of }) => {
    const values = deaths.map(of);
    return {
      step,
      ours,
      measuredMs: medianOf(deaths, of),
      lowMs: Math.min(...values),
      highMs: Math.max(...values),
      paperMs: published.get(step) ?? null,
    };
  });
  const totalMs = medianOf(deaths, (death) => death.fenceMs + death.totalMs);
  return {
    title: 'Table 1: recovery of a client that crashed after 1,000 UPDATEs, in ms',
    table: rows,
    figures: [stepsFigure(run, rows, deaths.length)],
    verdicts: [
      {
        text: 'fence and recovery of the client, without waiting for its lease',
        asked: '< 20 ms',
        measured: `${totalMs.toFixed(1)} ms (median of ${deaths.length})`,
        holds: totalMs < 20,
      },
    ],
    notes: [
      NO_NETWORK,
      'paper: 92 % is connecting and registering memory again; our master is connected already, and its ' +
        'first step declares the client dead and lists its blocks',
    ],
  };
}

function publishedSteps(): Map<string, number | null> {
  const [figure] = loadPaperFigure('table1');
  const series = figure?.series.find(({ name }) => name === 'Time (ms)');
  if (series === undefined) throw new ResultError('table1 is not among the published values');
  return new Map(series.points.map(([step, value]) => [String(step), value]));
}

function stepsFigure(
  run: StoredRun,
  rows: readonly {
    step: string;
    measuredMs: number;
    lowMs: number;
    highMs: number;
    paperMs: number | null;
  }[],
  repetitions: number,
): BarFigure {
  const caption = runCaption(run);
  // The paper's first step and total would flatten all others: they stand in the table.
  const drawn = rows.filter(({ paperMs, step }) => paperMs !== null && paperMs < 100 && step !== 'Total');
  const short = (step: string): string => step.replace('Recover KV ', '').replace('Construct ', '');
  return {
    kind: 'bars',
    id: 'table1',
    title: "Recovery of a client, Table 1's steps but connecting",
    caption: [...caption.parts, `median, least and greatest of ${repetitions} repetitions`],
    trusted: caption.trusted,
    x: { label: '', unit: '' },
    y: { label: 'Time', unit: 'ms' },
    bars: drawn.flatMap(({ step, measuredMs, lowMs, highMs, paperMs }) => {
      const category = short(step);
      const value = paperMs ?? 0;
      return [
        {
          category,
          series: 'measured',
          origin: 'measured',
          value: measuredMs,
          low: lowMs,
          high: highMs,
          repetitions,
        },
        { category, series: 'paper', origin: 'published', value, low: value, high: value, repetitions: 1 },
      ];
    }),
  };
}
