/** Result rows as an aligned table for a terminal. */
import { isSimulated, OPERATIONS, type OpenLoop, type Operation, type ResultRow } from './schema.js';

/** What stands for `null`: nobody looked, which is not the same as nothing found. */
const UNCHECKED = 'unchecked';
/** An operation a workload uses for less than this share is left out of the latency columns. */
const MAIN_SHARE = 0.01;

interface Column {
  readonly head: string;
  readonly left?: boolean;
  readonly cell: (row: ResultRow) => string;
}

/**
 * One line per row, in the given order: workload, throughput, p50 and p99 of each main operation in
 * microseconds, RTTs per operation, wrong values, lost keys, trust. A setting gets a column when rows differ
 * in it; reasons for distrust follow as notes.
 * @throws RangeError without rows.
 */
export const formatTable = (rows: readonly ResultRow[]): string => {
  if (rows.length === 0) throw new RangeError('a table needs at least one row');
  const notes = new Map<string, number>();
  const columns = [
    { head: 'workload', left: true, cell: (row: ResultRow) => row.workload },
    ...settingColumns(rows),
    throughputColumn(rows),
    ...intervalColumns(rows),
    ...latencyColumns(rows),
    ...openLoopColumns(rows),
    { head: 'RTTs/op', cell: (row: ResultRow) => number(meanRtts(row), 2) },
    { head: 'wrong', cell: (row: ResultRow) => number(row.wrongValues, 0) },
    { head: 'lost', cell: (row: ResultRow) => number(row.lostKeys, 0) },
    { head: 'trust', left: true, cell: (row: ResultRow) => trust(row, notes) },
  ];
  const lines = align(columns, rows);
  for (const [reason, mark] of notes) lines.push(`  [${mark}] ${reason}`);
  return `${lines.join('\n')}\n`;
};

/**
 * RTTs per operation over all operations of a row, weighted by count; null where a system cannot count them.
 */
export const meanRtts = (row: ResultRow): number | null => {
  let count = 0;
  let rtts = 0;
  for (const cost of Object.values(row.perOperation)) {
    if (cost.count === 0) continue;
    if (cost.rtts === null) return null;
    count += cost.count;
    rtts += cost.count * cost.rtts;
  }
  return count === 0 ? null : rtts / count;
};

/** Unit in which throughputs of this size are shown, and its size in operations per second. */
export const throughputUnit = (highestOps: number): { readonly name: string; readonly ops: number } =>
  highestOps >= 1e6 ? { name: 'Mops/s', ops: 1e6 } : { name: 'kops/s', ops: 1e3 };

const settingColumns = (rows: readonly ResultRow[]): Column[] => {
  const settings: readonly { head: string; of: (row: ResultRow) => string | number }[] = [
    { head: 'system', of: (row) => row.system },
    { head: 'fabric', of: (row) => row.fabric },
    { head: 'clients', of: (row) => row.clients },
    { head: 'coroutines', of: (row) => row.coroutines },
    { head: 'MNs', of: (row) => row.nodes },
    { head: 'index replicas', of: (row) => row.indexReplicas },
    { head: 'data replicas', of: (row) => row.dataReplicas },
    { head: 'KV bytes', of: (row) => row.kvBytes },
    { head: 'RTT ns', of: (row) => row.rttNs },
    { head: 'seed', of: (row) => row.seed },
    { head: 'rep', of: (row) => row.repetition },
  ];
  return settings
    .filter(({ of }) => rows.some((row) => of(row) !== of(rows[0])))
    .map(({ head, of }) => ({
      head,
      left: typeof of(rows[0]) === 'string',
      cell: (row) => String(of(row)),
    }));
};

const throughputColumn = (rows: readonly ResultRow[]): Column => {
  const unit = throughputUnit(Math.max(...rows.map((row) => row.throughputOps)));
  const cell = (row: ResultRow): string => (row.throughputOps / unit.ops).toFixed(unit.ops === 1e6 ? 3 : 1);
  return { head: unit.name, cell };
};

