/**
 * Linearizability by definition, for tests: tries every order of all operations, of all keys together, that
 * respects real time. It shares no idea with the search, and is meant for some seven operations.
 */
import type { CheckOptions } from './check.js';
import { type History, NO_VALUE, Operation, Outcome } from './history.js';

/** Whether any order of the history's operations explains it; exponential in their number. */
export function bruteForce(history: History, options: CheckOptions = {}): boolean {
  const bound = options.clockBoundNs ?? 0;
  const state = new Map(options.initial ?? []);
  const used: boolean[] = new Array(history.count).fill(false);
  const mayNotHappen = (i: number): boolean =>
    history.outcome[i] === Outcome.PENDING || history.outcome[i] === Outcome.UNAVAILABLE;
  const didNothing = (i: number): boolean =>
    history.outcome[i] === Outcome.NO_MEMORY || history.outcome[i] === Outcome.INDEX_FULL;
  for (let i = 0; i < history.count; i++) used[i] = didNothing(i);

  const isNext = (i: number): boolean => {
    for (let j = 0; j < history.count; j++) {
      if (used[j] || mayNotHappen(j)) continue;
      if (history.responseNs[j] + bound < history.invocationNs[i] - bound) return false;
    }
    return true;
  };
  const isDone = (): boolean => {
    for (let i = 0; i < history.count; i++) if (!used[i] && !mayNotHappen(i)) return false;
    for (const [key, value] of options.final ?? []) if ((state.get(key) ?? NO_VALUE) !== value) return false;
    return true;
  };
  const extend = (): boolean => {
    if (isDone()) return true;
    for (let i = 0; i < history.count; i++) {
      if (used[i] || !isNext(i)) continue;
      const before = state.get(history.key[i]) ?? NO_VALUE;
      const after = step(history, i, before);
      if (after === undefined) continue;
      used[i] = true;
      state.set(history.key[i], after);
      const found = extend();
      used[i] = false;
      state.set(history.key[i], before);
      if (found) return true;
    }
    return false;
  };
  return extend();
}

/** The state after operation `i` on a key in state `before`; undefined when it cannot happen there. */
function step(history: History, i: number, before: number): number | undefined {
  const exists = before !== NO_VALUE;
  const written = history.valueWritten[i];
  const outcome = history.outcome[i];
  if (outcome === Outcome.NOT_FOUND) return exists ? undefined : before;
  if (outcome === Outcome.EXISTS) return exists ? before : undefined;
  const isCertain = outcome === Outcome.OK;
  switch (history.operation[i]) {
    case Operation.SEARCH:
      return !isCertain || (exists && before === history.valueRead[i]) ? before : undefined;
    case Operation.INSERT:
      return exists ? undefined : written;
    case Operation.UPDATE:
      return exists ? written : undefined;
    case Operation.DELETE:
      return exists ? NO_VALUE : undefined;
    default:
      return written;
  }
}
