/** Limits of keys and values, checked before anything is sent. */
import { CLASS_LINES, type Geometry, HEADER_BYTES, LINE_BYTES, LOG_ENTRY_BYTES } from '../layout/index.js';
import { UsageError } from '../verbs/index.js';

/** Largest key + value that this pool's blocks can hold. */
export const payloadLimit = (geometry: Geometry): number =>
  CLASS_LINES[geometry.largestClass()] * LINE_BYTES - HEADER_BYTES - LOG_ENTRY_BYTES;

/** Requests of one client that may wait for a coroutine, unless it says otherwise. */
export const QUEUE_LIMIT_DEFAULT = 65_536;
/** Far more than anybody should let wait, and still no trouble for an array. */
const QUEUE_LIMIT_MAX = 2 ** 24;

/** @throws UsageError when a client's queue cannot have this limit. */
export function checkQueueLimit(queueLimit: number): void {
  if (Number.isInteger(queueLimit) && queueLimit >= 1 && queueLimit <= QUEUE_LIMIT_MAX) return;
  throw new UsageError(`queueLimit is ${queueLimit}; choose a whole number from 1 to ${QUEUE_LIMIT_MAX}`);
}

/** Longest name of a pool: with prefix and node number it still names a file. */
const POOL_NAME_MAX = 150;

/** @throws UsageError when this cannot name a pool. */
export function checkPoolName(name: string): void {
  if (typeof name !== 'string') throw new UsageError(`the pool's name is ${name}; give a string`);
  if (/^[A-Za-z0-9._-]+$/.test(name) && name.length <= POOL_NAME_MAX) return;
  const shown = name.length <= 40 ? `'${name}'` : `'${name.slice(0, 40)}...' (${name.length} characters)`;
  throw new UsageError(
    `the pool's name is ${shown}; use 1 to ${POOL_NAME_MAX} of the characters A-Z a-z 0-9 . _ -`,
  );
}

/** @throws UsageError naming the length and the limit. */
export function checkLengths(geometry: Geometry, keyBytes: number, valueBytes: number): void {
  const limit = payloadLimit(geometry);
  if (keyBytes < 1) throw new UsageError('the key has 0 bytes; a key needs at least 1');
  if (keyBytes + valueBytes > limit) {
    throw new UsageError(
      `key (${keyBytes} bytes) and value (${valueBytes} bytes) make ${keyBytes + valueBytes} bytes, ` +
        `the largest object of this pool holds ${limit}; split the value`,
    );
  }
}
