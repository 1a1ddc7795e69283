import { createHash } from 'node:crypto';
import { WorkloadError } from './errors.js';

/** The kinds of request, as `RequestStream.kinds` holds them. */
export const RequestKind = {
  SEARCH: 0,
  INSERT: 1,
  UPDATE: 2,
  DELETE: 3,
  PUT: 4,
  READ_MODIFY_WRITE: 5,
} as const;

/** One of `RequestKind`'s numbers. */
export type RequestKind = (typeof RequestKind)[keyof typeof RequestKind];

/** The size of a value unless told: YCSB's ten fields of 100 B, written as one value. */
export const valueBytesDefault = 1000;

/** The largest value, in bytes. */
export const valueBytesMax = 2 ** 24;

/** The most requests one stream can hold: 10 bytes each, 14 with sizes of their own. */
export const requestCountMax = 2 ** 27;

/**
 * The requests of one coroutine, in order, made before the timed part. All arrays have `length` elements.
 * A stream with INSERT or DELETE requests is played once; any other may be started again from its beginning.
 */
export interface RequestStream {
  readonly length: number;
  /** What each request is: a `RequestKind`. */
  readonly kinds: Uint8Array;
  /** The key number of each request; where `fromLatest` is 1, the rank from the newest key. */
  readonly keys: Float64Array;
  /** 1 where `keys` holds a rank that `LatestFrontier` turns into a key number when the request starts. */
  readonly fromLatest: Uint8Array;
  /** The size of all values, in bytes; with `valueSizes`, of those that have no size of their own. */
  readonly valueBytes: number;
  /** The size of each request's value, in bytes, where a trace gives sizes. */
  readonly valueSizes?: Uint32Array;
  /** SHA-256 over all of the above, in hexadecimal. */
  readonly hash: string;
}

/** Completes a stream with its hash. */
export function hashedStream(parts: Omit<RequestStream, 'hash' | 'length'>): RequestStream {
  const { kinds, keys, fromLatest, valueBytes, valueSizes } = parts;
  const length = kinds.length;
  const digest = createHash('sha256');
  digest.update(`requests ${length} of ${valueBytes} bytes, ${valueSizes === undefined ? 'all' : 'each'}\n`);
  digest.update(kinds);
  digest.update(bytesOf(keys));
  digest.update(fromLatest);
  if (valueSizes !== undefined) digest.update(bytesOf(valueSizes));
  return { ...parts, length, hash: digest.digest('hex') };
}

/**
 * One hash over the streams of a whole run, which tells their order apart; throws `WorkloadError` for none.
 */
export function hashStreams(streams: readonly Pick<RequestStream, 'hash' | 'length'>[]): string {
  if (streams.length === 0) {
    throw new WorkloadError('0 streams have no hash: a run needs at least 1');
  }
  const digest = createHash('sha256');
  for (const stream of streams) digest.update(`${stream.length} ${stream.hash}\n`);
  return digest.digest('hex');
}

function bytesOf(array: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
