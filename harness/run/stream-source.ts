/** Feeds a client's reactor from streams made ahead, and checks every value that comes back. */
import type { RequestSource } from '../../fusee/client/request-source.js';
import { type Coroutine, RequestKind as Kind, Outcome } from '../../fusee/ops/index.js';
import type { Ledger, LocalMemory, OpLoop } from '../../fusee/verbs/index.js';
import {
  checkValue,
  fillValue,
  type KeySource,
  type LatestFrontier,
  RequestKind,
  type RequestStream,
  readStamp,
  stampValue,
} from '../../workloads/index.js';
import { KeyAhead } from './key-ahead.js';
import { PhaseRecorder } from './recorder.js';

const RMW = RequestKind.READ_MODIFY_WRITE;
/** Places in the times of a source. */
const LATEST = 0;
const MEASURE = 1;
/** Wrong values that are described, beyond which they are only counted. */
const EXAMPLES = 3;

export interface StreamSourceOptions {
  readonly local: LocalMemory;
  /** One stream per coroutine. */
  readonly streams: readonly RequestStream[];
  readonly keys: KeySource;
  readonly frontier: LatestFrontier | null;
  /** Distinguishes this client's values. */
  readonly writer: number;
  readonly measureNs: number;
  /** Stop all streams when the first has been played; else each is played to its end. */
  readonly endsWithFirst: boolean;
  /** Response times are recorded too. @default false */
  readonly isOpen?: boolean;
  /** Values of earlier phases are numbered below this, so that no two writes are alike. @default 0 */
  readonly firstSequence?: number;
  /** A stream that has been played to its end begins again. @default false */
  readonly loops?: boolean;
}

/** True for the kinds that leave a key there which need not have been there. */
const adds = (kind: number): boolean => kind === RequestKind.INSERT || kind === RequestKind.PUT;

/** How many requests of streams may add a key. */
function countAdding(streams: readonly RequestStream[]): number {
  let count = 0;
  for (const { kinds } of streams) for (const kind of kinds) if (adds(kind)) count++;
  return count;
}

/** The requests of one phase of one client, and the check of what they brought. */
export class StreamSource implements RequestSource {
  readonly recorder: PhaseRecorder;
  /** No request starts after this is set; those in flight finish (hazard H10). */
  stopping = false;
  wrongValues = 0;
  readonly wrongExamples: string[] = [];
  /** Requests that ended in anything but OK. */
  notOk = 0;
  /** The window ends with the first stream: then the others would run with fewer requests in flight. */
  readonly endsWithFirst: boolean;
  readonly #loops: boolean;
  readonly #inserted: Float64Array;
  #insertedCount = 0;
  // The arrays alone: streams come from several makers, and an object of yet another shape is slow to read.
  readonly #kinds: readonly Uint8Array[];
  readonly #numbers: readonly Float64Array[];
  readonly #fromLatest: readonly Uint8Array[];
  readonly #valueSizes: readonly (Uint32Array | null)[];
  readonly #keys: KeySource;
  readonly #ahead: KeyAhead;
  readonly #frontier: LatestFrontier | null;
  readonly #local: LocalMemory;
  readonly #view: DataView;
  readonly #template: Uint8Array;
  /** Where the template lies in each coroutine's staged object; 0 when it does not. */
  readonly #filledAt: Uint32Array;
  readonly #writer: number;
  readonly #position: Uint32Array;
  readonly #kind: Uint8Array;
  readonly #key: Float64Array;
  /** A read-modify-write whose SEARCH is done: when it was posted; 0 otherwise. */
  readonly #searchedNs: Float64Array;
  readonly #measured: Uint8Array;
  #sequence = 0;
  /**
   * Fabric time of the latest completion, which tells warm-up from window without a clock call, and of the
   * window's start. In an array, since a field that begins as 0 and becomes a double changes the object's
   * shape.
   */
  readonly #times = new Float64Array(2);

