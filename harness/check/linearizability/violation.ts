/**
 * Finds the shortest beginning of a key's history that has no linearization. The search itself looks ahead
 * (it drops values that no one will read, and gives up on values that someone still must), so the response at
 * which it fails says little; the shortest failing beginning is found by halving.
 */
import { KeyOperations } from './key-operations.js';
import { LINEARIZABLE, OUT_OF_BUDGET, Search } from './search.js';

/** Why a key's history is not linearizable; rows are rows of the history. */
export interface Violation {
  key: number;
  /** Value id before the history, or `NO_VALUE`. */
  initial: number;
  clockBoundNs: number;
  /**
   * The operation that cannot be placed, a row or `FINAL_READ`: with its response the history cannot be
   * explained.
   */
  unplaced: number;
  /**
   * Operations of the key that had responded before it; together they are still linearizable. Fewer where the
   * budget ended.
   */
  prefixCount: number;
  /** One linearization of that prefix, in order; it may include operations that had not responded. */
  linearization: number[];
  /** Operations that were open when the unplaced one responded and that this linearization leaves out. */
  stillOpen: number[];
}

/** Locates the violation in operations that were found to have no linearization. */
export function locateViolation(
  operations: KeyOperations,
  budget: { stateCountMax: number; timeMsMax: number },
): Pick<Violation, 'unplaced' | 'prefixCount' | 'linearization' | 'stillOpen'> {
  const prefix = new KeyOperations();
  const search = new Search();
  // A beginning that the budget cannot decide counts as good in the halving, but is not shown.
  let decided = 0;
  let good = 0;
  let bad = operations.responseCount;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    prefix.loadPrefix(operations, middle);
    const end = search.run(prefix, { ...budget, trace: false });
    if (end === LINEARIZABLE) decided = middle;
    if (end === LINEARIZABLE || end === OUT_OF_BUDGET) good = middle;
    else bad = middle;
  }
  prefix.loadPrefix(operations, decided);
  search.run(prefix, { ...budget, trace: true });
  const linearization = search.linearization().map((i) => prefix.row[i]);
  const placed = new Set(linearization);
  const unplaced = operations.byResponse[bad - 1];
  const stillOpen: number[] = [];
  for (let i = 0; i < operations.count; i++) {
    const isOpen = operations.invocationNs[i] <= operations.responseNs[unplaced];
    if (isOpen && i !== unplaced && !placed.has(operations.row[i])) stillOpen.push(operations.row[i]);
  }
  return { unplaced: operations.row[unplaced], prefixCount: decided, linearization, stillOpen };
}
