/** How fast the simulator is, and how fast simulated requests are checked. */
import { type SwarmPlan, speedPlans } from './plan.js';
import { runPlan, type SeedReport } from './seed.js';

/**
 * One line of the speed table. Rates are per second of one core's time, so that others on the machine do not
 * count.
 */
export interface SpeedRow {
  readonly name: string;
  readonly requests: number;
  readonly events: number;
  readonly runOps: number;
  readonly checkedOps: number;
  readonly findings: number;
}

/** One run's time, milliseconds of one core: up to its rest, and with its checks. */
interface Timed {
  readonly runMs: number;
  readonly checkedMs: number;
  readonly report: SeedReport;
}

/**
 * Runs each speed plan `repeats` times after one run to warm up, and keeps the medians; every run gives both
 * rates.
 * @param options.onRow called with each row as it is known: all of them take the better part of a minute.
 */
export function measureSpeed(options: {
  repeats: number;
  requests?: number;
  onRow?: (row: SpeedRow) => void;
}): SpeedRow[] {
  return speedPlans().map(({ name, plan }) => {
    const sized: SwarmPlan = { ...plan, requests: options.requests ?? plan.requests };
    runPlan({ ...sized, requests: Math.ceil(sized.requests / 8) });
    const timed = Array.from({ length: options.repeats }, () => timeRun(sized));
    const { requests, events } = timed[0].report;
    const row: SpeedRow = {
      name,
      requests,
      events,
      runOps: requests / (median(timed.map((t) => t.runMs)) / 1000),
      checkedOps: requests / (median(timed.map((t) => t.checkedMs)) / 1000),
      findings: timed.reduce((sum, { report }) => sum + report.findings.length, 0),
    };
    options.onRow?.(row);
    return row;
  });
}

function timeRun(plan: SwarmPlan): Timed {
  const before = process.cpuUsage();
  const sinceMs = (): number => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  let runMs = 0;
  const report = runPlan(plan, {
    onRest: () => {
      runMs = sinceMs();
    },
  });
  return { runMs, checkedMs: sinceMs(), report };
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

const HEADINGS = ['load (16-byte values)', 'requests', 'events', 'ops/s simulated', 'ops/s with checks'];

/** Of the longest name of a load. */
const NAME_WIDTH = Math.max(...speedPlans().map(({ name }) => name.length));

/** The heading of the table, for people. */
export const speedHeading = (): string => speedLine(HEADINGS);

/** One line of the table; they come one by one, so widths are fixed. */
export const formatSpeed = (row: SpeedRow): string =>
  speedLine([
    row.name,
    String(row.requests),
    String(row.events),
    Math.round(row.runOps).toLocaleString('en'),
    Math.round(row.checkedOps).toLocaleString('en'),
  ]);

function speedLine(cells: readonly string[]): string {
  const widths = HEADINGS.map((heading, c) => Math.max(heading.length, c === 0 ? NAME_WIDTH : 10));
  return cells
    .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])))
    .join('  ')
    .trimEnd();
}
