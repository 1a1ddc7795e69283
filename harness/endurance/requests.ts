/**
 * Requests of a long-running check: made as they are needed, since a run may have more than memory holds, and
 * each judged when it ends.
 */
import { outcomeName } from '../../fusee/client/client.js';
import type { RequestSource } from '../../fusee/client/request-source.js';
import { LINE_BYTES, objectLines } from '../../fusee/layout/index.js';
import { type Context, type Coroutine, Outcome, RequestKind } from '../../fusee/ops/index.js';
import { Ledger, type LocalMemory, type OpLoop } from '../../fusee/verbs/index.js';
import {
  checkWholeValue,
  fillValue,
  headBytes,
  readStamp,
  stampValue,
  writeKey,
} from '../../workloads/index.js';
import type { Faults } from './messages.js';

/** Faults that are described, beyond which they are only counted. */
const EXAMPLES = 5;
/** Faults after which no more requests begin: each may have waited for its whole deadline. */
const FAULTS_MAX = 50;
const KINDS = Object.keys(RequestKind);

/** What every source of requests is made from. */
export interface RequestsOptions {
  readonly local: LocalMemory;
  readonly coroutines: number;
  /** Tells this client's values from others'; not 0. */
  readonly writer: number;
  /** Values are numbered from here on, so that no two writes of a client are alike. */
  readonly firstSequence: number;
}

/** Bytes of the object that a request with a value of so many bytes writes. */
export const objectBytes = (keyBytes: number, valueBytes: number): number =>
  objectLines(keyBytes, valueBytes) * LINE_BYTES;

/** Requests of one phase; a subclass chooses them, and knows how each must end. */
export abstract class Requests implements RequestSource {
  /** No request begins after this is set. */
  stopping = false;
  operations = 0;
  /** Bytes of objects that its requests have written, each once whatever the replicas. */
  bytes = 0;
  /** Number of the value that was written last. */
  sequence: number;
  protected readonly local: LocalMemory;
  protected readonly writer: number;
  /**
   * Of each coroutine's request in flight: key number, value's bytes, value's number or the latest before.
   */
  protected readonly keys: Float64Array;
  protected readonly valueBytes: Uint32Array;
  protected readonly numbers: Float64Array;
  readonly #kinds: Uint8Array;
  readonly #view: DataView;
  readonly #ledger = new Ledger();
  readonly #fills = new Map<number, Uint8Array>();
  #faults = 0;
  readonly #examples: string[] = [];

  constructor({ local, coroutines, writer, firstSequence }: RequestsOptions) {
    this.local = local;
    this.writer = writer;
    this.sequence = firstSequence;
    this.keys = new Float64Array(coroutines);
    this.valueBytes = new Uint32Array(coroutines);
    this.numbers = new Float64Array(coroutines);
    this.#kinds = new Uint8Array(coroutines);
    this.#view = new DataView(local.buffer);
  }

  /**
   * Chooses a coroutine's next request: sets its key, and its value's size if it has a value. Returns its
   * kind, or -1 when there is none.
   */
  protected abstract choose(coroutine: number): RequestKind | -1;

  /** Notes how a request ended. Returns what is wrong about it, or null. */
  protected abstract judge(coroutine: number, cx: Context, kind: RequestKind): string | null;

