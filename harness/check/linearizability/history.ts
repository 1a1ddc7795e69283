/**
 * A recorded history of requests, one row per operation in struct-of-arrays form. Recording allocates nothing
 * while the capacity lasts: a row is opened before the request is sent and closed when its result is known,
 * so a client that dies leaves its last row PENDING without any further step.
 */
import { UsageError } from '../../../fusee/verbs/errors.js';

/** The requests a history may hold; `PUT` inserts or updates. */
export const Operation = { SEARCH: 0, INSERT: 1, UPDATE: 2, DELETE: 3, PUT: 4 } as const;
/** One of the requests. */
export type Operation = (typeof Operation)[keyof typeof Operation];

/**
 * How a request ended. UNAVAILABLE and PENDING may have taken effect or may yet do so; NO_MEMORY and
 * INDEX_FULL have had no effect.
 */
export const Outcome = {
  OK: 0,
  NOT_FOUND: 1,
  EXISTS: 2,
  UNAVAILABLE: 3,
  NO_MEMORY: 4,
  INDEX_FULL: 5,
  PENDING: 6,
} as const;
/** One of the outcomes. */
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Stands where an operation writes or reads no value, and for an absent key in contents. */
export const NO_VALUE = -1;

/** The names of the operations, by number. */
export const OPERATION_NAMES: readonly string[] = Object.keys(Operation);
/** The names of the outcomes, by number. */
export const OUTCOME_NAMES: readonly string[] = Object.keys(Outcome);

const UINT32_MAX = 0xffff_ffff;
const CAPACITY_DEFAULT = 1024;
const CAPACITY_MAX = 2 ** 27;
const ANY_TIME =
  (1 << Outcome.UNAVAILABLE) | (1 << Outcome.NO_MEMORY) | (1 << Outcome.INDEX_FULL) | (1 << Outcome.PENDING);
const LEGAL = Uint8Array.of(
  ANY_TIME | (1 << Outcome.OK) | (1 << Outcome.NOT_FOUND),
  ANY_TIME | (1 << Outcome.OK) | (1 << Outcome.EXISTS),
  ANY_TIME | (1 << Outcome.OK) | (1 << Outcome.NOT_FOUND),
  ANY_TIME | (1 << Outcome.OK) | (1 << Outcome.NOT_FOUND),
  ANY_TIME | (1 << Outcome.OK),
);

/** Whether the operation writes a value: INSERT, UPDATE and PUT do. */
export function writesValue(operation: number): boolean {
  return operation === Operation.INSERT || operation === Operation.UPDATE || operation === Operation.PUT;
}

/** Whether the operation may end so: SEARCH never EXISTS, PUT never NOT_FOUND, and so on. */
export function isLegal(operation: number, outcome: number): boolean {
  return (
    operation < LEGAL.length && outcome < OUTCOME_NAMES.length && (LEGAL[operation] & (1 << outcome)) !== 0
  );
}

/** One operation as an object, for tests and tools; recorders use `begin` and `complete`. */
export interface OperationRecord {
  client: number;
  key: number;
  operation: Operation;
  outcome: Outcome;
  /** Required for INSERT, UPDATE and PUT. */
  valueWritten?: number;
  /** Required for SEARCH that is OK. */
  valueRead?: number;
  invocationNs: number;
  /** Left out or Infinity when PENDING. */
  responseNs?: number;
}

/** Operations of many clients on many keys. Columns hold `count` rows; what lies behind them is undefined. */
export class History {
  count = 0;
  /** The client of each row. */
  client: Uint32Array;
  /** The key id of each row. */
  key: Uint32Array;
  /** `Operation` of each row. */
  operation: Uint8Array;
  /** `Outcome` of each row. */
  outcome: Uint8Array;
  /** Id of the value written (an integer from 0), or `NO_VALUE`. */
  valueWritten: Float64Array;
  /** Id of the value a SEARCH returned (an integer from 0), or `NO_VALUE`. */
  valueRead: Float64Array;
  /** Time before the request was sent, nanoseconds. */
  invocationNs: Float64Array;
  /** Time after the result was known, nanoseconds; Infinity while PENDING. */
  responseNs: Float64Array;

