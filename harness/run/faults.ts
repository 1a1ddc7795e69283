/** What must not happen in a run, in words. */
import { describeFinding } from '../../fusee/fsck/index.js';
import type { CellResult } from './row.js';

/** Findings of a walk over the memory that are told one by one. */
const FINDINGS_TOLD = 5;

/** The faults of a cell in one sentence, or null when all is well. */
export function faultsOf(
  name: string,
  { row, wrongExamples, notOk, verification, memory, unmetFaults }: CellResult,
): string | null {
  const faults: string[] = [];
  if ((row.wrongValues ?? 0) > 0) {
    const examples = wrongExamples.length === 0 ? '' : ` (${wrongExamples.join('; ')})`;
    faults.push(`${row.wrongValues} wrong values${examples}`);
  }
  if ((row.lostKeys ?? 0) > 0) faults.push(`${row.lostKeys} acknowledged keys are gone`);
  if (verification?.isLinearizable === false) {
    faults.push(`the history is not linearizable\n${verification.explanation}`);
  } else if (verification !== null && verification.isLinearizable === null && !row.interrupted) {
    faults.push(`the history could not be decided: ${verification.explanation}`);
  }
  if (memory !== null && memory.findingCount > 0) {
    const first = memory.findings.slice(0, FINDINGS_TOLD).map((finding) => `\n  ${describeFinding(finding)}`);
    faults.push(`${memory.findingCount} things in the pool's memory do not add up, first:${first.join('')}`);
  }
  let counted = 0;
  for (const [operation, outcomes] of Object.entries(row.outcomes)) {
    for (const [outcome, count] of Object.entries(outcomes)) {
      if (outcome === 'OK') continue;
      counted += count;
      // While something is broken on purpose, requests may well go unanswered.
      if (row.faults !== null && outcome === 'UNAVAILABLE') continue;
      if (!isExpected(name, outcome)) faults.push(`${count} ${operation} requests ended ${outcome}`);
    }
  }
  if (name !== 'trace' && notOk > counted) {
    faults.push(`${notOk - counted} requests of the warm-up ended in anything but OK`);
  }
  if (row.operations === 0 && !row.interrupted) {
    faults.push('all requests ended within the warm-up; raise --requests or set a shorter --warmup');
  }
  if (unmetFaults.length > 0 && !row.interrupted) {
    faults.push(
      `the window ended after ${row.seconds.toFixed(2)} s, before ${unmetFaults.join(', ')}; ` +
        'raise --requests or --seconds, or let it happen earlier',
    );
  }
  return faults.length === 0 ? null : `${name}: ${faults.join('; ')}`;
}

/** In a trace a key may well be absent, or there already; generated workloads know what is there. */
const isExpected = (name: string, outcome: string): boolean =>
  name === 'trace' && (outcome === 'NOT_FOUND' || outcome === 'EXISTS');
