/** How fast the simulator is, and how fast simulated requests are checked. */
import { type SwarmPlan, speedPlans } from './plan.js';
import { runPlan } from './seed.js';

/** One line of the speed table. Rates are per second of one core's time. */
export interface SpeedRow {
  readonly name: string;
  readonly requests: number;
  readonly events: number;
  readonly runOps: number;
  readonly checkedOps: number;
  readonly findings: number;
}

/** Runs each speed plan `repeats` times after one run to warm up, and keeps the median. */
export function measureSpeed(options: { repeats: number; requests?: number }): SpeedRow[] {
  return speedPlans().map(({ name, plan }) => {
    const sized: SwarmPlan = { ...plan, requests: options.requests ?? plan.requests };
    runPlan({ ...sized, requests: Math.ceil(sized.requests / 8) });
    const reports = Array.from({ length: options.repeats }, () => runPlan(sized));
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];
    const { requests, events } = reports[0];
    return {
      name,
      requests,
      events,
      runOps: requests / (median(reports.map((r) => r.runMs)) / 1000),
      checkedOps: requests / (median(reports.map((r) => r.runMs + r.checkMs)) / 1000),
      findings: reports.reduce((sum, r) => sum + r.findings.length, 0),
    };
  });
}

/** The table, for people. */
export function formatSpeed(rows: readonly SpeedRow[]): string {
  const header = ['load (16-byte values)', 'requests', 'events', 'ops/s simulated', 'ops/s with checks'];
  const cells = rows.map((row) => [
    row.name,
    String(row.requests),
    String(row.events),
    Math.round(row.runOps).toLocaleString('en'),
    Math.round(row.checkedOps).toLocaleString('en'),
  ]);
  const table = [header, ...cells];
  const widths = header.map((_, c) => Math.max(...table.map((line) => line[c].length)));
  return table
    .map((line) =>
      line.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join('  '),
    )
    .join('\n');
}
