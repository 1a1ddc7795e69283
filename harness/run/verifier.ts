/**
 * `fusee bench --verify`: the histories of all clients of a cell, merged and held to be linearizable, and the
 * pool's memory accounted for.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkHistory,
  explain,
  type History,
  mergeHistories,
  readHistory,
  readJournal,
} from '../check/linearizability/index.js';
import { type CellOutcome, type CellPlan, type CellProgress, runCell } from './cell.js';
import type { ClientPlan } from './messages.js';

/** What the check of a cell came to. */
export interface Verification {
  /** null when the check ran out of its budget, or the cell was interrupted. */
  readonly isLinearizable: boolean | null;
  readonly operations: number;
  readonly keys: number;
  readonly seconds: number;
  /** The violation, for a person; or why there is no verdict. */
  readonly explanation: string | null;
}

/**
 * Runs a cell, with histories and a walk over its memory when `verify` asks for them. Temporary files are
 * gone afterwards.
 */
export async function runVerified(
  plan: CellPlan,
  verify: boolean,
  { progress, abort }: { progress: CellProgress; abort: AbortSignal },
): Promise<{ outcome: CellOutcome; verification: Verification | null }> {
  if (!verify) return { outcome: await runCell(plan, progress, abort), verification: null };
  const folder = mkdtempSync(join(tmpdir(), 'fusee-history-'));
  try {
    const recorded = (client: ClientPlan): ClientPlan => ({
      ...client,
      historyPath: join(folder, `client-${client.clientIndex}.history`),
    });
    const clients = plan.clients.map(recorded);
    const joiners = (plan.joiners ?? []).map(recorded);
    // What faults leave half done waits for a recoverer: without one a walk would find it.
    const inspects = plan.faults === undefined || (plan.masters ?? 0) > 0;
    const outcome = await runCell({ ...plan, clients, joiners, inspects }, progress, abort);
    const read = plan.faults === undefined ? readHistory : readJournal;
    // Who never joined has no history.
    const paths = [...clients, ...joiners].map(({ historyPath = '' }) => historyPath).filter(existsSync);
    const verification = outcome.interrupted ? UNCHECKED : verifyHistories(paths, read);
    return { outcome, verification };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const UNCHECKED: Verification = {
  isLinearizable: null,
  operations: 0,
  keys: 0,
  seconds: 0,
  explanation: 'interrupted before the check',
};

/** Merges histories of one host and checks them: one monotonic clock, so no bound widens the intervals. */
export function verifyHistories(
  paths: readonly string[],
  read: (path: string) => History = readHistory,
): Verification {
  const startMs = performance.now();
  const history = mergeHistories(paths.map((path) => read(path)));
  const result = checkHistory(history);
  return {
    isLinearizable: result.verdict === 'unknown' ? null : result.verdict === 'ok',
    operations: result.operationCount,
    keys: result.keyCount,
    seconds: (performance.now() - startMs) / 1000,
    explanation: result.verdict === 'ok' ? null : explain(history, result),
  };
}

/** The verdict in a few words. */
export function describeVerification(v: Verification): string {
  if (v.isLinearizable === null) return 'linearizability undecided';
  if (!v.isLinearizable) return 'NOT LINEARIZABLE';
  return `linearizable (${v.operations} operations on ${v.keys} keys, checked in ${v.seconds.toFixed(1)} s)`;
}
