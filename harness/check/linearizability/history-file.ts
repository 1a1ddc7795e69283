/**
 * The bytes of a history, so that processes record apart and a parent checks the whole. Little-endian, in
 * this order: magic "FUSEEHST" (8 bytes), version (uint32), bytes per operation (uint32), count of operations
 * (float64), then the columns one after another, widest first, so that each is aligned to its own width.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { CorruptionError, UsageError } from '../../../fusee/verbs/errors.js';
import { History, isLegal, NO_VALUE, Operation, Outcome, writesValue } from './history.js';

const MAGIC = 'FUSEEHST';
const VERSION = 1;
const HEADER_BYTES = 24;
const OPERATION_BYTES = 4 * 8 + 2 * 4 + 2;

type Column = Uint8Array | Uint32Array | Float64Array;

function columnsOf(history: History): Column[] {
  const { valueWritten, valueRead, invocationNs, responseNs, client, key, operation, outcome } = history;
  return [valueWritten, valueRead, invocationNs, responseNs, client, key, operation, outcome];
}

/** The history as bytes, a 24-byte header and 42 bytes per operation. */
export function encodeHistory(history: History): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + history.count * OPERATION_BYTES);
  const header = new DataView(bytes.buffer);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  header.setUint32(8, VERSION, true);
  header.setUint32(12, OPERATION_BYTES, true);
  header.setFloat64(16, history.count, true);
  let offsetBytes = HEADER_BYTES;
  for (const column of columnsOf(history)) {
    const length = history.count * column.BYTES_PER_ELEMENT;
    bytes.set(new Uint8Array(column.buffer, column.byteOffset, length), offsetBytes);
    offsetBytes += length;
  }
  return bytes;
}

/**
 * The history in `bytes`. CorruptionError when length, header or any row is wrong; `place` names the source
 * in it.
 */
export function decodeHistory(bytes: Uint8Array, options: { place?: string } = {}): History {
  const place = options.place ?? 'history';
  if (bytes.length < HEADER_BYTES) {
    throw new CorruptionError(
      `${place}: ${bytes.length} bytes are shorter than the header of ${HEADER_BYTES}`,
    );
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  const version = header.getUint32(8, true);
  const operationBytes = header.getUint32(12, true);
  const count = header.getFloat64(16, true);
  if (magic !== MAGIC || version !== VERSION || operationBytes !== OPERATION_BYTES) {
    throw new CorruptionError(
      `${place}: not a history of version ${VERSION} (${OPERATION_BYTES} bytes a row)`,
    );
  }
  const bytesExpected = HEADER_BYTES + count * OPERATION_BYTES;
  if (!Number.isInteger(count) || count < 0 || bytes.length !== bytesExpected) {
    throw new CorruptionError(
      `${place}: ${bytes.length} bytes, but ${count} operations need ${bytesExpected}`,
    );
  }
  const history = new History({ capacity: Math.max(1, count) });
  let offsetBytes = HEADER_BYTES;
  for (const column of columnsOf(history)) {
    const length = count * column.BYTES_PER_ELEMENT;
    new Uint8Array(column.buffer).set(bytes.subarray(offsetBytes, offsetBytes + length));
    offsetBytes += length;
  }
  history.count = count;
  for (let i = 0; i < count; i++) {
    if (!isSound(history, i)) throw new CorruptionError(`${place}: operation ${i} of ${count} cannot be`);
  }
  return history;
}

function isValue(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isSound(history: History, i: number): boolean {
  const operation = history.operation[i];
  const outcome = history.outcome[i];
  const written = history.valueWritten[i];
  const read = history.valueRead[i];
  const responseNs = history.responseNs[i];
  if (!isLegal(operation, outcome) || !Number.isFinite(history.invocationNs[i])) return false;
  if (writesValue(operation) ? !isValue(written) : written !== NO_VALUE) return false;
  const reads = operation === Operation.SEARCH && outcome === Outcome.OK;
  if (reads ? !isValue(read) : read !== NO_VALUE) return false;
  if (outcome === Outcome.PENDING) return responseNs === Number.POSITIVE_INFINITY;
  return Number.isFinite(responseNs) && responseNs >= history.invocationNs[i];
}

/** Writes the history to a file; errors of the file system pass through. */
export function writeHistory(path: string, history: History): void {
  writeFileSync(path, encodeHistory(history));
}

/**
 * Reads a history from a file; CorruptionError as `decodeHistory`, errors of the file system pass through.
 */
export function readHistory(path: string): History {
  return decodeHistory(readFileSync(path), { place: path });
}

/**
 * All rows of all histories in one. `clockOffsetNs[i]`, when given, is added to every time of history `i` to
 * bring it to the common clock; what remains uncertain goes to the checker as its clock bound. Client ids
 * must already be distinct. UsageError when the lengths differ or an offset is not finite.
 */
export function mergeHistories(
  histories: readonly History[],
  options: { clockOffsetNs?: readonly number[] } = {},
): History {
  const offsets = options.clockOffsetNs ?? histories.map(() => 0);
  if (offsets.length !== histories.length || !offsets.every(Number.isFinite)) {
    throw new UsageError(
      `${offsets.length} clock offsets for ${histories.length} histories: give one finite each`,
    );
  }
  const count = histories.reduce((sum, history) => sum + history.count, 0);
  const merged = new History({ capacity: Math.max(1, count) });
  const targets = columnsOf(merged);
  for (let h = 0; h < histories.length; h++) {
    const start = merged.count;
    const sources = columnsOf(histories[h]);
    for (let c = 0; c < targets.length; c++)
      targets[c].set(sources[c].subarray(0, histories[h].count), start);
    merged.count += histories[h].count;
    for (let i = start; i < merged.count && offsets[h] !== 0; i++) {
      merged.invocationNs[i] += offsets[h];
      merged.responseNs[i] += offsets[h];
    }
  }
  return merged;
}
