/** Is the object that a READ brought back whole, and is it the key's? */
import { HEADER_BYTES, LINE_BYTES, LOG_ENTRY_BYTES } from '../layout/index.js';
import type { LocalMemory } from '../verbs/index.js';
import type { Context } from './context.js';

/** What {@link checkObject} found. */
export const ObjectIs = { THE_KEYS: 0, ANOTHERS: 1, TORN: 2 } as const;
export type ObjectIs = (typeof ObjectIs)[keyof typeof ObjectIs];

/** The object's CRC, which the fabric may have computed, is not asked for. */
const NO_VERB = -1;

/**
 * Checks lengths, CRC and key of an object of `lines` lines at `at` in registered memory, where verb `verb`
 * of the coroutine's batch has read it.
 *
 * The CRC comes first: a torn object's key proves nothing. On THE_KEYS, `cx.foundAt` and `cx.foundBytes` name
 * the value.
 */
export function checkObject(cx: Context, at: number, lines: number, verb = NO_VERB): ObjectIs {
  const local: LocalMemory = cx.client.local;
  const lengths = local.words[at >>> 2];
  const keyBytes = lengths & 0xffff;
  const valueBytes = lengths >>> 16;
  const payload = keyBytes + valueBytes;
  if (HEADER_BYTES + payload + LOG_ENTRY_BYTES > lines * LINE_BYTES) return ObjectIs.TORN;
  let crc = verb === NO_VERB ? -1 : cx.batch.crcOf(verb);
  if (crc < 0) crc = local.crc32c(at + HEADER_BYTES, payload, lengths);
  if (crc !== local.words[(at >>> 2) + 1]) return ObjectIs.TORN;
  if (keyBytes !== cx.keyBytes || !sameKey(local, at + HEADER_BYTES, cx.keyAt, keyBytes))
    return ObjectIs.ANOTHERS;
  cx.foundAt = at + HEADER_BYTES + keyBytes;
  cx.foundBytes = valueBytes;
  return ObjectIs.THE_KEYS;
}

/** True when the object whose header and key lie at `at` has the request's key; their CRC is not checked. */
export const hasKey = (cx: Context, at: number): boolean =>
  (cx.client.local.words[at >>> 2] & 0xffff) === cx.keyBytes &&
  sameKey(cx.client.local, at + HEADER_BYTES, cx.keyAt, cx.keyBytes);

/** Compares keys; both begin on 8-byte boundaries. */
function sameKey(local: LocalMemory, a: number, b: number, lengthBytes: number): boolean {
  const { words, bytes } = local;
  const whole = lengthBytes >>> 2;
  const wa = a >>> 2;
  const wb = b >>> 2;
  for (let i = 0; i < whole; i++) if (words[wa + i] !== words[wb + i]) return false;
  for (let i = whole << 2; i < lengthBytes; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}
