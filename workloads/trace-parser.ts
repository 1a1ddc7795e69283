import { WorkloadError } from './errors.js';
import { RequestKind, valueBytesMax } from './requests.js';
import { TraceKeys } from './trace-keys.js';

/** The most requests a trace can hold: 9 bytes each in memory. */
export const traceRequestCountMax = 2 ** 28;

/** The longest line of a trace, in bytes: YCSB writes whole values into its lines. */
export const traceLineBytesMax = 2 ** 20;

/** The requests of a trace, in the order of its lines; all arrays have one element a request. */
export interface TraceRequests {
  readonly kinds: Uint8Array;
  /** The number of each request's key in `table`. */
  readonly keys: Uint32Array;
  /** The size on each line, in bytes; 0 where the line gives none. */
  readonly sizes: Uint32Array;
  readonly table: TraceKeys;
}

const kindOfName = new Map<string, RequestKind>([
  ['READ', RequestKind.SEARCH],
  ['SEARCH', RequestKind.SEARCH],
  ['GET', RequestKind.SEARCH],
  ['INSERT', RequestKind.INSERT],
  ['UPDATE', RequestKind.UPDATE],
  ['DELETE', RequestKind.DELETE],
  ['PUT', RequestKind.PUT],
  ['SET', RequestKind.PUT],
  ['RMW', RequestKind.READ_MODIFY_WRITE],
  ['READMODIFYWRITE', RequestKind.READ_MODIFY_WRITE],
]);

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const COMMENT = 0x23;
const BRACKET = 0x5b;

/**
 * Parses a trace as its bytes arrive. A line is `OP key [bytes]`, separated by spaces or tabs; empty lines
 * and those that begin with `#` are skipped. YCSB's own `OP usertable key [ fields ]` is understood as well:
 * a second word `usertable` with a third behind it is the table's name, and text from `[` on is ignored. Keys
 * are bytes, in no particular encoding.
 */
export class TraceParser {
  readonly #place: string;
  readonly #table = new TraceKeys();
  #kinds = new Uint8Array(4096);
  #keys = new Uint32Array(4096);
  #sizes = new Uint32Array(4096);
  #count = 0;
  #lineNumber = 0;
  #pending: Buffer = Buffer.alloc(0);
  /** The bounds of the words of the present line: start, end, start, end ... */
  readonly #words: number[] = [];

  /** `place` names the trace in messages. */
  constructor(place: string) {
    this.#place = place;
  }

