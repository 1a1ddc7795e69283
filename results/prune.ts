/**
 * Removes runs. What is to go is chosen first, and shown; a run goes in one step, by a rename that takes it
 * out of everybody's sight, and only then are its files removed: whatever interrupts that, no half of a run
 * is left where runs are looked for.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ResultError } from './error.js';
import { isAlive } from './owner.js';
import { RunFile, type RunState } from './store.js';
import { listRuns, type RunPlace, readStatus } from './stored-run.js';

/** Which runs are to go. */
export interface PruneChoice {
  readonly experiment?: string;
  readonly states: readonly RunState[];
  /** Only runs that began before this. */
  readonly before?: Date;
  /** Of each experiment, so many of the newest chosen ones stay. @default 0 */
  readonly keep?: number;
}

/** Runs that go, and runs that were chosen and stay, with the reason. */
export interface PrunePlan {
  readonly goes: readonly RunPlace[];
  readonly stays: readonly { readonly place: RunPlace; readonly reason: string }[];
}

/** A run that may still be written by another host is left alone for so long. */
const QUIET_MS = 24 * 3600e3;
const TRASH = '.removed-';

/** Chooses; removes nothing. */
export const planPrune = (root: string, choice: PruneChoice, now = new Date()): PrunePlan => {
  const { experiment, states, before, keep = 0 } = choice;
  const found = listRuns(root, { states, ...(experiment === undefined ? {} : { experiment }) });
  const chosen = found.filter(({ id }) => before === undefined || startOf(id) < before.getTime());
  const isKept = (place: RunPlace): boolean => {
    const newer = chosen.slice(chosen.indexOf(place) + 1);
    return newer.filter((one) => one.experiment === place.experiment).length < keep;
  };
  const goes: RunPlace[] = [];
  const stays: { place: RunPlace; reason: string }[] = [];
  for (const place of chosen) {
    if (isKept(place)) continue;
    const reason = place.state === 'running' ? reasonToStay(place.folder, now) : null;
    if (reason === null) goes.push(place);
    else stays.push({ place, reason });
  }
  return { goes, stays };
};

/** Removes what a plan says, and what an interrupted prune has left. A run that has moved on since stays. */
export const prune = (root: string, plan: PrunePlan): number => {
  sweepTrash(root);
  let removed = 0;
  for (const { folder, id } of plan.goes) {
    const trash = join(dirname(folder), `${TRASH}${id}`);
    try {
      renameSync(folder, trash);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new ResultError(`run ${id} cannot be removed (${(error as Error).message}); it is as it was`);
    }
    rmSync(trash, { recursive: true, force: true });
    removed++;
  }
  return removed;
};

const sweepTrash = (root: string): void => {
  if (!existsSync(root)) return;
  for (const experiment of readdirSync(root, { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  )) {
    const folder = join(root, experiment.name);
    for (const name of readdirSync(folder).filter((one) => one.startsWith(TRASH))) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
};

/** Ids begin with the time of the start, as 20260102T030405Z. */
const startOf = (id: string): number =>
  Date.parse(id.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6Z'));

/** Why a run that has not ended may not go; null when whoever wrote it is gone. */
const reasonToStay = (folder: string, now: Date): string | null => {
  const owner = ownerOf(folder);
  const alive = owner === null ? null : isAlive(owner);
  if (alive === false) return null;
  if (alive === true) return `process ${owner?.pid} is writing it`;
  const files = readdirSync(folder).map((name) => statSync(join(folder, name)).mtimeMs);
  const quietMs = now.getTime() - Math.max(0, ...files);
  return quietMs > QUIET_MS ? null : 'it was written to in the last day, maybe by another host';
};

const ownerOf = (folder: string) => {
  try {
    return existsSync(join(folder, RunFile.STATUS)) ? readStatus(folder).owner : null;
  } catch (error) {
    if (error instanceof ResultError) return null;
    throw error;
  }
};
