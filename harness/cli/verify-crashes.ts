/** What many crash runs came to, in a line, and what belongs to it in two more. */
import type { VerifyResult } from '../swarm/verify.js';

/** The figures of `fusee verify --crash-runs`. */
export function formatCrashRuns({ sum, failures, ...result }: VerifyResult): string {
  const n = (value: number): string => Math.round(value).toLocaleString('en');
  const answer = `${(sum.answerNsMost / 1e6).toFixed(3)} ms`;
  const seeds = failures.map(({ seed }) => seed).join(', ');
  return [
    `${n(sum.seeds)} crash runs${result.isInterrupted ? ' (interrupted)' : ''}: ` +
      `${n(sum.crashes)} client deaths, ${n(sum.nodeCrashes)} MN deaths, ` +
      `${n(sum.recovererCrashes)} recoverer deaths, ${n(sum.requests)} requests; ` +
      `${n(sum.lostWrites)} lost acknowledged writes, ${n(sum.violations)} violations, ` +
      `${n(sum.leakedBytes)} leaked bytes, ${n(sum.hangs)} hangs; ` +
      `longest answer ${answer}, at most ${(100 * sum.answerShareMost).toFixed(0)} % of lease + bound`,
    `apart from those: ${n(sum.unloggedBytes)} bytes left where one index replica was left, and no log told ` +
      `old values; ${n(sum.bereftBytes)} by clients that died in the same run as an MN`,
    `seeds from ${result.firstSeed}, ${n(sum.repeated)} of them twice, in ${result.seconds.toFixed(1)} s on ` +
      `${result.jobs} workers${failures.length > 0 ? `; failing seeds: ${seeds}` : ''}`,
  ].join('\n');
}
