/** Figure 20: one of two memory nodes crashes while clients run YCSB-C. */
import { DEFAULT_LEASE_MS } from '../../fusee/host/options.js';
import { runCaption } from '../../plots/caption.js';
import type { StoredRun } from '../../results/stored-run.js';
import type { BenchOptions } from '../run/plan-bench.js';
import {
  base,
  type Conclusion,
  type Experiment,
  HELD,
  HELD_NS,
  NO_NETWORK,
  type Scale,
} from './experiment.js';
import {
  comparedOverTime,
  firstOf,
  meanOver,
  measuredCurve,
  percent,
  publishedCurve,
  shareOf,
} from './timeline-figure.js';

/** When the node crashes in the paper's figure, in seconds; its sample there is low already. */
const PAPER_CRASH_S = 5;
/** The master's default. */
const LEASE_MS = DEFAULT_LEASE_MS;

/** A bench of SEARCH in which a memory node dies. */
export const nodeCrash = (scale: Scale): BenchOptions => ({
  ...base(scale),
  workloads: ['ycsb-c'],
  clients: scale.clients ?? 2,
  rttNs: HELD_NS,
  leaseMs: LEASE_MS,
  secondsMax: scale.isQuick ? 4 : 10,
  repetitions: scale.repetitions ?? 1,
  timeline: [{ at: scale.isQuick ? '2s' : `${PAPER_CRASH_S}s`, kill: 'node 1' }],
});

/** The experiment. */
export const fig20: Experiment = {
  name: 'fig20',
  summary: 'a memory node crashes during YCSB-C: throughput over time, beside Figure 20',
  parts: (scale) => [nodeCrash(scale)],
  conclude,
};

function conclude(run: StoredRun): Conclusion {
  const ours = measuredCurve(run);
  const paper = publishedCurve('fig20');
  const crashS = firstOf(run.events, 'kill') ?? Number.NaN;
  const endS = Math.max(...ours.map(({ x }) => x));
  const before = { from: 0, to: crashS - 0.1 };
  const paperBefore = { from: 0.5, to: PAPER_CRASH_S };
  const after = { from: crashS + 1, to: endS };
  const caption = runCaption(run);
  const rows = [
    { name: 'before, Mops/s', measured: meanOver(ours, before), paper: meanOver(paper, paperBefore) },
    { name: 'after, Mops/s', measured: meanOver(ours, after), paper: meanOver(paper, { from: 5, to: 9.1 }) },
    {
      name: 'after, share of before',
      measured: shareOf(ours, { over: after, before }),
      paper: shareOf(paper, { over: { from: 5, to: 9.1 }, before: paperBefore }),
    },
  ];
  const pause = searchPause(run);
  return {
    title: 'Figure 20: YCSB-C while a memory node crashes',
    table: rows,
    figures: [
      comparedOverTime(run, {
        id: 'fig20',
        title: 'YCSB-C, a memory node crashes',
        caption: [...caption.parts, '100 %: mean before the crash'],
        isTrusted: caption.trusted,
        paper: { name: 'paper, Figure 20', points: paper },
        before,
        paperBefore,
      }),
    ],
    verdicts: [pause],
    notes: [
      NO_NETWORK,
      HELD,
      `paper: ${percent(rows[2].paper)} is left, since one node's NIC carries all READs afterwards; memory ` +
        'shared on one host has no such limit',
    ],
  };
}

/** The longest that a SEARCH took: what it stood still for when the node died. */
export function searchPause({ rows, events }: Pick<StoredRun, 'rows' | 'events'>) {
  const hadNodeCrash = (repetition: number): boolean =>
    events.some((event) => event.kind === 'view' && event.repetition === repetition);
  const longest = rows.flatMap(({ repetition, latencyNs }) =>
    hadNodeCrash(repetition) && latencyNs.search !== undefined ? [latencyNs.search.max / 1e6] : [],
  );
  const measuredMs = Math.max(...longest);
  return {
    text: 'a crashed memory node stops SEARCH (its longest latency)',
    asked: `< 2 × lease (${2 * LEASE_MS} ms)`,
    measured: longest.length === 0 ? 'no node crashed' : `${measuredMs.toFixed(0)} ms`,
    holds: longest.length === 0 ? null : measuredMs < 2 * LEASE_MS,
  };
}
