import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sampleProvenance, sampleRow } from '../../results/sample.js';
import type { ResultRow } from '../../results/schema.js';
import { openRun } from '../../results/store.js';
import { readRun, type StoredRun } from '../../results/stored-run.js';
import { crashEverySecond } from './deaths.js';
import { type Conclusion, hasBrokenPromise } from './experiment.js';
import { fig20 } from './fig20.js';
import { fig21 } from './fig21.js';
import { EXPERIMENTS } from './index.js';
import { recovery } from './recovery.js';
import { describeConclusion } from './run-experiment.js';
import { table1 } from './table1.js';

const root = mkdtempSync(join(tmpdir(), 'fusee-conclude-'));
afterAll(() => rmSync(root, { recursive: true }));

type Event = { kind: string; label: string; tMs: number; repetition?: number; detail?: object };

/** A stored run of made-up rows, kops per 100 ms interval, and events. */
function stored(
  series: readonly number[],
  events: readonly Event[],
  changes: Partial<ResultRow>[] = [{}],
): StoredRun {
  const run = openRun({ root, experiment: 'made-up', resolved: {}, provenance: sampleProvenance });
  for (const [repetition, change] of changes.entries()) {
    const row = sampleRow({ workload: 'ycsb-c', repetition, seconds: series.length / 10, ...change });
    run.appendRow(row);
    const { system, workload, fabric, clients } = row;
    run.appendSeries(
      series.map((kops, i) => ({
        system,
        workload,
        fabric,
        clients,
        repetition,
        tMs: i * 100,
        operations: kops * 100,
        p99Ns: 1000,
      })),
    );
  }
  for (const { repetition = 0, ...event } of events)
    run.appendEvent({ at: '2026-01-02T03:04:07.000Z', workload: 'ycsb-c', repetition, ...event } as never);
  return readRun(run.finish());
}

const times = (count: number, value: number): number[] => Array.from({ length: count }, () => value);
const holds = ({ verdicts }: Conclusion): (boolean | null)[] => verdicts.map((verdict) => verdict.holds);
const latencyOf = (maxMs: number) => ({
  search: { p50: 1e3, p90: 1e3, p99: 1e3, p999: 1e3, max: maxMs * 1e6 },
});

describe('Figure 20', () => {
  const events = [
    { kind: 'kill', label: 'kill node 1', tMs: 5000 },
    { kind: 'view', label: 'view 2', tMs: 5010 },
  ];

  it('sets what is left after the crash beside what the paper has left', () => {
    const run = stored([...times(50, 100), ...times(50, 80)], events, [{ latencyNs: latencyOf(300) }]);
    const conclusion = fig20.conclude(run);
    const [before, after, share] = conclusion.table;
    expect([before['measured'], after['measured']]).toEqual([expect.closeTo(0.1), expect.closeTo(0.08)]);
    expect([share['measured'], share['paper']]).toEqual([expect.closeTo(0.8), expect.closeTo(0.512, 2)]);
    expect(holds(conclusion)).toEqual([true]);
    const [figure] = conclusion.figures;
    if (figure.kind !== 'lines') throw new Error('no curve');
    const [paper, ours] = figure.panels[0].lines;
    // Grey is the paper's, and nothing of ours is.
    expect([paper.origin, ours.origin]).toEqual(['published', 'measured']);
    expect(ours.points[0].y).toBeCloseTo(100);
    expect(ours.points.at(-1)?.y).toBeCloseTo(80);
    expect(figure.panels[0].rules?.map(({ label }) => label)).toEqual(['kill node 1', 'view 2']);
    expect(figure.caption.join()).toMatch(/shm \(no network\)/);
  });

  it('tells that SEARCH stood still for too long, and says nothing when no node died', () => {
    const slow = stored(times(100, 1), events, [{ latencyNs: latencyOf(2500) }]);
    expect(holds(fig20.conclude(slow))).toEqual([false]);
    const none = stored(times(100, 1), [events[0]], [{ latencyNs: latencyOf(2500) }]);
    expect(holds(fig20.conclude(none))).toEqual([null]);
  });
});

describe('Figure 21', () => {
  it('sets the clients that joined beside those of the paper, before, with and after them', () => {
    const events = [
      { kind: 'join', label: 'join client 2', tMs: 5050 },
      { kind: 'leave', label: 'leave client 2', tMs: 10_000 },
    ];
    const series = [...times(51, 100), ...times(49, 190), ...times(50, 100)];
    const { table } = fig21.conclude(stored(series, events));
    expect(table.map(({ measuredShare }) => measuredShare)).toEqual(
      [1, 1.9, 1].map((x) => expect.closeTo(x)),
    );
    expect(table[1]['paperShare']).toBeCloseTo(1.99, 1);
  });
});