/** Half the width of the throughput's 95 % interval, by its mean; rows without one leave it open. */
const intervalColumns = (rows: readonly ResultRow[]): Column[] => {
  if (rows.every((row) => (row.conditions?.throughputInterval ?? null) === null)) return [];
  const cell = ({ conditions }: ResultRow): string => {
    const interval = conditions?.throughputInterval ?? null;
    if (interval === null) return UNCHECKED;
    const { lowOps, highOps } = interval;
    return (((highOps - lowOps) / (highOps + lowOps)) * 100).toFixed(1);
  };
  return [{ head: '± %', cell }];
};

const latencyColumns = (rows: readonly ResultRow[]): Column[] =>
  OPERATIONS.filter((operation) => rows.some((row) => isMain(row, operation))).map((operation) => ({
    head: `${operation} p50/p99 µs`,
    cell: (row) => {
      const latency = row.latencyNs[operation];
      return latency === undefined ? '-' : `${micros(latency.p50)} / ${micros(latency.p99)}`;
    },
  }));

/** What was offered, response times of all operations together, and what never began. */
const openLoopColumns = (rows: readonly ResultRow[]): Column[] => {
  if (rows.every((row) => row.openLoop === null)) return [];
  const cell = (of: (openLoop: OpenLoop) => string) => (row: ResultRow) =>
    row.openLoop === null ? '-' : of(row.openLoop);
  return [
    { head: 'offered/s', cell: cell(({ offeredOps }) => String(Math.round(offeredOps))) },
    {
      head: 'response p50/p99 µs',
      cell: cell(({ responseNs }) =>
        responseNs === null ? '-' : `${micros(responseNs.p50)} / ${micros(responseNs.p99)}`,
      ),
    },
    {
      head: 'late/skipped/dropped',
      cell: cell(({ late, skipped, dropped }) => `${late} / ${skipped} / ${dropped}`),
    },
  ];
};

const isMain = (row: ResultRow, operation: Operation): boolean => {
  const count = row.perOperation[operation]?.count;
  return row.latencyNs[operation] !== undefined && (count ?? row.operations) >= MAIN_SHARE * row.operations;
};

const micros = (ns: number): string => {
  const us = ns / 1000;
  return us.toFixed(us >= 100 ? 0 : us >= 10 ? 1 : 2);
};

const number = (value: number | null, digits: number): string =>
  value === null ? UNCHECKED : value.toFixed(digits);

const trust = (row: ResultRow, notes: Map<string, number>): string => {
  const parts: string[] = [row.trust === null ? UNCHECKED : row.trust.verdict];
  for (const reason of row.trust?.reasons ?? []) {
    if (!notes.has(reason)) notes.set(reason, notes.size + 1);
    parts.push(`[${notes.get(reason)}]`);
  }
  // A simulated number must not be read as a measured one.
  if (isSimulated(row)) parts.push('simulated');
  if (row.openLoop?.verdict === 'not sustained') parts.push('OFFERED LOAD NOT SUSTAINED');
  if (row.interrupted) parts.push('INTERRUPTED');
  if (row.linearizable === false) parts.push('NOT LINEARIZABLE');
  return parts.join(' ');
};

const align = (columns: readonly Column[], rows: readonly ResultRow[]): string[] => {
  const cells = [columns.map((column) => column.head), ...rows.map((row) => columns.map((c) => c.cell(row)))];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at].length)));
  const format = (line: readonly string[]): string =>
    line
      .map((cell, at) => (columns[at].left ? cell.padEnd(widths[at]) : cell.padStart(widths[at])))
      .join('  ')
      .trimEnd();
  return [
    format(cells[0]),
    widths.map((width) => '-'.repeat(width)).join('  '),
    ...cells.slice(1).map(format),
  ];
};
