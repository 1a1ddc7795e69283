/** Puts together what was observed of machine and harness while a cell ran. */
import type { Conditions } from '../../results/conditions.js';
import type { SeriesPoint } from '../../results/schema.js';
import { steadyState } from '../../results/statistics/index.js';
import type { CellOutcome } from './cell.js';
import { foreignCores, stolenShare } from './cpu-times.js';
import type { ClientReport } from './messages.js';

/** What the throughput series says, and what of it can be judged. */
interface Window {
  readonly series: readonly SeriesPoint[];
  /** When the first client began no more requests, since the window's start. */
  readonly closedMs: number;
  readonly seconds: number;
  readonly hasFaults: boolean;
}

/** The conditions of a cell. Of clients, the one that fared worst is told. */
export function conditionsOf(
  {
    reports,
    cpuBefore,
    cpuAfter,
    hiccups,
  }: Pick<CellOutcome, 'reports' | 'cpuBefore' | 'cpuAfter' | 'hiccups'>,
  window: Window,
): Conditions {
  const costs = reports.flatMap(({ selfCost }) => selfCost ?? []);
  const waits = reports.map(({ coreWaitNs }) => coreWaitNs).filter((ns) => ns !== null);
  const sum = (of: (report: ClientReport) => number): number => reports.reduce((n, r) => n + of(r), 0);
  return {
    nullOperationNs: least(costs.map((cost) => cost.nullOperationNs)),
    clockReadNs: least(costs.map((cost) => cost.clockReadNs)),
    clockStepNs: most(costs.map((cost) => cost.clockStepNs)),
    clockBackwards: costs.length === 0 ? null : costs.reduce((n, cost) => n + cost.clockBackwards, 0),
    hiccups,
    stolenShare: Math.max(0, stolenShare(cpuBefore, cpuAfter)),
    foreignCores: foreignCores(cpuBefore, cpuAfter),
    coreWaitShare:
      waits.length === 0 || window.seconds <= 0 ? null : Math.max(...waits) / (window.seconds * 1e9),
    voluntarySwitches: sum((r) => r.voluntarySwitches),
    involuntarySwitches: sum((r) => r.involuntarySwitches),
    ...steadiness(window),
  };
}

const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);

const least = (values: readonly (number | null)[]): number | null =>
  known(values).length === 0 ? null : Math.min(...known(values));

const most = (values: readonly (number | null)[]): number | null =>
  known(values).length === 0 ? null : Math.max(...known(values));

/** Intervals that steady state is looked for in, at most: the test takes the square of their number. */
const INTERVALS_MAX = 300;

/** Rates per second, each of so many neighbours that they are {@link INTERVALS_MAX} at most. */
export function ratesOf(series: readonly { readonly operations: number; readonly intervalMs: number }[]): {
  readonly rates: number[];
  readonly perRate: number;
} {
  const perRate = Math.max(1, Math.ceil(series.length / INTERVALS_MAX));
  const rates = Array.from({ length: Math.floor(series.length / perRate) }, (_, i) => {
    const some = series.slice(i * perRate, (i + 1) * perRate);
    const ms = some.reduce((sum, { intervalMs }) => sum + intervalMs, 0);
    return (some.reduce((sum, { operations }) => sum + operations, 0) / ms) * 1000;
  });
  return { rates, perRate };
}

/** Only whole intervals, in which all clients were at work. */
function steadiness({
  series,
  closedMs,
  hasFaults,
}: Window): Pick<Conditions, 'isSteady' | 'shift' | 'throughputInterval'> {
  const whole = series.filter((point) => point.tMs + point.intervalMs <= closedMs);
  const { rates, perRate } = ratesOf(whole);
  // What is broken on purpose is not to be steady.
  if (hasFaults) return { isSteady: null, shift: null, throughputInterval: null };
  const { isSteady, change, mean } = steadyState(rates);
  return {
    isSteady,
    shift: change === null ? null : { atMs: whole[change.index * perRate].tMs, share: change.share },
    throughputInterval:
      mean === null
        ? null
        : {
            lowOps: mean.low,
            highOps: mean.high,
            level: mean.level,
            effectiveCount: mean.effectiveCount,
            correlation: mean.correlation,
          },
  };
}
