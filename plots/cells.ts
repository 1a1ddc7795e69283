/** Which rows of a run are repetitions of one cell, and what tells cells of one workload apart. */
import { isSimulated, type ResultRow } from '../results/schema.js';
import type { Origin } from './style.js';

/** A cell: everything that was set, and the repetitions of it. */
export interface CellRows {
  readonly workload: string;
  /** What differs between cells of this run, such as "8 clients"; empty when only workloads differ. */
  readonly label: string;
  readonly origin: Origin;
  readonly rows: readonly ResultRow[];
}

const SETTINGS: readonly ((row: ResultRow) => string)[] = [
  (row) => row.system,
  (row) => row.fabric,
  (row) => row.flavour,
  (row) => `${row.clients} clients`,
  (row) => `${row.coroutines} coroutines`,
  (row) => `${row.nodes} MNs`,
  (row) => `${row.indexReplicas} index replicas`,
  (row) => `${row.dataReplicas} data replicas`,
  (row) => `${row.kvBytes} B`,
  (row) => `${row.rttNs / 1000} µs RTT`,
];

/** Groups rows into cells, in the order cells first appear. Seeds may differ between repetitions. */
export const groupCells = (rows: readonly ResultRow[]): CellRows[] => {
  const differing = SETTINGS.filter((setting) => rows.some((row) => setting(row) !== setting(rows[0])));
  const cells = new Map<string, { workload: string; label: string; origin: Origin; rows: ResultRow[] }>();
  for (const row of rows) {
    const label = differing.map((setting) => setting(row)).join(', ');
    const key = JSON.stringify([row.workload, label]);
    const cell = cells.get(key);
    if (cell) cell.rows.push(row);
    else cells.set(key, { workload: row.workload, label, origin: rowOrigin(row), rows: [row] });
  }
  return [...cells.values()];
};

/** Whether a row, or a point of a series, was measured or simulated. */
export const rowOrigin = (row: { readonly fabric: string }): Origin =>
  isSimulated(row) ? 'simulated' : 'measured';

/** The middle value, or the mean of the two middle ones. */
export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** A workload as figures name it: "YCSB-A" for "ycsb-a" or "a". */
export const workloadLabel = (workload: string): string => {
  const letter = /^(?:ycsb[-_ ]?)?([a-f])$/i.exec(workload)?.[1];
  return letter === undefined ? workload : `YCSB-${letter.toUpperCase()}`;
};
