/**
 * What the harness itself costs a client, measured in the client ahead of the window: the null operation, and
 * the clock.
 */
import { type Coroutine, Outcome } from '../../fusee/ops/index.js';
import type { LocalMemory } from '../../fusee/verbs/index.js';
import { type KeySource, RequestKind, type RequestStream } from '../../workloads/index.js';
import { StreamSource } from './stream-source.js';

/** Batches of null operations, and how many are in each: short ones, so that some are not disturbed. */
const BATCHES = 12;
const BATCH = 2000;
/** Reads of the clock in each. */
const READS = 500;

/** What the harness costs. */
export interface SelfCost {
  /** null when a workload has no request to go by. */
  readonly nullOperationNs: number | null;
  readonly clockReadNs: number;
  /** Smallest step above 0; null when it never moved. */
  readonly clockStepNs: number | null;
  readonly clockBackwards: number;
}

/** What a null operation needs of a client. */
export interface NullOperations {
  /** The first one of the client. Its memory is written to: it must have no request in flight. */
  readonly coroutine: Coroutine;
  readonly fabric: { readonly local: LocalMemory; nowNs(): number };
  readonly keys: KeySource;
  /** Its kinds of request are played. */
  readonly stream: RequestStream;
}

/** Measures both, in about ten milliseconds. */
export function measureSelfCost(operations: NullOperations): SelfCost {
  return { nullOperationNs: nullOperationNs(operations), ...measureClock(() => operations.fabric.nowNs()) };
}

/**
 * The least mean over batches of null operations, in ns: a request is staged with key and value, ends at
 * once, its value is checked, and it is recorded; all but the store. All are of one key, which is in the
 * cache: it is a floor. Every SEARCH finds the value that was staged last, which is sound.
 */
export function nullOperationNs({ coroutine, fabric, keys, stream }: NullOperations): number | null {
  const { local } = fabric;
  if (stream.length === 0) return null;
  const source = new StreamSource({
    local,
    streams: [nullStream(stream)],
    keys,
    frontier: null,
    writer: 0,
    measureNs: 0,
    endsWithFirst: false,
  });
  let least = Infinity;
  // The first one stages the value that SEARCHes find, where they would have read it.
  play(source, coroutine, 1);
  const { cx } = coroutine;
  const valueAt = cx.keyAt + cx.keyBytes;
  local.bytes.copyWithin(cx.matchArea, valueAt, valueAt + cx.valueBytes);
  for (let batch = 0; batch < BATCHES; batch++) {
    const startNs = fabric.nowNs();
    play(source, coroutine, BATCH);
    least = Math.min(least, (fabric.nowNs() - startNs) / BATCH);
  }
  if (source.wrongValues > 0) throw new Error(`${source.wrongValues} null operations found wrong values`);
  return least;
}

/** Plays requests that end at once, as the reactor would. */
function play(source: StreamSource, coroutine: Coroutine, requests: number): void {
  const { cx } = coroutine;
  for (let i = 0; i < requests; i++) {
    if (source.next(coroutine) === null) return;
    cx.outcome = Outcome.OK;
    cx.foundAt = cx.matchArea;
    cx.foundBytes = cx.valueBytes;
    source.ledger(coroutine);
    source.ended(coroutine, 1, 1001);
  }
}

/** An UPDATE, and then the kinds of the stream, over and over, of its first key. */
function nullStream({ kinds, keys, valueBytes }: RequestStream): RequestStream {
  const length = 1 + BATCHES * BATCH;
  return {
    length,
    valueBytes,
    kinds: Uint8Array.from({ length }, (_, i) =>
      i === 0 ? RequestKind.UPDATE : kinds[(i - 1) % kinds.length],
    ),
    keys: new Float64Array(length).fill(keys[0]),
    fromLatest: new Uint8Array(length),
    hash: '',
  };
}

/** What one read of a clock costs in the best batch, its smallest step, and how often it went back. */
export function measureClock(nowNs: () => number): Omit<SelfCost, 'nullOperationNs'> {
  let least = Infinity;
  let step = Infinity;
  let backwards = 0;
  let last = nowNs();
  for (let batch = 0; batch < BATCHES; batch++) {
    const startNs = last;
    for (let i = 0; i < READS; i++) {
      const now = nowNs();
      if (now < last) backwards++;
      else if (now > last && now - last < step) step = now - last;
      last = now;
    }
    if (last >= startNs) least = Math.min(least, (last - startNs) / READS);
  }
  return {
    clockReadNs: least === Infinity ? 0 : least,
    clockStepNs: step === Infinity ? null : step,
    clockBackwards: backwards,
  };
}
