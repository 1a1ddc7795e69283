/** How far a run's numbers can be relied on, from what was observed while it ran. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Collections, Trust } from '../../results/schema.js';

/** CPU time of the whole machine, in ticks. */
export interface CpuTimes {
  readonly steal: number;
  readonly total: number;
}

/** Reads the machine's CPU times. */
export function readCpuTimes(): CpuTimes {
  const fields =
    /^cpu\s+(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1].trim().split(/\s+/).map(Number) ?? [];
  return { steal: fields[7] ?? 0, total: fields.slice(0, 8).reduce((a, b) => a + b, 0) };
}

/** What a verdict rests on. */
export interface Observations {
  readonly busyProcesses: number;
  readonly collections: Collections;
  readonly cpuBefore: CpuTimes;
  readonly cpuAfter: CpuTimes;
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
      `${o.busyProcesses} busy client processes share ${cores} cores, ` +
        'so latencies include waiting for a core',
    );
  }
  if (o.collections.shareOfWindow > 0.01)
    noisy.push(`collections took ${percent(o.collections.shareOfWindow)} of the window`);
  if (o.collections.longestMs > 1) noisy.push(`a collection took ${o.collections.longestMs.toFixed(1)} ms`);
  const ticks = o.cpuAfter.total - o.cpuBefore.total;
  const steal = ticks === 0 ? 0 : (o.cpuAfter.steal - o.cpuBefore.steal) / ticks;
  if (steal > 0.02) noisy.push(`the hypervisor took ${percent(steal)} of the CPU`);
  if (o.seconds < 0.2) noisy.push(`the window is ${(o.seconds * 1000).toFixed(0)} ms, shorter than 200 ms`);
  if (o.operations === 0) unusable.push('no operation completed in the window');
  if (o.seconds <= 0) unusable.push('the window is empty');
  const verdict = unusable.length > 0 ? 'unusable' : noisy.length > 0 ? 'noisy' : 'ok';
  return { verdict, reasons: [...unusable, ...noisy] };
}
