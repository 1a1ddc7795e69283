/**
 * A history that outlives its process: an append-only file of records, one as a request begins and one as it
 * ends.
 *
 * A request's beginning is in the file before any verb of it is posted ({@link JournalWriter.flush}): so
 * whatever others can see of a client that is killed, the file knows who wrote it, and what has no end there
 * is PENDING. Ends go with the next beginnings: one that is missing had told nobody anything. The page cache
 * keeps what was written by a process that dies; only the host's death loses it.
 *
 * A record is six doubles: 2 * row, client, key, operation, value written, invocation; or 2 * row + 1,
 * outcome, value read, response, 0, 0.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { CorruptionError } from '../../../fusee/verbs/errors.js';
import { History, type Operation, type Outcome } from './history.js';

const FIELDS = 6;
const RECORD_BYTES = FIELDS * 8;
/** Records that are gathered at most before they are written. */
const RECORDS_HELD = 1024;

/** Records a client's history into a file; the same calls as a {@link History} in memory. */
export class JournalWriter {
  readonly #file: number;
  readonly #held = new Float64Array(RECORDS_HELD * FIELDS);
  #heldCount = 0;
  #rows = 0;

  /** Opens a new file; errors of the file system pass through. */
  constructor(path: string) {
    this.#file = openSync(path, 'wx');
  }

  /** As `History.begin`, without its checks: the reader makes them. */
  begin(
    client: number,
    key: number,
    operation: Operation,
    valueWritten: number,
    invocationNs: number,
  ): number {
    const row = this.#rows++;
    this.#add(2 * row, client, key, operation, valueWritten, invocationNs);
    return row;
  }

  /** As `History.complete`. */
  complete(row: number, outcome: Outcome, valueRead: number, responseNs: number): void {
    this.#add(2 * row + 1, outcome, valueRead, responseNs, 0, 0);
  }

  /** Writes what was recorded: to be called before verbs are posted. */
  flush(): void {
    const bytes = new Uint8Array(this.#held.buffer, 0, this.#heldCount * RECORD_BYTES);
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
    this.#heldCount = 0;
  }

  /** Nothing is recorded any more. */
  close(): void {
    this.flush();
    closeSync(this.#file);
  }

  #add(a: number, b: number, c: number, d: number, e: number, f: number): void {
    if (this.#heldCount === RECORDS_HELD) this.flush();
    const at = this.#heldCount++ * FIELDS;
    const held = this.#held;
    held[at] = a;
    held[at + 1] = b;
    held[at + 2] = c;
    held[at + 3] = d;
    held[at + 4] = e;
    held[at + 5] = f;
  }
}

/**
 * The history in a journal. A last record that the writer's death cut short is not there.
 * @throws CorruptionError when a record cannot follow those before it; errors of the file system.
 */
export function readJournal(path: string): History {
  const bytes = readFileSync(path);
  const count = Math.floor(bytes.length / RECORD_BYTES);
  const fields = new Float64Array(count * FIELDS);
  new Uint8Array(fields.buffer).set(bytes.subarray(0, count * RECORD_BYTES));
  const history = new History({ capacity: Math.max(1, count) });
  for (let i = 0; i < count; i++) {
    const [head, ...rest] = fields.subarray(i * FIELDS, (i + 1) * FIELDS);
    try {
      if (head % 2 === 1) history.complete((head - 1) / 2, rest[0] as Outcome, rest[1], rest[2]);
      else if (history.begin(rest[0], rest[1], rest[2] as Operation, rest[3], rest[4]) !== head / 2) {
        throw new Error(`row ${head / 2} is out of order`);
      }
    } catch (error) {
      throw new CorruptionError(`${path}: record ${i} of ${count} cannot be: ${(error as Error).message}`);
    }
  }
  return history;
}
