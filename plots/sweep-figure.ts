/** Throughput and latency against each other over the cells of a sweep. */
import { OPERATIONS, type Operation, type ResultRow } from '../results/schema.js';
import type { StoredRun } from '../results/stored-run.js';
import { throughputUnit } from '../results/table.js';
import { runCaption } from './caption.js';
import { median, rowOrigin, workloadLabel } from './cells.js';
import type { Line, LineFigure, LinePoint } from './figure.js';
import { frame, logDomain } from './run-parts.js';

/** A load that was put on a store: requests offered per second, or requests in flight. */
const loadOf = ({ openLoop, clients, coroutines }: ResultRow): number =>
  openLoop?.offeredOps ?? clients * coroutines;

const labelOf = ({ openLoop, clients, coroutines }: ResultRow): string =>
  openLoop === null ? `${clients}×${coroutines}` : `${openLoop.offeredOps.toLocaleString('en-US')}/s`;

/** Of open loops the response time counts: a service time knows nothing of those who wait for their turn. */
const p99Of = (row: ResultRow, operation: Operation): number | undefined =>
  (row.openLoop === null ? row.latencyNs : row.responseNs)?.[operation]?.p99;

/** What tells one curve's cells from another's. */
const curveOf = (row: ResultRow): string =>
  JSON.stringify([
    row.system,
    row.workload,
    row.fabric,
    row.nodes,
    row.indexReplicas,
    row.dataReplicas,
    row.openLoop === null,
  ]);

/** Whether some workload of the run was measured under two loads. */
export const isSweep = (run: Pick<StoredRun, 'rows'>): boolean => {
  const loads = new Map<string, Set<number>>();
  for (const row of run.rows)
    loads.set(curveOf(row), (loads.get(curveOf(row)) ?? new Set()).add(loadOf(row)));
  return [...loads.values()].some((each) => each.size > 1);
};

/**
 * p99 of each main operation over the throughput that all reached together, from the least load to the
 * greatest: a curve that turns back shows load that brought nothing but waiting. Points are medians of
 * repetitions, labelled with clients × coroutines, or with the load that was offered; of those, p99 is of
 * response times, and a load that was not sustained says so.
 */
export const sweepFigure = (run: Pick<StoredRun, 'rows' | 'provenance' | 'status'>): LineFigure => {
  const unit = throughputUnit(Math.max(...run.rows.map((row) => row.throughputOps)));
  const panels = new Map<string, Line[]>();
  const latenciesUs: number[] = [];
  for (const rows of grouped(run.rows, curveOf)) {
    const title = workloadLabel(rows[0].workload);
    const lines = panels.get(title) ?? [];
    panels.set(title, lines);
    for (const operation of OPERATIONS) {
      const points = pointsOf(rows, operation, unit.ops);
      if (points.length === 0) continue;
      const isFirst = lines.length === 0;
      latenciesUs.push(...points.map(({ y }) => y));
      const marks = points.map(({ label, ...point }) => (isFirst ? { ...point, label } : point));
      lines.push({ series: operation, origin: rowOrigin(rows[0]), points, marks });
    }
  }
  const highest = Math.max(...run.rows.map((row) => row.throughputOps)) / unit.ops;
  return {
    kind: 'lines',
    id: 'throughput-latency',
    title: 'Throughput and latency',
    ...frame(runCaption(run), [notes(run.rows)]),
    x: { label: 'Throughput', unit: unit.name, scale: 'linear', domain: [0, highest * 1.18] },
    y: { label: 'p99 latency', unit: 'µs', scale: 'log', domain: logDomain(latenciesUs) },
    step: false,
    panels: [...panels].map(([title, lines]) => ({ title, lines })),
  };
};

const notes = (rows: readonly ResultRow[]): string => {
  const isOpen = rows.some(({ openLoop }) => openLoop !== null);
  if (!isOpen) return 'labels: clients × coroutines';
  const isClosed = rows.some(({ openLoop }) => openLoop === null);
  return `labels: offered load${isClosed ? ', or clients × coroutines' : ''}; open loop: response times`;
};

const pointsOf = (rows: readonly ResultRow[], operation: Operation, unitOps: number): LinePoint[] =>
  grouped(rows, labelOf)
    .sort(([a], [b]) => loadOf(a) - loadOf(b))
    .flatMap((cell) => {
      const p99s = cell.flatMap((row) => p99Of(row, operation) ?? []);
      if (p99s.length === 0) return [];
      const x = median(cell.map((row) => row.throughputOps)) / unitOps;
      const isSustained = cell.every(({ openLoop }) => openLoop?.verdict !== 'not sustained');
      const label = `${labelOf(cell[0])}${isSustained ? '' : ' not sustained'}`;
      return [{ x, y: Math.max(median(p99s), 1) / 1000, label }];
    });

const grouped = (rows: readonly ResultRow[], by: (row: ResultRow) => string): ResultRow[][] => {
  const groups = new Map<string, ResultRow[]>();
  for (const row of rows) groups.set(by(row), [...(groups.get(by(row)) ?? []), row]);
  return [...groups.values()];
};
