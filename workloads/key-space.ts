/**
 * The space of key numbers. 0 to `recordCount - 1` are loaded before a run. Above them every pair of client
 * and coroutine owns a stride that nobody else inserts into:
 *
 *     recordCount + (clientIndex * coroutineCountMax + coroutine) * strideKeyCount
 *
 * The strides do not depend on how many clients or coroutines a run has, so a key number means the same in
 * all phases of a run. Key numbers are only hashed into key names, so the gaps cost no memory. Numbers from
 * 2^31 on, which the inserts of client 2 and later have, are not small integers to V8: a call that is not
 * inlined may box one in 16 bytes of young heap. A driver that minds looks rows up in `KeyTable` before the
 * timed part.
 */
import { recordCountMax } from './distributions.js';
import { requireInteger } from './errors.js';

/** The keys one coroutine can insert. */
export const strideKeyCount = 2 ** 24;

/** The coroutines one client can have. */
export const coroutineCountMax = 64;

/** The key numbers that belong to one client: its strides, one after the other; under 2^31. */
export const clientKeyCount = strideKeyCount * coroutineCountMax;

/** The clients one run can have: all key numbers stay below 2^53. */
export const clientCountMax = 65536;

/** Consecutive key numbers: `first` to `first + count - 1`. */
export interface KeyRange {
  readonly first: number;
  readonly count: number;
}

/** Who inserts, and above which keys. */
export interface StrideOwner {
  /** The count of loaded keys; 0 when a workload needs none. */
  readonly recordCount: number;
  readonly clientIndex: number;
  readonly coroutine: number;
}

/** The key numbers that only this coroutine of this client inserts. */
export function strideOf(owner: StrideOwner): KeyRange {
  const coroutine = requireInteger('coroutine', owner.coroutine, { min: 0, max: coroutineCountMax - 1 });
  return { first: firstKeyOfClient(owner) + coroutine * strideKeyCount, count: strideKeyCount };
}

/** The first key number of a client's strides, that of its coroutine 0. */
export function firstKeyOfClient(owner: Omit<StrideOwner, 'coroutine'>): number {
  const recordCount = requireInteger('record count', owner.recordCount, { min: 0, max: recordCountMax });
  const clientIndex = requireInteger('client index', owner.clientIndex, { min: 0, max: clientCountMax - 1 });
  return recordCount + clientIndex * clientKeyCount;
}

/**
 * The part `index` of `count` nearly equal parts of the loaded keys: which keys one client, or one coroutine
 * of one client, inserts while the store is loaded.
 */
export function loadShare(recordCount: number, part: { index: number; count: number }): KeyRange {
  requireInteger('record count', recordCount, { min: 0, max: recordCountMax });
  requireInteger('count of parts', part.count, { min: 1, max: clientCountMax * coroutineCountMax });
  requireInteger('index of the part', part.index, { min: 0, max: part.count - 1 });
  const first = Math.floor((recordCount * part.index) / part.count);
  return { first, count: Math.floor((recordCount * (part.index + 1)) / part.count) - first };
}
