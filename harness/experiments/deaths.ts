/** Experiments of our own: processes are killed again and again under load, and nothing may be lost. */
import { runCaption } from '../../plots/caption.js';
import type { LineFigure } from '../../plots/figure.js';
import type { StoredRun } from '../../results/stored-run.js';
import type { BenchOptions } from '../run/plan-bench.js';
import { base, type Conclusion, type Experiment, HELD_NS, type Scale, type Verdict } from './experiment.js';
import { meanOver, measuredCurve } from './timeline-figure.js';

/** Small, so that clients meet on the same keys, and histories are dense. */
const undersiege = (scale: Scale): BenchOptions => ({
  ...base(scale),
  workloads: ['ycsb-a'],
  clients: scale.clients ?? 3,
  coroutines: 4,
  nodes: 3,
  kvBytes: 128,
  records: 400,
  requests: 60_000,
  rttNs: HELD_NS,
  verify: true,
});

/** From one kill to the next, when its victim is there by then. */
const EVERY_MS = 250;
/** A run that takes so long for one kill has failed. */
const SECONDS_PER_KILL = 15;
const KILLS = 200;

/** YCSB-A while a client crashes every second. */
export const crashEverySecond: Experiment = {
  name: 'crash-every-second',
  summary:
    'a client is killed every second during YCSB-A, and replaced: throughput, and a verdict on the history',
  parts: (scale) => [
    {
      ...undersiege(scale),
      secondsMax: scale.isQuick ? 4 : 15,
      repetitions: scale.repetitions ?? 1,
      timeline: [{ every: '1s', kill: 'random client', replace: true }],
    },
  ],
  conclude: (run) => concludeDeaths(run, 'YCSB-A while a client is killed every second, and replaced'),
};

/** Random processes are killed: clients, which are replaced, and as many memory nodes as the pool bears. */
export const kills: Experiment = {
  name: 'kills',
  summary: `SIGKILL to ${KILLS} random processes under YCSB-A (--kills): nothing is lost, the history linearizable`,
  parts: (scale) => {
    const count = scale.kills ?? (scale.isQuick ? 20 : KILLS);
    const ofClients = count - NODE_KILLS;
    const untilMs = ofClients * EVERY_MS;
    return [
      {
        ...undersiege(scale),
        secondsMax: count * SECONDS_PER_KILL,
        repetitions: scale.repetitions ?? 1,
        timeline: [
          { every: `${EVERY_MS}ms`, until: `${untilMs}ms`, kill: 'random client', replace: true },
          // Dead nodes are not replaced here: r - 1 may die.
          { at: `${Math.round(untilMs / 2)}ms`, kill: 'random node' },
        ],
        endsWithTimeline: true,
      },
    ];
  },
  conclude: (run) => concludeDeaths(run, 'random processes killed during YCSB-A'),
};

/** r - 1, with two replicas. */
const NODE_KILLS = 1;

function concludeDeaths(run: StoredRun, title: string): Conclusion {
  const count = (kind: string, of: string): number =>
    run.events.filter(({ kind: its, label }) => its === kind && label.startsWith(`${kind} ${of}`)).length;
  const dead = { clients: count('kill', 'client'), nodes: count('kill', 'node') };
  const joined = count('join', 'client');
  const recoveries = run.events
    .filter(({ kind }) => kind === 'recovery')
    .map(({ detail }) => detail['totalMs']);
  const [row] = run.rows;
  const curve = measuredCurve(run);
  return {
    title,
    table: [
      {
        'clients killed': dead.clients,
        'nodes killed': dead.nodes,
        'clients joined': joined,
        recoveries: recoveries.length,
        'longest recovery, ms': Math.max(0, ...(recoveries as number[])),
        operations: row.operations,
        'Mops/s': meanOver(curve, { from: 0, to: row.seconds }),
        seconds: row.seconds,
      },
    ],
    figures: [throughput(run, title)],
    verdicts: run.rows.flatMap(verdictsOf),
    notes: ['shm (no network); our answers are held back by 200 µs', 'clients that are killed are replaced'],
  };
}

function verdictsOf({ wrongValues, lostKeys, linearizable }: StoredRun['rows'][number]): Verdict[] {
  const said = (value: number | null): string => (value === null ? 'unknown' : String(value));
  const isZero = (value: number | null): boolean | null => (value === null ? null : value === 0);
  const isPromise = true;
  return [
    {
      text: 'acknowledged keys lost',
      asked: '0',
      measured: said(lostKeys),
      holds: isZero(lostKeys),
      isPromise,
    },
    { text: 'wrong values', asked: '0', measured: said(wrongValues), holds: isZero(wrongValues), isPromise },
    {
      isPromise,
      text: 'the history of all clients, dead ones too',
      asked: 'linearizable',
      measured: linearizable === null ? 'undecided' : linearizable ? 'linearizable' : 'NOT LINEARIZABLE',
      holds: linearizable,
    },
  ];
}

/** Labels of more rules than this would cover each other. */
const RULES_MAX = 20;

function throughput(run: StoredRun, title: string): LineFigure {
  const points = measuredCurve(run).map(({ x, y }) => ({ x, y: y * 1000 }));
  const caption = runCaption(run);
  const deaths = run.events.filter(({ kind, tMs }) => kind === 'kill' && tMs !== null);
  return {
    kind: 'lines',
    id: 'deaths',
    title: title.charAt(0).toUpperCase() + title.slice(1),
    caption: [...caption.parts, `${deaths.length} kills`],
    trusted: caption.trusted,
    x: { label: 'Time', unit: 's', scale: 'linear', domain: [0, Math.max(...points.map(({ x }) => x))] },
    y: { label: 'Throughput', unit: 'kops/s', domain: [0, Math.max(1, ...points.map(({ y }) => y)) * 1.1] },
    step: false,
    panels: [
      {
        title: '',
        lines: [{ series: 'measured', origin: 'measured', points }],
        rules: deaths.map(({ tMs, label }) => ({
          x: (tMs as number) / 1000,
          label: deaths.length > RULES_MAX ? '' : label.replace('kill client ', ''),
        })),
      },
    ],
  };
}