  constructor(options: StreamSourceOptions) {
    const n = options.streams.length;
    this.recorder = new PhaseRecorder(options.measureNs, { isOpen: options.isOpen ?? false });
    this.endsWithFirst = options.endsWithFirst;
    this.#loops = options.loops ?? false;
    this.#sequence = options.firstSequence ?? 0;
    this.#inserted = new Float64Array(countAdding(options.streams));
    this.#kinds = options.streams.map((s) => s.kinds);
    this.#numbers = options.streams.map((s) => s.keys);
    this.#fromLatest = options.streams.map((s) => s.fromLatest);
    this.#valueSizes = options.streams.map((s) => s.valueSizes ?? null);
    this.#keys = options.keys;
    this.#ahead = new KeyAhead(options.keys, options.streams);
    this.#frontier = options.frontier;
    this.#local = options.local;
    this.#view = new DataView(options.local.buffer);
    this.#writer = options.writer;
    this.#times[MEASURE] = options.measureNs;
    this.#template = new Uint8Array(options.streams[0].valueBytes);
    fillValue(new DataView(this.#template.buffer), 0, this.#template.length);
    this.#filledAt = new Uint32Array(n);
    this.#position = new Uint32Array(n);
    this.#kind = new Uint8Array(n);
    this.#key = new Float64Array(n);
    this.#searchedNs = new Float64Array(n);
    this.#measured = new Uint8Array(n);
  }

  /** True when some stream has been played to its end. */
  get exhausted(): boolean {
    if (this.#loops) return false;
    for (let i = 0; i < this.#position.length; i++)
      if (this.#position[i] >= this.#kinds[i].length) return true;
    return false;
  }

  /** Share of the requests that have begun, 0 to 1. */
  get share(): number {
    let begun = 0;
    let all = 0;
    for (let i = 0; i < this.#position.length; i++) {
      begun += this.#position[i];
      all += this.#kinds[i].length;
    }
    return all === 0 ? 1 : begun / all;
  }

  /** Start of the measured window; 0: with the first request that ends. */
  get measureNs(): number {
    return this.#times[MEASURE];
  }

  /** Begins the window at another time than planned; without effect once it has begun. */
  measureFrom(measureNs: number): void {
    if (this.#times[LATEST] >= this.#times[MEASURE]) return;
    this.#times[MEASURE] = measureNs;
    this.recorder.startAt(measureNs);
  }

  /** The next request is taken to begin at this time: it is measured if the window has begun by then. */
  begunAt(ns: number): void {
    this.#times[LATEST] = ns;
  }

  /** Whether the coroutine's latest request counts in the window. */
  isMeasured(coroutine: number): boolean {
    return this.#measured[coroutine] !== 0;
  }

  /** Whether the coroutine is between the two halves of a read-modify-write. */
  isMidway(coroutine: number): boolean {
    return this.#searchedNs[coroutine] !== 0;
  }

  /** A request that began by a schedule has ended, so long after its intended start. */
  responded(coroutine: Coroutine, intendedNs: number, completedNs: number): void {
    const { coroutine: i, outcome } = coroutine.cx;
    if (this.#measured[i] !== 0) this.recorder.respond(this.#kind[i], completedNs - intendedNs, outcome);
  }

  /** Key number of the coroutine's request in flight. */
  keyOf(coroutine: number): number {
    return this.#key[coroutine];
  }

  /** Sequence number in the value that was staged last. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Keys whose INSERT or PUT was acknowledged. */
  insertedKeys(): Float64Array {
    return this.#inserted.subarray(0, this.#insertedCount);
  }

  next(coroutine: Coroutine): OpLoop | null {
    const i = coroutine.cx.coroutine;
    if (this.#searchedNs[i] !== 0) {
      this.#stageValue(coroutine, this.#key[i]);
      return coroutine.loops[Kind.UPDATE];
    }
    const kinds = this.#kinds[i];
    let position = this.#position[i];
    if (this.#loops && position >= kinds.length) position = 0;
    if (this.stopping || position >= kinds.length) return null;
    this.#position[i] = position + 1;
    const kind = kinds[position];
    const drawn = this.#numbers[i][position];
    const isDrawn = this.#frontier === null || this.#fromLatest[i][position] === 0;
    const key = isDrawn ? drawn : this.#frontier.keyOf(drawn);
    this.#kind[i] = kind;
    this.#key[i] = key;
    this.#measured[i] = this.#times[LATEST] >= this.#times[MEASURE] ? 1 : 0;
    const { cx } = coroutine;
    cx.keyBytes = this.#ahead.copy(i, position, this.#local.words, cx.keyAt >>> 2);
    if (cx.keyBytes === 0) this.#stageKey(coroutine, key);
    // A longer key than the last value's reaches into that value's fill.
    if (cx.keyAt + cx.keyBytes > this.#filledAt[i]) this.#filledAt[i] = 0;
    if (kind === RequestKind.SEARCH || kind === RMW) return coroutine.loops[Kind.SEARCH];
    if (kind !== RequestKind.DELETE) {
      const sizes = this.#valueSizes[i];
      if (sizes !== null) this.#stageSizedValue(coroutine, key, sizes[position]);
      else this.#stageValue(coroutine, key);
    }
    return coroutine.loops[kind];
  }

  ended(coroutine: Coroutine, postedNs: number, completedNs: number): void {
    const { cx } = coroutine;
    const i = cx.coroutine;
    const kind = this.#kind[i];
    this.#times[LATEST] = completedNs;
    const searched = this.#searchedNs[i];
    if ((kind === RequestKind.SEARCH || kind === RMW) && searched === 0 && cx.outcome === Outcome.OK) {
      if (checkValue(this.#view, cx.foundAt, cx.foundBytes, this.#key[i]) !== 0) this.#wrong(coroutine);
    }
    if (kind === RMW && searched === 0 && cx.outcome === Outcome.OK) {
      this.#searchedNs[i] = postedNs;
      return;
    }
    this.#searchedNs[i] = 0;
    if (cx.outcome !== Outcome.OK) this.notOk++;
    else if (adds(kind)) {
      this.#inserted[this.#insertedCount++] = this.#key[i];
      this.#frontier?.acknowledge(this.#key[i]);
    }
    const measured = this.#measured[i] !== 0;
    this.recorder.record(kind, searched === 0 ? postedNs : searched, completedNs, cx.outcome, measured);
  }

  ledger(coroutine: Coroutine): Ledger {
    const i = coroutine.cx.coroutine;
    return this.recorder.ledger(this.#kind[i], this.#measured[i] !== 0);
  }

  #stageKey(coroutine: Coroutine, key: number): void {
    const { cx } = coroutine;
    const row = this.#keys.rowOf(key);
    const lengthBytes = this.#keys.lengths[row];
    const from = this.#keys.wordOffsetOf(row);
    const to = cx.keyAt >>> 2;
    const { words } = this.#local;
    for (let w = 0, end = (lengthBytes + 3) >>> 2; w < end; w++) words[to + w] = this.#keys.words[from + w];
    cx.keyBytes = lengthBytes;
  }

  #stageValue(coroutine: Coroutine, key: number): void {
    const { cx } = coroutine;
    const at = cx.keyAt + cx.keyBytes;
    // The fill is the same for every value: where the last one of this coroutine lies, it lies already.
    if (this.#filledAt[cx.coroutine] !== at) {
      this.#local.bytes.set(this.#template, at);
      this.#filledAt[cx.coroutine] = at;
    }
    cx.valueBytes = this.#template.length;
    stampValue(this.#view, at, cx.valueBytes, key, this.#writer, ++this.#sequence);
  }

  /** Traces give each value a size of its own. */
  #stageSizedValue(coroutine: Coroutine, key: number, sizeBytes: number): void {
    const { cx } = coroutine;
    const at = cx.keyAt + cx.keyBytes;
    fillValue(this.#view, at, sizeBytes);
    this.#filledAt[cx.coroutine] = 0;
    cx.valueBytes = sizeBytes;
    stampValue(this.#view, at, sizeBytes, key, this.#writer, ++this.#sequence);
  }

  #wrong(coroutine: Coroutine): void {
    this.wrongValues++;
    if (this.wrongExamples.length >= EXAMPLES) return;
    const { cx } = coroutine;
    const verdict = checkValue(this.#view, cx.foundAt, cx.foundBytes, this.#key[cx.coroutine]);
    const stamp = JSON.stringify(readStamp(this.#view, cx.foundAt, cx.foundBytes));
    this.wrongExamples.push(
      `key ${this.#key[cx.coroutine]}: verdict ${verdict}, ${cx.foundBytes} bytes, ${stamp}`,
    );
  }
}
