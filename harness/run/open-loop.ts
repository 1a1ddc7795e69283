/** What became of an open loop's schedule, of all clients together, and whether the offered load was sustained. */
import { LatencyHistogram } from '../../results/histogram.js';
import type { OpenLoop, Operation } from '../../results/schema.js';
import type { ArrivalCounts, ClientReport } from './messages.js';
import { LATE_NS } from './paced-source.js';
import type { OpenLoopPlan } from './plan-open-loop.js';

/** A load is sustained while no more than this share of its requests never began. */
const UNSTARTED_MAX = 0.01;

/** The open loop of a row. Response times of all clients and operations are merged. */
export function mergeOpenLoop(
  plan: OpenLoopPlan,
  reports: readonly ClientReport[],
  responses: ReadonlyMap<Operation, LatencyHistogram>,
): OpenLoop {
  const sum = (of: keyof ArrivalCounts): number =>
    reports.reduce((total, { arrivals }) => total + (arrivals?.[of] ?? 0), 0);
  const scheduled = sum('scheduled');
  const skipped = sum('skipped');
  const dropped = sum('dropped');
  const all = new LatencyHistogram();
  for (const histogram of responses.values()) all.merge(histogram);
  return {
    arrivals: plan.arrivals,
    offeredOps: plan.offeredOps,
    catchUp: plan.skipAfterNs === null ? 'all' : 'skip',
    skipAfterNs: plan.skipAfterNs,
    scheduled,
    late: sum('late'),
    lateAfterNs: LATE_NS,
    skipped,
    dropped,
    verdict: skipped + dropped > UNSTARTED_MAX * scheduled ? 'not sustained' : 'sustained',
    responseNs: all.summary(),
  };
}
