/**
 * The operations of one key in the form the search wants: invocation order, values numbered densely, and each
 * operation reduced to what it does to the key. Operations that cannot matter are left out: NO_MEMORY and
 * INDEX_FULL had no effect, and a SEARCH without a result tells nothing.
 */
import { type History, NO_VALUE, Operation, Outcome } from './history.js';

/** What an operation is to its key: the first three only look, the others change it. */
export const Kind = {
  READ: 0,
  SEE_ABSENT: 1,
  SEE_PRESENT: 2,
  INSERT: 3,
  UPDATE: 4,
  DELETE: 5,
  PUT: 6,
} as const;

/** The state of a key that does not exist. */
export const ABSENT = -1;

/** Row number that stands for the read-back of the final contents, which no row of the history holds. */
export const FINAL_READ = -1;

/** What is known of a key besides its operations. */
export interface KeyBounds {
  /** Widening of every interval on both sides, nanoseconds. */
  clockBoundNs: number;
  /** Value id before the history, or `NO_VALUE` when absent. */
  initial: number;
  /** Value id read back after it, `NO_VALUE` when seen absent, undefined when not read back. */
  final: number | undefined;
}

/** The reduced operations of one key; columns have `count` entries, in invocation order. */
export class KeyOperations {
  count = 0;
  /** Entries of `byResponse`: the operations that did respond. */
  responseCount = 0;
  valueCount = 0;
  /** Dense id of the initial value, or `ABSENT`. */
  initial: number = ABSENT;
  kind = new Uint8Array(64);
  /** 1 when the effect is not certain and may come at any time after the invocation. */
  isMaybe = new Uint8Array(64);
  /** Dense id of the value read or written. */
  value = new Int32Array(64);
  /** Row of the history, or `FINAL_READ`. */
  row = new Int32Array(64);
  invocationNs = new Float64Array(64);
  /** Infinity for those that may be. */
  responseNs = new Float64Array(64);
  /** Indexes of those that responded, in response order. */
  byResponse = new Int32Array(64);
  #scratch = new Int32Array(64);
  readonly #dense = new Map<number, number>();

  /** Loads the rows `order[start..end)` of one key; sorts that stretch of `order` by invocation. */
  load(history: History, rows: { order: Int32Array; start: number; end: number }, bounds: KeyBounds): void {
    const { order, start, end } = rows;
    this.reset(end - start + 1);
    this.#dense.clear();
    this.initial = bounds.initial === NO_VALUE ? ABSENT : this.#denseOf(bounds.initial);
    sortByTime(order.subarray(start, end), history.invocationNs, this.#scratch);
    for (let at = start; at < end; at++) this.#loadRow(history, order[at], bounds.clockBoundNs);
    if (bounds.final !== undefined) {
      const seesAbsent = bounds.final === NO_VALUE;
      const at = this.#push(seesAbsent ? Kind.SEE_ABSENT : Kind.READ, FINAL_READ);
      this.value[at] = seesAbsent ? ABSENT : this.#denseOf(bounds.final);
      this.invocationNs[at] = Number.POSITIVE_INFINITY;
      this.responseNs[at] = Number.POSITIVE_INFINITY;
    }
    this.valueCount = this.#dense.size;
    this.orderResponses();
  }

  /**
   * Loads what was known of `whole` when its first `responseCount` responses were in: later operations are
   * left out, and those still open may or may not have happened.
   */
  loadPrefix(whole: KeyOperations, responseCount: number): void {
    this.reset(whole.count);
    this.initial = whole.initial;
    this.valueCount = whole.valueCount;
    if (responseCount === 0) return;
    const last = whole.byResponse[responseCount - 1];
    const responded = new Uint8Array(whole.count);
    for (let r = 0; r < responseCount; r++) responded[whole.byResponse[r]] = 1;
    for (let i = 0; i < whole.count && whole.invocationNs[i] <= whole.responseNs[last]; i++) {
      if (!responded[i] && whole.kind[i] < Kind.INSERT) continue;
      const at = this.#push(whole.kind[i], whole.row[i]);
      this.isMaybe[at] = responded[i] ? 0 : 1;
      this.value[at] = whole.value[i];
      this.invocationNs[at] = whole.invocationNs[i];
      this.responseNs[at] = responded[i] ? whole.responseNs[i] : Number.POSITIVE_INFINITY;
    }
    this.orderResponses();
  }

  private reset(capacity: number): void {
    this.count = 0;
    this.responseCount = 0;
    if (capacity <= this.kind.length) return;
    const length = Math.max(capacity, this.kind.length * 2);
    this.kind = new Uint8Array(length);
    this.isMaybe = new Uint8Array(length);
    this.value = new Int32Array(length);
    this.row = new Int32Array(length);
    this.invocationNs = new Float64Array(length);
    this.responseNs = new Float64Array(length);
    this.byResponse = new Int32Array(length);
    this.#scratch = new Int32Array(length);
  }

  private orderResponses(): void {
    for (let i = 0; i < this.count; i++) if (!this.isMaybe[i]) this.byResponse[this.responseCount++] = i;
    sortByTime(this.byResponse.subarray(0, this.responseCount), this.responseNs, this.#scratch);
  }

  #push(kind: number, row: number): number {
    const at = this.count++;
    this.kind[at] = kind;
    this.isMaybe[at] = 0;
    this.row[at] = row;
    return at;
  }

  #loadRow(history: History, row: number, clockBoundNs: number): void {
    const operation = history.operation[row];
    const outcome = history.outcome[row];
    if (outcome === Outcome.NO_MEMORY || outcome === Outcome.INDEX_FULL) return;
    const isMaybe = outcome === Outcome.PENDING || outcome === Outcome.UNAVAILABLE;
    if (isMaybe && operation === Operation.SEARCH) return;
    const kind = kindOf(operation, outcome);
    const at = this.#push(kind, row);
    if (kind === Kind.READ) this.value[at] = this.#denseOf(history.valueRead[row]);
    else if (kind < Kind.INSERT || kind === Kind.DELETE) this.value[at] = ABSENT;
    else this.value[at] = this.#denseOf(history.valueWritten[row]);
    this.isMaybe[at] = isMaybe ? 1 : 0;
    this.invocationNs[at] = history.invocationNs[row] - clockBoundNs;
    this.responseNs[at] = isMaybe ? Number.POSITIVE_INFINITY : history.responseNs[row] + clockBoundNs;
  }