  next(coroutine: Coroutine): OpLoop | null {
    if (this.stopping) return null;
    const { cx } = coroutine;
    const i = cx.coroutine;
    const kind = this.choose(i);
    if (kind < 0) return null;
    this.#kinds[i] = kind;
    cx.keyBytes = writeKey(this.keys[i], this.local.bytes, cx.keyAt);
    this.numbers[i] = this.sequence;
    if (kind === RequestKind.INSERT || kind === RequestKind.UPDATE) {
      const at = cx.keyAt + cx.keyBytes;
      cx.valueBytes = this.valueBytes[i];
      this.local.bytes.set(this.#fillOf(cx.valueBytes), at);
      this.numbers[i] = ++this.sequence;
      stampValue(this.#view, at, cx.valueBytes, this.keys[i], this.writer, this.sequence);
    }
    return coroutine.loops[kind];
  }

  ended(coroutine: Coroutine, postedNs: number, completedNs: number): void {
    const { cx } = coroutine;
    const i = cx.coroutine;
    const kind = this.#kinds[i] as RequestKind;
    this.operations++;
    if (kind !== RequestKind.SEARCH && cx.outcome === Outcome.OK) {
      this.bytes += objectBytes(cx.keyBytes, kind === RequestKind.DELETE ? 0 : cx.valueBytes);
    }
    this.time(postedNs, completedNs);
    const wrong = this.judge(i, cx, kind);
    if (wrong === null) return;
    if (++this.#faults >= FAULTS_MAX) this.stopping = true;
    if (this.#examples.length < EXAMPLES) {
      this.#examples.push(`${KINDS[kind]} of key ${this.keys[i]}: ${wrong}`);
    }
  }

  ledger(): Ledger {
    return this.#ledger;
  }

  /** What went wrong so far. */
  get faults(): Faults {
    return { count: this.#faults, examples: this.#examples };
  }

  /** Hears of every request's times. */
  protected time(_postedNs: number, _completedNs: number): void {}

  /** What is wrong about an outcome that has to be another; null: nothing. */
  protected expect(cx: Context, outcome: Outcome): string | null {
    if (cx.outcome === outcome) return null;
    return `ended ${outcomeName(cx.outcome)}, not ${outcomeName(outcome)}`;
  }

  /** What is wrong about the value that a SEARCH has found: every byte of it is looked at. */
  protected valueFault(coroutine: number, cx: Context): string | null {
    const verdict = checkWholeValue(this.#view, cx.foundAt, cx.foundBytes, this.keys[coroutine]);
    if (verdict === 0 && cx.foundBytes >= headBytes) return null;
    const stamp = JSON.stringify(readStamp(this.#view, cx.foundAt, cx.foundBytes));
    return `verdict ${verdict} on ${cx.foundBytes} bytes, ${stamp}`;
  }

  /** Who wrote the value that a SEARCH has found; its head is whole. */
  protected writerOf(cx: Context): number {
    return this.#view.getUint32(cx.foundAt + 12, true);
  }

  /** The number that its writer gave the value that a SEARCH has found. */
  protected numberOf(cx: Context): number {
    const low = this.#view.getUint32(cx.foundAt + 16, true);
    return this.#view.getUint32(cx.foundAt + 20, true) * 0x100000000 + low;
  }

  #fillOf(bytes: number): Uint8Array {
    let fill = this.#fills.get(bytes);
    if (fill === undefined) {
      fill = new Uint8Array(bytes);
      fillValue(new DataView(fill.buffer), 0, bytes);
      this.#fills.set(bytes, fill);
    }
    return fill;
  }
}

/** Requests over a list of keys, each once: what loads a pool, and what reads it back. */
export class KeyByKey extends Requests {
  readonly #list: KeyList;
  #next = 0;
  /** Keys that were found, or inserted. */
  present = 0;

  constructor(options: RequestsOptions, list: KeyList) {
    super(options);
    this.#list = list;
  }

  protected choose(coroutine: number): RequestKind | -1 {
    if (this.#next >= this.#list.count) return -1;
    const n = this.#next++;
    this.keys[coroutine] = this.#list.keyOf(n);
    if (this.#list.valueBytesOf === undefined) return RequestKind.SEARCH;
    this.valueBytes[coroutine] = this.#list.valueBytesOf(n);
    return RequestKind.INSERT;
  }

  protected judge(coroutine: number, cx: Context): string | null {
    const key = this.keys[coroutine];
    if (cx.outcome === Outcome.OK) this.present++;
    if (this.#list.valueBytesOf !== undefined) {
      if (cx.outcome === Outcome.OK) this.#list.inserted?.(key, this.numbers[coroutine]);
      return this.expect(cx, Outcome.OK);
    }
    const isPresent = this.#list.isPresent?.(key) ?? true;
    const wrong = this.expect(cx, isPresent ? Outcome.OK : Outcome.NOT_FOUND);
    if (wrong !== null || !isPresent) return wrong;
    return (
      this.valueFault(coroutine, cx) ??
      this.#list.staleFault?.(key, this.writerOf(cx), this.numberOf(cx)) ??
      null
    );
  }
}

/** Keys to be inserted (with `valueBytesOf`) or read back, and how that must end. */
export interface KeyList {
  readonly count: number;
  keyOf(n: number): number;
  valueBytesOf?(n: number): number;
  inserted?(key: number, number: number): void;
  /** @default it is */
  isPresent?(key: number): boolean;
  /** What is wrong about a value's origin, all of its bytes being right. */
  staleFault?(key: number, writer: number, number: number): string | null;
}
