/** What an open loop is to offer: its settings, checked, and each client's share of the schedule. */
import { UsageError } from '../../fusee/verbs/index.js';
import type { OpenLoop } from '../../results/schema.js';

/** Settings of an open loop, as the command line gives them. */
export interface OpenLoopOptions {
  /** Requests per second, of all clients together; each rate is a cell of its own. */
  readonly rates: readonly number[];
  readonly arrivals: OpenLoop['arrivals'];
  /** Requests that are later than this are passed over; null: all begin, however late. */
  readonly skipAfterNs: number | null;
}

/** One cell's open loop. */
export interface OpenLoopPlan extends Omit<OpenLoopOptions, 'rates'> {
  readonly offeredOps: number;
}

/** A client's share of an open loop. */
export interface ClientSchedule {
  readonly arrivals: OpenLoop['arrivals'];
  /** Mean time between two intended starts of this client, and the time ahead of the first. */
  readonly intervalNs: number;
  readonly offsetNs: number;
  readonly skipAfterNs: number | null;
  /** Of the intervals that are drawn. */
  readonly seed: number;
}

/** Beyond what one client's core can begin. */
const RATE_MAX = 1e8;
const SKIP_NS_MAX = 3600e9;

/** @throws UsageError naming the value, the limit and the way out. */
export function checkOpenLoop({ rates, skipAfterNs }: OpenLoopOptions): void {
  if (rates.length === 0) throw new UsageError('no rate was named; give requests per second, such as 20k');
  for (const rate of rates) {
    if (rate > 0 && rate <= RATE_MAX) continue;
    throw new UsageError(`the rate is ${rate} requests a second; choose more than 0, and up to ${RATE_MAX}`);
  }
  const twice = rates.find((rate, i) => rates.indexOf(rate) !== i);
  if (twice !== undefined) {
    throw new UsageError(`the rate ${twice} is named twice; name it once, and repeat it with --repeats`);
  }
  if (skipAfterNs !== null && !(skipAfterNs > 0 && skipAfterNs <= SKIP_NS_MAX)) {
    throw new UsageError(`requests are skipped when ${skipAfterNs} ns late; choose more than 0, up to 1 h`);
  }
}

/**
 * The share of client `clientIndex` of `clients`. Constant schedules of all clients interleave, so that the
 * whole is constant too.
 */
export function clientSchedule(
  plan: OpenLoopPlan,
  { clientIndex, clients, seed }: { clientIndex: number; clients: number; seed: number },
): ClientSchedule {
  const intervalNs = (1e9 * clients) / plan.offeredOps;
  return {
    arrivals: plan.arrivals,
    intervalNs,
    offsetNs: (intervalNs * clientIndex) / clients,
    skipAfterNs: plan.skipAfterNs,
    seed: seed * clients + clientIndex,
  };
}
