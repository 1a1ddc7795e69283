/**
 * Checks a history for linearizability, key by key: a history of independent keys is linearizable exactly
 * when the history of each key is (Herlihy and Wing, "Linearizability", theorem 1). A key whose search runs
 * out of budget makes the verdict `unknown`, never `ok`.
 */
import { UsageError } from '../../../fusee/verbs/errors.js';
import { type History, NO_VALUE } from './history.js';
import { KeyOperations } from './key-operations.js';
import { LINEARIZABLE, OUT_OF_BUDGET, Search } from './search.js';
import { locateViolation, type Violation } from './violation.js';

/** Value id by key; `NO_VALUE` stands for absent. */
export type Contents = ReadonlyMap<number, number>;

/** What a check knows besides the history, and what it may spend. */
export interface CheckOptions {
  /** Contents before the history; keys not in it are absent. */
  initial?: Contents;
  /** Contents read back after all responses; keys not in it were not read. */
  final?: Contents;
  /** How far any two recording clocks may differ, nanoseconds; every interval grows by it on both sides. */
  clockBoundNs?: number;
  /** Configurations one key may cost. */
  stateCountMax?: number;
  /** Milliseconds one key may cost. */
  timeMsMax?: number;
}

/** The verdict on a history, and what it took. */
export interface CheckResult {
  /** `violation` when any key fails, else `unknown` when any key ran out of budget, else `ok`. */
  verdict: 'ok' | 'violation' | 'unknown';
  keyCount: number;
  operationCount: number;
  stateCount: number;
  /** Keys not decided within the budget, ascending. */
  unknownKeys: number[];
  /** The lowest key that fails; keys above it were not looked at. */
  violation?: Violation;
}

const STATE_COUNT_MAX = 50_000_000;
const TIME_MS_MAX = 60_000;

/** Decides whether the history is linearizable. UsageError when an option is out of range. */
export function checkHistory(history: History, options: CheckOptions = {}): CheckResult {
  const { stateCountMax = STATE_COUNT_MAX, timeMsMax = TIME_MS_MAX, clockBoundNs = 0 } = options;
  if (!(clockBoundNs >= 0 && Number.isFinite(clockBoundNs) && stateCountMax > 0 && timeMsMax > 0)) {
    throw new UsageError(
      `clock bound ${clockBoundNs} ns, ${stateCountMax} states, ${timeMsMax} ms: budgets are above 0`,
    );
  }
  const budget = { stateCountMax, timeMsMax };
  const operations = new KeyOperations();
  const search = new Search();
  const partition = partitionByKey(history, options.final);
  const result: CheckResult = {
    verdict: 'ok',
    keyCount: partition.keys.length,
    operationCount: history.count,
    stateCount: 0,
    unknownKeys: [],
  };
  for (let k = 0; k < partition.keys.length; k++) {
    const key = partition.keys[k];
    const rows = { order: partition.order, start: partition.starts[k], end: partition.starts[k + 1] };
    const initial = options.initial?.get(key) ?? NO_VALUE;
    operations.load(history, rows, { clockBoundNs, initial, final: options.final?.get(key) });
    const end = search.run(operations, { ...budget, trace: false });
    result.stateCount += search.stateCount;
    if (end === LINEARIZABLE) continue;
    if (end === OUT_OF_BUDGET) {
      result.unknownKeys.push(key);
      result.verdict = 'unknown';
      continue;
    }
    result.verdict = 'violation';
    result.violation = { key, initial, clockBoundNs, ...locateViolation(operations, budget) };
    break;
  }
  return result;
}

interface Partition {
  /** Distinct keys, ascending. */
  keys: Float64Array;
  /** Rows of all keys, those of one key together and in recorded order. */
  order: Int32Array;
  /** Where each key begins in `order`, and the end. */
  starts: Int32Array;
}

function partitionByKey(history: History, final: Contents | undefined): Partition {
  const ids = new Map<number, number>();
  const idOf = new Int32Array(history.count);
  for (let row = 0; row < history.count; row++) {
    const key = history.key[row];
    let id = ids.get(key);
    if (id === undefined) {
      id = ids.size;
      ids.set(key, id);
    }
    idOf[row] = id;
  }
  for (const key of final?.keys() ?? []) if (!ids.has(key)) ids.set(key, ids.size);
  const keys = Float64Array.from(ids.keys()).sort();
  const rank = new Int32Array(ids.size);
  for (let k = 0; k < keys.length; k++) rank[ids.get(keys[k])!] = k;
  const starts = new Int32Array(ids.size + 1);
  for (let row = 0; row < history.count; row++) starts[rank[idOf[row]] + 1]++;
  for (let k = 0; k < keys.length; k++) starts[k + 1] += starts[k];
  const next = starts.slice();
  const order = new Int32Array(history.count);
  for (let row = 0; row < history.count; row++) order[next[rank[idOf[row]]]++] = row;
  return { keys, order, starts };
}