  /**
   * Parses the lines that `chunk` completes. Throws `WorkloadError` with the place, the line and the bad
   * text.
   */
  push(chunk: Buffer): void {
    const text = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let start = 0;
    for (;;) {
      const end = text.indexOf(LINE_FEED, start);
      if (end < 0) break;
      this.#line(text, start, end);
      start = end + 1;
    }
    if (text.length - start > traceLineBytesMax) {
      this.#lineNumber++;
      this.#fail(
        `a line exceeds the limit of ${traceLineBytesMax} bytes: is this a trace of 'OP key [bytes]' lines?`,
      );
    }
    this.#pending = text.subarray(start);
  }

  /**
   * Parses a last line without its end and returns all requests. Throws `WorkloadError` when there are none.
   */
  finish(): TraceRequests {
    if (this.#pending.length > 0) this.#line(this.#pending, 0, this.#pending.length);
    if (this.#count === 0) {
      throw new WorkloadError(
        `${this.#place} has no requests: a trace has one 'OP key [bytes]' on each line`,
      );
    }
    return {
      kinds: this.#kinds.slice(0, this.#count),
      keys: this.#keys.slice(0, this.#count),
      sizes: this.#sizes.slice(0, this.#count),
      table: this.#table,
    };
  }

  #line(text: Buffer, start: number, endWithReturn: number): void {
    this.#lineNumber++;
    const end =
      endWithReturn > start && text[endWithReturn - 1] === CARRIAGE_RETURN
        ? endWithReturn - 1
        : endWithReturn;
    const count = this.#split(text, start, end);
    const words = this.#words;
    if (count === 0 || text[words[0]] === COMMENT) return;
    const kind = this.#kindOf(text, words[0], words[1]);
    if (count === 1) this.#fail(`'${excerpt(text, words[0], words[1])}' has no key: write 'OP key [bytes]'`);
    let next = count > 2 && isTableName(text, words[2], words[3]) ? 2 : 1;
    const key = this.#keyOf(text, words[2 * next], words[2 * next + 1]);
    next++;
    let size = 0;
    if (next < count && text[words[2 * next]] !== BRACKET) {
      size = this.#sizeOf(text, words[2 * next], words[2 * next + 1], kind);
      next++;
    }
    if (next < count && text[words[2 * next]] !== BRACKET) {
      this.#fail(`'${excerpt(text, words[2 * next], end)}' follows the request: write 'OP key [bytes]'`);
    }
    this.#append(kind, key, size);
  }

  /** Finds the first words of a line, five at most, and returns how many there are. */
  #split(text: Buffer, start: number, end: number): number {
    let count = 0;
    let i = start;
    while (count < 5) {
      while (i < end && (text[i] === SPACE || text[i] === TAB)) i++;
      if (i === end) break;
      this.#words[2 * count] = i;
      while (i < end && text[i] !== SPACE && text[i] !== TAB) i++;
      this.#words[2 * count + 1] = i;
      count++;
    }
    return count;
  }

  #kindOf(text: Buffer, start: number, end: number): RequestKind {
    const name = text.toString('latin1', start, Math.min(end, start + 20)).toUpperCase();
    const kind = kindOfName.get(name);
    if (kind !== undefined) return kind;
    const known = [...kindOfName.keys()].join(', ');
    return this.#fail(`operation '${excerpt(text, start, end)}' is unknown; known: ${known}`);
  }

  #keyOf(text: Buffer, start: number, end: number): number {
    try {
      return this.#table.intern(text, start, end);
    } catch (error) {
      if (error instanceof WorkloadError)
        return this.#fail(`'${excerpt(text, start, end)}': ${error.message}`);
      throw error;
    }
  }

  #sizeOf(text: Buffer, start: number, end: number, kind: RequestKind): number {
    let size = 0;
    for (let i = start; i < end; i++) {
      const digit = text[i] - 0x30;
      size = digit >= 0 && digit <= 9 ? size * 10 + digit : Number.NaN;
    }
    const writes = kind !== RequestKind.SEARCH && kind !== RequestKind.DELETE;
    if (size >= (writes ? 1 : 0) && size <= valueBytesMax) return size;
    return this.#fail(
      `value size '${excerpt(text, start, end)}' is not an integer from ${writes ? 1 : 0} to ${valueBytesMax} bytes: ` +
        'correct it, or leave it out for the default size',
    );
  }

  #append(kind: RequestKind, key: number, size: number): void {
    if (this.#count === traceRequestCountMax) {
      this.#fail(`more than ${traceRequestCountMax} requests: replay a part of the trace`);
    }
    if (this.#count === this.#kinds.length) this.#grow();
    this.#kinds[this.#count] = kind;
    this.#keys[this.#count] = key;
    this.#sizes[this.#count] = size;
    this.#count++;
  }

  #grow(): void {
    const size = 2 * this.#kinds.length;
    const [kinds, keys, sizes] = [this.#kinds, this.#keys, this.#sizes];
    this.#kinds = new Uint8Array(size);
    this.#keys = new Uint32Array(size);
    this.#sizes = new Uint32Array(size);
    this.#kinds.set(kinds);
    this.#keys.set(keys);
    this.#sizes.set(sizes);
  }

  #fail(message: string): never {
    throw new WorkloadError(`${this.#place}:${this.#lineNumber}: ${message}`);
  }
}

/** Whether the word is `usertable`, the only table YCSB's core workloads have. */
function isTableName(text: Buffer, start: number, end: number): boolean {
  return end - start === 9 && text.toString('latin1', start, end) === 'usertable';
}

/** Text for a message: at most 40 bytes, anything unprintable as a dot. */
function excerpt(text: Buffer, start: number, end: number): string {
  const shown = text.toString('latin1', start, Math.min(end, start + 40)).replace(/[^ -~]/g, '.');
  return end - start > 40 ? `${shown}...` : shown;
}