/** A client's crash in its n-th UPDATE, and its recovery. */
const death = (repetition: number, { history = 1000, detectMs = 2, totalMs = 8 }): Event[] => [
  {
    kind: 'crash',
    label: 'crash client 1',
    tMs: 500,
    repetition,
    detail: { target: 'client 1', point: { occurrence: history } },
  },
  {
    kind: 'recovery',
    label: '',
    tMs: 500 + detectMs,
    repetition,
    detail: {
      client: 1,
      cid: 4,
      fenceMs: 1,
      totalMs,
      entries: 3,
      attempts: 1,
      steps: { connect: 1, metadata: 0.5, log: 0.5, requests: 1, frees: 2, blocks: totalMs - 6, place: 1 },
    },
  },
];

describe('Table 1', () => {
  it('has the median of each step beside the published one', () => {
    const run = stored(
      [1],
      [8, 9, 30].flatMap((totalMs, i) => death(i, { totalMs })),
      [{}, {}, {}],
    );
    const conclusion = table1.conclude(run);
    const step = (name: string) => conclusion.table.find((row) => row['step'] === name);
    expect(step('Construct Free List')).toMatchObject({ measuredMs: 5, lowMs: 4, highMs: 26, paperMs: 6.6 });
    expect(step('Total')).toMatchObject({ measuredMs: 9, paperMs: 177 });
    expect(holds(conclusion)).toEqual([true]);
    expect(describeConclusion(conclusion)).toMatch(/Recover connection & MR +connect +1 +1 +1 +163/);
  });

  it('is none without a recovery', () => {
    expect(() => table1.conclude(stored([1], death(0, {}).slice(0, 1)))).toThrow('no client was recovered');
  });
});

describe('the figures of recovery', () => {
  const of = (growth: number, detectMs: number): boolean[] => {
    const deaths = [
      ...death(0, { detectMs }),
      ...death(1, { history: 100_000, totalMs: 8 * growth + (growth - 1) }),
    ];
    const changes = [{}, {}, { latencyNs: latencyOf(10) }];
    const view = { kind: 'view', label: 'view 2', tMs: 1, repetition: 2 };
    return holds(recovery.conclude(stored([1], [...deaths, view], changes))) as boolean[];
  };

  it('hold by recovery, detection, growth with history and the pause of SEARCH, each for itself', () => {
    expect(of(1.4, 99)).toEqual([true, true, true, true]);
    expect(of(1.6, 99)).toEqual([true, true, false, true]);
    expect(of(1.4, 101)).toEqual([true, false, true, true]);
  });
});

describe('deaths under load', () => {
  const kills = [1, 2, 3].map((i) => ({ kind: 'kill', label: `kill client ${i}`, tMs: 1000 * i }));

  it('are counted, and have verdicts of their own', () => {
    const fine = stored(times(40, 1), kills, [{ lostKeys: 0, wrongValues: 0, linearizable: true }]);
    const conclusion = crashEverySecond.conclude(fine);
    expect(conclusion.table[0]).toMatchObject({ 'clients killed': 3, 'nodes killed': 0 });
    expect(holds(conclusion)).toEqual([true, true, true]);
    const bad = stored(times(40, 1), kills, [{ lostKeys: 1, wrongValues: null, linearizable: false }]);
    expect(holds(crashEverySecond.conclude(bad))).toEqual([false, null, false]);
    // What decides of the exit status: the store's promises, known to be kept.
    expect(hasBrokenPromise(conclusion)).toBe(false);
    const unknown = stored(times(40, 1), kills, [{ lostKeys: null, wrongValues: 0, linearizable: true }]);
    for (const run of [bad, unknown]) expect(hasBrokenPromise(crashEverySecond.conclude(run))).toBe(true);
    const figure = { text: '', asked: '', measured: '', holds: false };
    expect(hasBrokenPromise({ verdicts: [figure] })).toBe(false);
  });
});

describe('every experiment', () => {
  it('has a name of its own, and shorter parts when it is to be quick', () => {
    expect(new Set(EXPERIMENTS.map(({ name }) => name)).size).toBe(EXPERIMENTS.length);
    const scale = { out: root, seed: 1, figures: false };
    for (const { name, parts } of EXPERIMENTS) {
      const [full, quick] = [false, true].map((isQuick) => JSON.stringify(parts({ ...scale, isQuick })));
      expect(`${name} ${quick}`).not.toBe(`${name} ${full}`);
    }
  });
});
