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

/** Runs each speed plan `repeats` times after one run to warm up, and keeps the median. */
export function measureSpeed(options: { repeats: number; requests?: number }): SpeedRow[] {
  return speedPlans().map(({ name, plan }) => {
    const sized: SwarmPlan = { ...plan, requests: options.requests ?? plan.requests };
    runPlan({ ...sized, requests: Math.ceil(sized.requests / 8) });
    const timed = (checks: boolean): { ms: number; report: SeedReport }[] =>
      Array.from({ length: options.repeats }, () => {
        const before = process.cpuUsage();
        const report = runPlan(sized, { checks });
        const { user, system } = process.cpuUsage(before);
        return { ms: (user + system) / 1000, report };
      });
    const unchecked = timed(false);
    const checked = timed(true);
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];
    const { requests, events } = checked[0].report;
    return {
      name,
      requests,
      events,
      runOps: requests / (median(unchecked.map((t) => t.ms)) / 1000),
      checkedOps: requests / (median(checked.map((t) => t.ms)) / 1000),
      findings: checked.reduce((sum, { report }) => sum + report.findings.length, 0),
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