  #denseOf(value: number): number {
    let dense = this.#dense.get(value);
    if (dense === undefined) {
      dense = this.#dense.size;
      this.#dense.set(value, dense);
    }
    return dense;
  }
}

function kindOf(operation: number, outcome: number): number {
  if (outcome === Outcome.NOT_FOUND) return Kind.SEE_ABSENT;
  if (outcome === Outcome.EXISTS) return Kind.SEE_PRESENT;
  if (operation === Operation.SEARCH) return Kind.READ;
  if (operation === Operation.INSERT) return Kind.INSERT;
  if (operation === Operation.UPDATE) return Kind.UPDATE;
  return operation === Operation.DELETE ? Kind.DELETE : Kind.PUT;
}

/**
 * Sorts indexes in place by their time, keeping the order of equals. Runs already in order are not merged,
 * which makes it linear for the nearly sorted lists that recorders produce. `scratch` is as long as
 * `indexes`.
 */
export function sortByTime(indexes: Int32Array, times: Float64Array, scratch: Int32Array): void {
  const count = indexes.length;
  const run = 16;
  for (let start = 0; start < count; start += run) {
    const end = Math.min(start + run, count);
    for (let i = start + 1; i < end; i++) {
      const moved = indexes[i];
      const time = times[moved];
      let j = i - 1;
      for (; j >= start && times[indexes[j]] > time; j--) indexes[j + 1] = indexes[j];
      indexes[j + 1] = moved;
    }
  }
  for (let width = run; width < count; width *= 2) {
    for (let start = 0; start + width < count; start += width * 2) {
      mergeRuns(indexes, times, scratch, {
        start,
        middle: start + width,
        end: Math.min(start + 2 * width, count),
      });
    }
  }
}

function mergeRuns(
  indexes: Int32Array,
  times: Float64Array,
  scratch: Int32Array,
  bounds: { start: number; middle: number; end: number },
): void {
  const { start, middle, end } = bounds;
  if (times[indexes[middle - 1]] <= times[indexes[middle]]) return;
  for (let i = start; i < middle; i++) scratch[i] = indexes[i];
  let left = start;
  let right = middle;
  let out = start;
  while (left < middle && right < end) {
    const takeRight = times[indexes[right]] < times[scratch[left]];
    indexes[out++] = takeRight ? indexes[right++] : scratch[left++];
  }
  while (left < middle) indexes[out++] = scratch[left++];
}
