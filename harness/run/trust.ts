/** How far a run's numbers can be relied on, from what was observed while it ran. */
import { availableParallelism } from 'node:os';
import type { Conditions } from '../../results/conditions.js';
import type { Collections, Trust } from '../../results/schema.js';

/** Cores' worth of time that others may take of the machine before a verdict says so: a tenth of one core. */
export const FOREIGN_CORES_MAX = 0.1;
/** Shorter warm-ups leave compilation and cold caches to the window. */
const WARMUP_MS_MIN = 250;
/** Share of the window that a client may wait for a core. */
const CORE_WAIT_MAX = 0.05;
/** Times a second that a client may lose its core. */
const SWITCHES_PER_SECOND_MAX = 100;
/** How late an idle thread may wake, at p99. */
const HICCUP_NS_MAX = 1e6;
/** Coarser clocks cannot tell one RTT from another; dearer ones are felt. */
const CLOCK_STEP_NS_MAX = 1000;
const CLOCK_READ_NS_MAX = 500;
/** Share of a client's time for one operation that the harness may take itself. */
const SELF_COST_MAX = 0.1;
/** Half the width of the throughput's interval, by its mean. */
const INTERVAL_MAX = 0.05;

/** What a verdict rests on. */
export interface Observations {
  readonly busyProcesses: number;
  readonly collections: Collections;
  readonly conditions: Conditions;
  readonly warmupMs: number;
  readonly seconds: number;
  readonly operations: number;
  /** Faults were injected: throughput is not meant to keep its level. */
  readonly hasFaults?: boolean;
  readonly cores?: number;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const millis = (ns: number): string => `${(ns / 1e6).toFixed(1)} ms`;

/** ok, noisy or unusable, with the reasons. */
export function judge(o: Observations): Trust {
  const noisy = [
    ...othersOnCores(o),
    ...collectionReasons(o.collections),
    ...harnessReasons(o),
    ...windowReasons(o),
  ];
  const unusable: string[] = [];
  const backwards = o.conditions.clockBackwards ?? 0;
  if (backwards > 0) unusable.push(`the clock went back ${backwards} times`);
  if (o.operations === 0) unusable.push('no operation completed in the window');
  if (o.seconds <= 0) unusable.push('the window is empty');
  const verdict = unusable.length > 0 ? 'unusable' : noisy.length > 0 ? 'noisy' : 'ok';
  return { verdict, reasons: [...unusable, ...noisy] };
}

/** Whether clients had the cores that they wanted. */
function othersOnCores({ conditions: c, busyProcesses, seconds, ...o }: Observations): string[] {
  const reasons: string[] = [];
  const cores = o.cores ?? availableParallelism();
  if (busyProcesses > cores) {
    reasons.push(
      `${busyProcesses} busy client processes share ${cores} ${cores === 1 ? 'core' : 'cores'}, ` +
        'so latencies include waiting for a core',
    );
  }
  if (c.stolenShare > 0.02) reasons.push(`the hypervisor took ${percent(c.stolenShare)} of the CPU`);
  if (c.foreignCores > FOREIGN_CORES_MAX) {
    reasons.push(
      `other processes took ${(c.foreignCores * 100).toFixed(0)} % of a core; ` +
        `up to ${FOREIGN_CORES_MAX * 100} % disturbs little`,
    );
  }
  if ((c.coreWaitShare ?? 0) > CORE_WAIT_MAX)
    reasons.push(`a client waited for a core ${percent(c.coreWaitShare ?? 0)} of the window`);
  const perSecond = seconds > 0 ? c.involuntarySwitches / seconds / Math.max(1, busyProcesses) : 0;
  if (perSecond > SWITCHES_PER_SECOND_MAX)
    reasons.push(`each client lost its core ${perSecond.toFixed(0)} times a second`);
  if (c.hiccups !== null && c.hiccups.p99Ns > HICCUP_NS_MAX)
    reasons.push(`an idle thread woke ${millis(c.hiccups.p99Ns)} late at p99`);
  return reasons;
}

function collectionReasons(collections: Collections): string[] {
  const reasons: string[] = [];
  if (collections.shareOfWindow > 0.01)
    reasons.push(`collections took ${percent(collections.shareOfWindow)} of the window`);
  if (collections.longestMs > 1) reasons.push(`a collection took ${collections.longestMs.toFixed(1)} ms`);
  return reasons;
}

/** What the harness itself does to the numbers. */
function harnessReasons({ conditions: c, seconds, operations, busyProcesses }: Observations): string[] {
  const reasons: string[] = [];
  if ((c.clockStepNs ?? 0) > CLOCK_STEP_NS_MAX)
    reasons.push(`the clock moves in steps of ${c.clockStepNs} ns`);
  if ((c.clockReadNs ?? 0) > CLOCK_READ_NS_MAX)
    reasons.push(`reading the clock costs ${(c.clockReadNs ?? 0).toFixed(0)} ns`);
  const perOperationNs = operations > 0 ? (seconds * 1e9 * busyProcesses) / operations : Infinity;
  if (c.nullOperationNs !== null && c.nullOperationNs > SELF_COST_MAX * perOperationNs) {
    reasons.push(
      `the harness itself takes ${c.nullOperationNs.toFixed(0)} ns of the ` +
        `${perOperationNs.toFixed(0)} ns that a client has for an operation`,
    );
  }
  return reasons;
}

/** Whether the window is one of a steady state, and long enough to tell. */
function windowReasons({ conditions: c, warmupMs, seconds, hasFaults }: Observations): string[] {
  const reasons: string[] = [];
  if (warmupMs < WARMUP_MS_MIN) {
    reasons.push(
      `the warm-up was ${warmupMs.toFixed(0)} ms, shorter than ${WARMUP_MS_MIN} ms: the window holds ramp-up`,
    );
  }
  if (seconds < 0.2) reasons.push(`the window is ${(seconds * 1000).toFixed(0)} ms, shorter than 200 ms`);
  else if (c.isSteady === null && hasFaults !== true)
    reasons.push(`the window of ${seconds.toFixed(1)} s is too short to tell whether throughput was steady`);
  if (c.shift !== null) {
    const { share, atMs } = c.shift;
    reasons.push(
      `throughput ${share < 0 ? 'fell' : 'rose'} by ${percent(Math.abs(share))} at ` +
        `${(atMs / 1000).toFixed(1)} s of the window: it was not steady`,
    );
  }
  if (c.throughputInterval !== null) {
    const { lowOps, highOps } = c.throughputInterval;
    const half = (highOps - lowOps) / (highOps + lowOps);
    if (half > INTERVAL_MAX) reasons.push(`throughput is known to within ± ${percent(half)} only`);
  }
  return reasons;
}
