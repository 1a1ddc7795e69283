/**
 * Cells that earlier runs have finished, for a sweep that goes on where it was interrupted. What is reused is
 * copied into the new run, so that it is whole, and marked with the run that measured it.
 */
import { ResultError } from '../../results/error.js';
import type { ResultRow } from '../../results/schema.js';
import type { Run } from '../../results/store.js';
import {
  listRuns,
  type RunPlace,
  readAttempts,
  readCellLatency,
  readRun,
  readRunRows,
  type StoredRun,
} from '../../results/stored-run.js';
import { type KeyedCell, logAttempts } from './attempt.js';

/** A finished cell, and the run that has it. */
export interface FinishedCell {
  readonly id: string;
  readonly row: ResultRow;
  readonly run: () => StoredRun;
}

/** Runs may have been stopped, or killed, behind the cell. */
const STATES = ['finished', 'interrupted', 'failed', 'running'] as const;

/** What a bench that is to resume finds. */
export interface Finished {
  /** The cells that need not be run again, by key. */
  readonly cells: ReadonlyMap<string, FinishedCell>;
  /** Runs that have such cells, and cannot be read: which, and why. Their cells are measured anew. */
  readonly damaged: readonly string[];
}

/** Looks through earlier runs of the experiment; nothing unless the bench is to resume. */
export function findFinished(experiment: string, cells: readonly KeyedCell[]): Finished {
  const found = new Map<string, FinishedCell>();
  const damaged: string[] = [];
  const options = cells.find((cell) => cell.options.resume === true)?.options;
  if (options === undefined) return { cells: found, damaged };
  const wanted = new Set(cells.map(({ key }) => key));
  for (const place of listRuns(options.out, { experiment, states: STATES }).reverse()) {
    const rows = readRunRows(place.folder).values.filter(({ cellKey }) => wanted.has(cellKey ?? ''));
    if (rows.length === 0) continue;
    const attempts = readAttempts(place.folder).filter(({ outcome }) => outcome === 'ok');
    const good = new Set(attempts.map((attempt) => attempt.cellKey));
    const run = once(place);
    for (const row of rows) {
      const { cellKey } = row;
      if (cellKey === null || found.has(cellKey) || row.reusedFrom !== null || !good.has(cellKey)) continue;
      // What is damaged would be stored anew, and look whole.
      if (readCellLatency(place.folder, cellKey).damage.length > 0) continue;
      // Without its provenance a row means nothing, and would look as sound as the others.
      const damage = whyUnreadable(run);
      if (damage !== undefined) {
        damaged.push(`${place.folder}: ${damage}`);
        break;
      }
      found.set(cellKey, { id: place.id, row, run });
    }
  }
  return { cells: found, damaged };
}

function whyUnreadable(run: () => StoredRun): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof ResultError) return error.message;
    throw error;
  }
}

const once = (place: RunPlace): (() => StoredRun) => {
  let run: StoredRun | null = null;
  return () => {
    run ??= readRun(place.folder);
    return run;
  };
};

/**
 * Copies a finished cell into the run: its row, series, events and latencies.
 * @returns the row as stored.
 * @throws ResultError when its run has been removed since.
 */
export function reuse(run: Run, cell: KeyedCell, finished: FinishedCell): ResultRow {
  const stored = finished.run();
  const isOf = ({ cellKey }: { readonly cellKey: string | null }): boolean => cellKey === cell.key;
  const latency = readCellLatency(stored.folder, cell.key);
  const row = { ...finished.row, reusedFrom: finished.id };
  run.appendRow(row);
  run.appendSeries(stored.series.filter(isOf));
  for (const event of stored.events.filter(isOf)) run.appendEvent(event);
  // Relative to the start of the run that measured it, which lies before this one's.
  for (const interval of latency.intervals) run.appendLatency(interval, cell.key);
  logAttempts(run, [cell], 'skipped', `finished in run ${finished.id}`);
  return row;
}
