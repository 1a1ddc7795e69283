/** How far a run's numbers can be relied on, from what was observed while it ran. */
import { availableParallelism } from 'node:os';
import type { Collections, Trust } from '../../results/schema.js';
import { type CpuTimes, foreignCores, stolenShare } from './cpu-times.js';

/** Cores' worth of time that others may take of the machine before a verdict says so: a tenth of one core. */
export const FOREIGN_CORES_MAX = 0.1;
/** Shorter warm-ups leave compilation and cold caches to the window. */
const WARMUP_MS_MIN = 250;

/** What a verdict rests on. */
export interface Observations {
  readonly busyProcesses: number;
  readonly collections: Collections;
  readonly cpuBefore: CpuTimes;
  readonly cpuAfter: CpuTimes;
  readonly warmupMs: number;
  readonly seconds: number;
  readonly operations: number;
  readonly cores?: number;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** ok, noisy or unusable, with the reasons. */
export function judge(o: Observations): Trust {
  const noisy: string[] = [];
  const unusable: string[] = [];
  const cores = o.cores ?? availableParallelism();
  if (o.busyProcesses > cores) {
    noisy.push(
      `${o.busyProcesses} busy client processes share ${cores} ${cores === 1 ? 'core' : 'cores'}, ` +
        'so latencies include waiting for a core',
    );
  }
  if (o.collections.shareOfWindow > 0.01)
    noisy.push(`collections took ${percent(o.collections.shareOfWindow)} of the window`);
  if (o.collections.longestMs > 1) noisy.push(`a collection took ${o.collections.longestMs.toFixed(1)} ms`);
  const stolen = stolenShare(o.cpuBefore, o.cpuAfter);
  if (stolen > 0.02) noisy.push(`the hypervisor took ${percent(stolen)} of the CPU`);
  const foreign = foreignCores(o.cpuBefore, o.cpuAfter);
  if (foreign > FOREIGN_CORES_MAX) {
    noisy.push(
      `other processes took ${(foreign * 100).toFixed(0)} % of a core; ` +
        `up to ${FOREIGN_CORES_MAX * 100} % disturbs little`,
    );
  }
  if (o.warmupMs < WARMUP_MS_MIN) {
    noisy.push(
      `the warm-up was ${o.warmupMs.toFixed(0)} ms, shorter than ${WARMUP_MS_MIN} ms: the window holds ramp-up`,
    );
  }
  if (o.seconds < 0.2) noisy.push(`the window is ${(o.seconds * 1000).toFixed(0)} ms, shorter than 200 ms`);
  if (o.operations === 0) unusable.push('no operation completed in the window');
  if (o.seconds <= 0) unusable.push('the window is empty');
  const verdict = unusable.length > 0 ? 'unusable' : noisy.length > 0 ? 'noisy' : 'ok';
  return { verdict, reasons: [...unusable, ...noisy] };
}
