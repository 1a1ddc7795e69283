/** Cumulative distributions from the buckets of a histogram. */
import type { LatencyHistogram } from '../results/histogram.js';
import type { LinePoint } from './figure.js';

/**
 * A curve keeps a point when it rose this many percent, or moved this much to the right, since the last one.
 */
const RISE_PERCENT = 0.2;
const MOVE_FACTOR = 1.01;

/**
 * The distribution as points (latency in µs, percent of operations not slower), for a line that steps after
 * each point. Points closer than the eye can tell are left out; those kept are exact to the resolution of the
 * buckets. With overflow the curve ends below 100.
 */
export const cdfPoints = (histogram: LatencyHistogram): LinePoint[] => {
  const points: LinePoint[] = [];
  let seen = 0;
  let pending: LinePoint | null = null;
  histogram.forEachCounter((lowestNs, highestNs, count) => {
    if (points.length === 0) points.push({ x: toMicros(lowestNs), y: 0 });
    seen += count;
    const point = { x: toMicros(highestNs), y: (seen / histogram.count) * 100 };
    const last = points[points.length - 1];
    if (point.y - last.y >= RISE_PERCENT || point.x >= last.x * MOVE_FACTOR) {
      points.push(point);
      pending = null;
    } else pending = point;
  });
  if (pending !== null) points.push(pending);
  return points;
};

/** A logarithmic axis has no 0; a latency below 1 ns is drawn at 1 ns. */
const toMicros = (ns: number): number => Math.max(ns, 1) / 1000;
