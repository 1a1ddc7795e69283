/** What a fault cost: how long throughput took to come back, and what was not done meanwhile. */
import type { SeriesPoint } from './schema.js';

/** A point of the series, as far as recovery goes by it. */
export type Interval = Pick<SeriesPoint, 'tMs' | 'intervalMs' | 'operations'>;

/** The cost of one fault; null where the series does not tell. */
export interface FaultCost {
  /** Mean throughput before the fault, which is what it is measured against. */
  readonly meanBeforeOps: number | null;
  /** From the fault until throughput was back; null when it never was. */
  readonly recoveryMs: number | null;
  /** Area between the mean before and the throughput until then, or until the window's end; at least 0. */
  readonly lostOperations: number | null;
}

/** Share of the mean before at which throughput counts as back. */
export const RECOVERED_SHARE = 0.9;
/**
 * Time before a fault that its mean is taken over, at most: throughput drifts, so the latest counts. With an
 * earlier fault in it, that fault's effect is part of what this one is measured against.
 */
const BEFORE_MS = 1000;
/** Throughput is back when it stays back so long: one lucky interval is none, and a dip may set in late. */
const SUSTAINED_MS = 300;

/**
 * The cost of a fault at `atMs` by a series of throughput. The first interval that begins behind the fault and
 * opens a stretch of 300 ms (or all that is left) at 90 % of the mean before or more ends it; when the fault's
 * own interval has no dip either, it cost no time.
 * @param windowMs length of the window: an interval that it cuts off says nothing.
 */
export const faultCost = (
  series: readonly Interval[],
  { atMs, windowMs }: { readonly atMs: number; readonly windowMs: number },
): FaultCost => {
  const whole = [...series]
    .filter(({ tMs, intervalMs }) => tMs + intervalMs <= windowMs)
    .sort((a, b) => a.tMs - b.tMs);
  const before = whole.filter(({ tMs, intervalMs }) => tMs + intervalMs <= atMs && tMs >= atMs - BEFORE_MS);
  const after = whole.filter(({ tMs, intervalMs }) => tMs + intervalMs > atMs);
  const spanMs = before.reduce((sum, { intervalMs }) => sum + intervalMs, 0);
  if (spanMs === 0) return { meanBeforeOps: null, recoveryMs: null, lostOperations: null };
  const perMs = before.reduce((sum, { operations }) => sum + operations, 0) / spanMs;
  const isBack = ({ operations, intervalMs }: Interval): boolean =>
    operations >= RECOVERED_SHARE * perMs * intervalMs;

  const backAt = after.findIndex((interval, i) => {
    if (interval.tMs < atMs) return false;
    const stretch = after.slice(i).filter(({ tMs }) => tMs < interval.tMs + SUSTAINED_MS);
    return stretch.every(isBack);
  });
  const down = backAt < 0 ? after : after.slice(0, backAt);
  const lost = down.reduce((sum, { operations, intervalMs }) => sum + perMs * intervalMs - operations, 0);
  const wasDown = down.some((interval) => !isBack(interval));
  return {
    meanBeforeOps: perMs * 1000,
    recoveryMs: backAt < 0 ? null : wasDown ? after[backAt].tMs - atMs : 0,
    lostOperations: wasDown || backAt < 0 ? Math.max(0, Math.round(lost)) : 0,
  };
};
