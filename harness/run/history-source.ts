/**
 * Records the history of a client's requests for the linearizability check, around whatever source feeds it.
 *
 * An operation's interval runs from before its first post to after its last completion, on the host's one
 * monotonic clock: wider than the truth, so a violation found is a violation.
 */

import type { RequestSource } from '../../fusee/client/request-source.js';
import { type Coroutine, Outcome, RequestKind } from '../../fusee/ops/index.js';
import type { Ledger, OpLoop } from '../../fusee/verbs/index.js';
import { readStamp, strideKeyCount } from '../../workloads/index.js';
import { endedAs } from '../check/ended.js';
import { type History, NO_VALUE } from '../check/linearizability/index.js';

/** What the recorder must know of the request that a coroutine is serving. */
export interface Observed extends RequestSource {
  /** Key number of the request in flight. */
  keyOf(coroutine: number): number;
  /** Sequence number in the value that was staged last. */
  readonly sequence: number;
}

/** Key numbers are sparse: loaded keys, then a stride for each coroutine of each client. */
export interface KeySpace {
  readonly records: number;
  /** Keys that one stride uses at most. */
  readonly perStride: number;
}

/** A dense id of a key number, the same in all clients. */
export function historyKey(key: number, space: KeySpace): number {
  if (key < space.records) return key;
  const stride = Math.floor((key - space.records) / strideKeyCount);
  return space.records + stride * space.perStride + ((key - space.records) % strideKeyCount);
}

/** The id of a value: who wrote it, and which of its writes. */
export const valueId = (writer: number, sequence: number): number => writer * 2 ** 32 + sequence;

/** Where operations are recorded: memory, or a file that outlives the process. */
export type HistorySink = Pick<History, 'begin' | 'complete'>;

/** Wraps a source; every request it feeds becomes a row of the history. */
export class HistorySource implements RequestSource {
  readonly #inner: Observed;
  readonly #history: HistorySink;
  readonly #space: KeySpace;
  readonly #writer: number;
  readonly #nowNs: () => number;
  readonly #rows: Int32Array;
  readonly #kinds: Uint8Array;

  constructor(
    inner: Observed,
    options: {
      history: HistorySink;
      space: KeySpace;
      writer: number;
      coroutines: number;
      nowNs: () => number;
    },
  ) {
    this.#inner = inner;
    this.#history = options.history;
    this.#space = options.space;
    this.#writer = options.writer;
    this.#nowNs = options.nowNs;
    this.#rows = new Int32Array(options.coroutines);
    this.#kinds = new Uint8Array(options.coroutines);
  }

  next(coroutine: Coroutine): OpLoop | null {
    const invocationNs = this.#nowNs();
    const loop = this.#inner.next(coroutine);
    if (loop === null) return null;
    const i = coroutine.cx.coroutine;
    // The loop tells the kind: a read-modify-write is two operations, a SEARCH and an UPDATE.
    const kind = coroutine.loops.indexOf(loop);
    const writes = kind !== RequestKind.SEARCH && kind !== RequestKind.DELETE;
    const value = writes ? valueId(this.#writer, this.#inner.sequence) : NO_VALUE;
    const client = this.#writer * coroutine.cx.client.coroutines + i;
    const key = historyKey(this.#inner.keyOf(i), this.#space);
    this.#kinds[i] = kind;
    this.#rows[i] = this.#history.begin(client, key, kind as never, value, invocationNs);
    return loop;
  }

  ended(coroutine: Coroutine, postedNs: number, completedNs: number): void {
    const { cx } = coroutine;
    const i = cx.coroutine;
    let read = NO_VALUE;
    if (this.#kinds[i] === RequestKind.SEARCH && cx.outcome === Outcome.OK) {
      const { buffer } = cx.client.local;
      const stamp = readStamp(new DataView(buffer), cx.foundAt, cx.foundBytes);
      read = valueId(stamp.writer ?? 0, stamp.sequence ?? 0);
    }
    const outcome = endedAs(cx.outcome);
    this.#history.complete(this.#rows[i], outcome, read, Math.max(completedNs, this.#nowNs()));
    this.#inner.ended(coroutine, postedNs, completedNs);
  }

  ledger(coroutine: Coroutine): Ledger {
    return this.#inner.ledger(coroutine);
  }
}
