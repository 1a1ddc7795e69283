/**
 * The embedded store: a file in the control folder of this host, for masters of one machine. It survives the
 * master's process, not the machine; nor does the pool.
 *
 * Rules of this file:
 * - A term is a file, `POOL.master-TERM`, and leads whoever has made the highest one. It is made by a link,
 *   which fails when it is there, and only when the process of the one before is gone. So nobody is ever
 *   deposed who lives: a term that is held stays so.
 * - Its contents are replaced by renaming: nobody sees half a state.
 * - Lower terms are removed by the one that made a higher one. Who made a term below one that is there has
 *   come too late, and begins again.
 */
import { linkSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { controlPath } from '../control/channel.js';
import { findProcess, type ProcessId, thisProcess } from '../fabric/shm-process.js';
import { UsageError } from '../verbs/index.js';
import { inHands, type MasterState, parseState } from './state.js';
import type { Candidate, Store, Term } from './store.js';

/** From one look at the leading process to the next. */
const LOOK_MS = 10;

const EMPTY: Omit<MasterState, 'leader'> = {
  pool: [],
  record: { view: { number: 1, dead: [] }, members: [] },
  processes: [],
  decided: [],
  news: { isWhole: false },
};

/** The store of a pool's masters on this host; its folder is there. */
export class FileStore implements Store {
  readonly name = 'embedded';
  readonly #pool: string;
  readonly #waits: boolean;

  /** @param options.waits stand by while another master leads. @default false: that is refused */
  constructor(pool: string, options: { waits?: boolean } = {}) {
    this.#pool = pool;
    this.#waits = options.waits ?? false;
  }

  /** As {@link Store.lead}. */
  async lead({ signal, onStandby }: Candidate): Promise<Term> {
    let isWaiting = false;
    for (;;) {
      signal?.throwIfAborted();
      const latest = readLatest(this.#pool);
      const { leader } = latest.state ?? {};
      if (leader !== undefined && isAlive(leader)) {
        if (!this.#waits) {
          throw new UsageError(
            `pool '${this.#pool}' has a master already (process ${leader.pid}); end that one first, ` +
              'or let this one wait for its end with --standby',
          );
        }
        if (!isWaiting) onStandby?.();
        isWaiting = true;
        await pause(LOOK_MS);
        continue;
      }
      const path = termPath(this.#pool, latest.term + 1);
      const left = latest.state?.pool.length === 0 ? undefined : latest.state;
      // It may die before it has fenced the one before, whose verbs may be under way over a network.
      if (!create(path, { ...inHands(left ?? EMPTY), leader: thisProcess() })) continue;
      if (readTerms(this.#pool).at(-1) !== latest.term + 1) {
        remove(path);
        continue;
      }
      for (const term of readTerms(this.#pool)) if (term <= latest.term) remove(termPath(this.#pool, term));
      return new FileTerm(latest.term + 1, { path, left });
    }
  }
}

class FileTerm implements Term {
  readonly number: number;
  readonly left: MasterState | undefined;
  readonly isHeld = true;
  readonly lost = new Promise<string>(() => {});
  readonly #path: string;

  constructor(number: number, { path, left }: { path: string; left: MasterState | undefined }) {
    this.number = number;
    this.left = left;
    this.#path = path;
  }

  save(state: MasterState): undefined {
    replace(this.#path, state);
  }

  async resign(state: MasterState | null): Promise<void> {
    if (state === null) remove(this.#path);
    else replace(this.#path, { ...state, leader: undefined });
  }

  abandon(): void {}
}

/**
 * Removes what masters have left of a pool that is no more: files of terms whose master has ended. Nothing
 * happens when one lives.
 */
export function forgetMasters(pool: string): void {
  const { state } = readLatest(pool);
  if (state?.leader !== undefined && isAlive(state.leader)) return;
  for (const name of namesOf(pool)) remove(controlPath(name));
}

const termPath = (pool: string, term: number): string => controlPath(`${pool}.master-${term}`);

/** Files of a pool's terms, and what was being written when a master died. */
function namesOf(pool: string): string[] {
  const prefix = `${pool}.master-`;
  try {
    return readdirSync(dirname(termPath(pool, 0))).filter(
      (name) => name.startsWith(prefix) && /^\d+(\.\d+)?$/.test(name.slice(prefix.length)),
    );
  } catch (error) {
    // No folder: this user has never had a master.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The terms that there are, ascending. */
const readTerms = (pool: string): number[] =>
  namesOf(pool)
    .map((name) => Number(name.slice(`${pool}.master-`.length)))
    .filter((term) => Number.isInteger(term))
    .sort((a, b) => a - b);

/** The highest term and what it says; 0 and undefined when there is none. */
function readLatest(pool: string): { term: number; state: MasterState | undefined } {
  for (;;) {
    const term = readTerms(pool).at(-1);
    if (term === undefined) return { term: 0, state: undefined };
    const path = termPath(pool, term);
    try {
      const text = readFileSync(path, 'utf8');
      return { term, state: parseState(text, `${path}, which may be removed when no master runs`) };
    } catch (error) {
      // Its master has ended, or has been followed by another, in this moment.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

const isAlive = ({ pid, startTime }: ProcessId): boolean => findProcess(pid)?.startTime === startTime;

/** False: there is such a file. */
function create(path: string, state: MasterState): boolean {
  const fresh = write(path, state);
  try {
    linkSync(fresh, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(fresh);
  }
}

const replace = (path: string, state: MasterState): void => renameSync(write(path, state), path);

/** Writes a state beside its place. */
function write(path: string, state: MasterState): string {
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, JSON.stringify(state), { mode: 0o600 });
  return fresh;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
