/** What crashes must not cost: figures that the store has to reach, measured anew. */
import { ResultError } from '../../results/error.js';
import type { StoredRun } from '../../results/stored-run.js';
import type { Conclusion, Experiment, Verdict } from './experiment.js';
import { nodeCrash, searchPause } from './fig20.js';
import { crashRecoveries, medianOf, type RecoveredDeath } from './recoveries.js';
import { crashAfter, UPDATES } from './table1.js';

/** Histories of the clients that crash, in UPDATEs. */
const HISTORIES = [UPDATES, 10 * UPDATES, 100 * UPDATES] as const;
const QUICK_HISTORIES = [UPDATES, 4 * UPDATES] as const;
const REPETITIONS = 5;

/** The experiment. */
export const recovery: Experiment = {
  name: 'recovery',
  summary: 'recovery and detection of a dead client by its history, and what a dead memory node costs SEARCH',
  parts: (scale) => {
    const repetitions = scale.repetitions ?? (scale.isQuick ? 1 : REPETITIONS);
    const histories = scale.isQuick ? QUICK_HISTORIES : HISTORIES;
    return [
      ...histories.map((updates) => crashAfter(scale, { updates, repetitions })),
      nodeCrash({ ...scale, repetitions: 1 }),
    ];
  },
  conclude,
};

function conclude(run: StoredRun): Conclusion {
  const deaths = crashRecoveries(run);
  const histories = [...new Set(deaths.map(({ history }) => history))].sort((a, b) => a - b);
  if (histories.length === 0) throw new ResultError(`${run.folder}: no client was recovered`);
  const of = (history: number): RecoveredDeath[] => deaths.filter((death) => death.history === history);
  const totalMs = ({ fenceMs, totalMs: ms }: RecoveredDeath): number => fenceMs + ms;
  const table = histories.map((history) => ({
    UPDATEs: history,
    deaths: of(history).length,
    'detect, ms': medianOf(of(history), ({ detectMs }) => detectMs),
    'fence, ms': medianOf(of(history), ({ fenceMs }) => fenceMs),
    'recover, ms': medianOf(of(history), (death) => death.totalMs),
    'least, ms': Math.min(...of(history).map((death) => death.totalMs)),
    'most, ms': Math.max(...of(history).map((death) => death.totalMs)),
    'log entries': medianOf(of(history), ({ entries }) => entries),
  }));
  const times = histories.map((history) => medianOf(of(history), totalMs));
  const longestDetectMs = Math.max(...deaths.map(({ detectMs }) => detectMs));
  const growth = Math.max(...times) / times[0];
  const verdicts: Verdict[] = [
    {
      text: `fence and recovery after ${histories[0]} UPDATEs, without waiting for the lease (median)`,
      asked: '< 20 ms',
      measured: `${times[0].toFixed(1)} ms`,
      holds: times[0] < 20,
    },
    {
      text: 'a client that has died is noticed (longest)',
      asked: '< 100 ms',
      measured: `${longestDetectMs.toFixed(1)} ms`,
      holds: longestDetectMs < 100,
    },
    {
      text: `recovery does not grow with history, up to ${histories.at(-1)} UPDATEs (medians)`,
      asked: '<= 1.5 ×',
      measured: `${growth.toFixed(2)} ×`,
      holds: histories.length < 2 ? null : growth <= 1.5,
    },
    searchPause(run),
  ];
  return {
    title: 'What crashes cost',
    table,
    figures: [],
    verdicts,
    notes: ['shm (no network), embedded master; medians over deaths, each in a pool of its own'],
  };
}