  /** `capacity` rows are held without allocating; beyond, the columns double, up to 2^27 rows. */
  constructor(options: { capacity?: number } = {}) {
    const capacity = options.capacity ?? CAPACITY_DEFAULT;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > CAPACITY_MAX) {
      throw new UsageError(`history capacity ${capacity}: give an integer from 1 to ${CAPACITY_MAX}`);
    }
    this.client = new Uint32Array(capacity);
    this.key = new Uint32Array(capacity);
    this.operation = new Uint8Array(capacity);
    this.outcome = new Uint8Array(capacity);
    this.valueWritten = new Float64Array(capacity);
    this.valueRead = new Float64Array(capacity);
    this.invocationNs = new Float64Array(capacity);
    this.responseNs = new Float64Array(capacity);
  }

  /** Rows that fit before the columns grow. */
  get capacity(): number {
    return this.client.length;
  }

  /** Forgets every row and keeps the memory. */
  clear(): void {
    this.count = 0;
  }

  /**
   * Opens a row, PENDING until `complete`, and returns its index. Arguments are positional because a recorder
   * calls it for every request and must not allocate. `valueWritten` is `NO_VALUE` for SEARCH and DELETE.
   * UsageError when an argument is out of range or the history is full.
   */
  begin(
    client: number,
    key: number,
    operation: Operation,
    valueWritten: number,
    invocationNs: number,
  ): number {
    if (!(client >= 0 && client <= UINT32_MAX && key >= 0 && key <= UINT32_MAX)) {
      throw new UsageError(`client ${client}, key ${key}: both must be from 0 to ${UINT32_MAX}`);
    }
    if (!(operation < LEGAL.length)) throw new UsageError(`operation ${operation}: give one of Operation`);
    const valueIsRight = writesValue(operation)
      ? Number.isSafeInteger(valueWritten) && valueWritten >= 0
      : valueWritten === NO_VALUE;
    if (!valueIsRight) {
      throw new UsageError(
        `${OPERATION_NAMES[operation]} writes ${valueWritten}: give an integer from 0, or NO_VALUE`,
      );
    }
    if (!Number.isFinite(invocationNs))
      throw new UsageError(`invocation ${invocationNs} ns: give a finite time`);
    if (this.count === this.client.length) this.reserve(this.count + 1);
    const index = this.count++;
    this.client[index] = client;
    this.key[index] = key;
    this.operation[index] = operation;
    this.outcome[index] = Outcome.PENDING;
    this.valueWritten[index] = valueWritten;
    this.valueRead[index] = NO_VALUE;
    this.invocationNs[index] = invocationNs;
    this.responseNs[index] = Number.POSITIVE_INFINITY;
    return index;
  }

  /**
   * Closes row `index` with a result. `valueRead` is `NO_VALUE` except for SEARCH that is OK. UsageError when
   * the row is not open, or the result cannot be one of its operation.
   */
  complete(index: number, outcome: Outcome, valueRead: number, responseNs: number): void {
    if (!(index >= 0 && index < this.count) || this.outcome[index] !== Outcome.PENDING) {
      throw new UsageError(`operation ${index} of ${this.count} is not open: complete each once`);
    }
    const operation = this.operation[index];
    if (!isLegal(operation, outcome)) {
      throw new UsageError(`${OPERATION_NAMES[operation]} cannot end ${OUTCOME_NAMES[outcome] ?? outcome}`);
    }
    if (outcome === Outcome.PENDING) return;
    const reads = operation === Operation.SEARCH && outcome === Outcome.OK;
    if (reads ? !(Number.isSafeInteger(valueRead) && valueRead >= 0) : valueRead !== NO_VALUE) {
      throw new UsageError(`value read ${valueRead}: SEARCH OK reads an integer from 0, all else NO_VALUE`);
    }
    if (!(responseNs >= this.invocationNs[index] && Number.isFinite(responseNs))) {
      throw new UsageError(`response ${responseNs} ns before invocation ${this.invocationNs[index]} ns`);
    }
    this.outcome[index] = outcome;
    this.valueRead[index] = valueRead;
    this.responseNs[index] = responseNs;
  }

  /** Adds a finished or pending operation and returns its index; errors as `begin` and `complete`. */
  append(record: OperationRecord): number {
    const { client, key, operation, outcome, invocationNs } = record;
    const index = this.begin(client, key, operation, record.valueWritten ?? NO_VALUE, invocationNs);
    try {
      this.complete(index, outcome, record.valueRead ?? NO_VALUE, record.responseNs ?? Number.NaN);
    } catch (error) {
      this.count = index;
      throw error;
    }
    return index;
  }

  /** Makes room for `rows` rows. UsageError beyond 2^27. */
  reserve(rows: number): void {
    if (rows > CAPACITY_MAX)
      throw new UsageError(`${rows} operations: a history holds ${CAPACITY_MAX}; record less`);
    if (rows <= this.capacity) return;
    const capacity = Math.min(Math.max(rows, this.capacity * 2), CAPACITY_MAX);
    this.client = grown(this.client, new Uint32Array(capacity));
    this.key = grown(this.key, new Uint32Array(capacity));
    this.operation = grown(this.operation, new Uint8Array(capacity));
    this.outcome = grown(this.outcome, new Uint8Array(capacity));
    this.valueWritten = grown(this.valueWritten, new Float64Array(capacity));
    this.valueRead = grown(this.valueRead, new Float64Array(capacity));
    this.invocationNs = grown(this.invocationNs, new Float64Array(capacity));
    this.responseNs = grown(this.responseNs, new Float64Array(capacity));
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
