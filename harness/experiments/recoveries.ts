/** Recoveries of a run, from its events. */
import { median } from '../../plots/cells.js';
import type { RunEvent } from '../../results/schema.js';
import type { StoredRun } from '../../results/stored-run.js';

/** One client's death, and what its recovery took. */
export interface RecoveredDeath {
  readonly repetition: number;
  /** UPDATEs of the client up to its death. */
  readonly history: number;
  /** From its death, behind its last words, until the master knew. */
  readonly detectMs: number;
  readonly fenceMs: number;
  readonly steps: Readonly<Record<string, number>>;
  readonly totalMs: number;
  readonly entries: number;
}

interface RecoveryDetail {
  readonly client: number | null;
  readonly fenceMs: number;
  readonly totalMs: number;
  readonly entries: number;
  readonly steps: Readonly<Record<string, number>>;
}

/** The recoveries of clients that died at a point of the protocol, with the point's occurrence as history. */
export function crashRecoveries({ events }: Pick<StoredRun, 'events'>): RecoveredDeath[] {
  return events.flatMap((crash): RecoveredDeath[] => {
    if (crash.kind !== 'crash' || crash.tMs === null) return [];
    const isItsOwn = (event: RunEvent): boolean =>
      event.kind === 'recovery' &&
      event.repetition === crash.repetition &&
      `client ${(event.detail as unknown as RecoveryDetail).client}` === crash.detail['target'];
    const found = events.find(isItsOwn);
    if (found === undefined || found.tMs === null) return [];
    const { fenceMs, totalMs, entries, steps } = found.detail as unknown as RecoveryDetail;
    const { occurrence } = crash.detail['point'] as { occurrence: number };
    const lastWordsMs = (crash.detail['lastWordsMs'] as number | undefined) ?? 0;
    const detectMs = Math.max(0, found.tMs - crash.tMs - lastWordsMs);
    const repetition = crash.repetition ?? 0;
    return [{ repetition, history: occurrence, detectMs, fenceMs, steps, totalMs, entries }];
  });
}

/** The median of something over recoveries; NaN without any. */
export const medianOf = (deaths: readonly RecoveredDeath[], of: (death: RecoveredDeath) => number): number =>
  deaths.length === 0 ? Number.NaN : median(deaths.map(of));
