/** Figure 21: clients join and leave while others run YCSB-C. */
import { runCaption } from '../../plots/caption.js';
import type { StoredRun } from '../../results/stored-run.js';
import { base, type Conclusion, type Experiment, HELD, HELD_NS, NO_NETWORK } from './experiment.js';
import {
  comparedOverTime,
  firstOf,
  meanOver,
  measuredCurve,
  publishedCurve,
  type Stretch,
} from './timeline-figure.js';

/** Clients at the start, and so many join: as many as a small host bears. The paper has 16. */
const CLIENTS = 2;
/** The paper's: 16 clients, from 5 s 32, from 10 s 16. */
const PAPER_SECONDS = 15;

/** The experiment. */
export const fig21: Experiment = {
  name: 'fig21',
  summary: 'as many clients again join during YCSB-C, and leave: throughput over time, beside Figure 21',
  parts: (scale) => {
    const seconds = scale.isQuick ? 6 : PAPER_SECONDS;
    const clients = scale.clients ?? CLIENTS;
    return [
      {
        ...base(scale),
        workloads: ['ycsb-c'],
        clients,
        rttNs: HELD_NS,
        secondsMax: seconds,
        repetitions: scale.repetitions ?? 1,
        timeline: [
          { at: `${seconds / 3}s`, join: clients },
          { at: `${(2 * seconds) / 3}s`, leave: clients },
        ],
      },
    ];
  },
  conclude,
};

function conclude(run: StoredRun): Conclusion {
  const ours = measuredCurve(run);
  const paper = publishedCurve('fig21');
  const times = (kind: string): number[] =>
    run.events.flatMap((event) => (event.kind === kind && event.tMs !== null ? [event.tMs / 1000] : []));
  const leaveS = firstOf(run.events, 'leave') ?? Number.NaN;
  const endS = Math.max(...ours.map(({ x }) => x));
  const before = { from: 0, to: (firstOf(run.events, 'join') ?? Number.NaN) - 0.5 };
  const stretches: readonly { name: string; ours: Stretch; paper: Stretch }[] = [
    { name: 'before', ours: before, paper: { from: 1, to: 5 } },
    {
      name: 'joined',
      ours: { from: Math.max(...times('join')) + 0.3, to: leaveS },
      paper: { from: 6, to: 10 },
    },
    {
      name: 'left',
      ours: { from: Math.max(...times('leave')) + 0.5, to: endS },
      paper: { from: 10.5, to: 15.1 },
    },
  ];
  const means = stretches.map(({ name, ...stretch }) => ({
    name,
    measured: meanOver(ours, stretch.ours),
    paper: meanOver(paper, stretch.paper),
  }));
  const share = (of: 'measured' | 'paper', i: number): number | null => {
    const [part, whole] = [means[i][of], means[0][of]];
    return part === null || whole === null || whole === 0 ? null : part / whole;
  };
  const caption = runCaption(run);
  return {
    title: 'Figure 21: clients join and leave during YCSB-C',
    table: means.map(({ name, measured, paper: published }, i) => ({
      clients: name,
      measuredMops: measured,
      measuredShare: share('measured', i),
      paperMops: published,
      paperShare: share('paper', i),
    })),
    figures: [
      comparedOverTime(run, {
        id: 'fig21',
        title: 'YCSB-C, clients join and leave',
        caption: [...caption.parts, '100 %: mean before they join'],
        isTrusted: caption.trusted,
        paper: { name: 'paper, Figure 21', points: paper },
        before,
        paperBefore: { from: 1, to: 5 },
      }),
    ],
    verdicts: [],
    notes: [NO_NETWORK, HELD, 'paper: 16 clients, 16 more from 5 s to 10 s'],
  };
}
