/** Clients of a growing index, moved by hand, verb by verb: for tests of interleavings. */
import { stage } from '../client/sequential.js';
import { executePart, executeVerb } from '../fabric/execute-verb.js';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import { IndexCache } from '../index/index.js';
import type { View } from '../layout/index.js';
import {
  advancePeriod,
  ClientState,
  CONTEXT_BYTES,
  type Coroutine,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  enterPool,
  makeCoroutine,
  type RequestKind,
} from '../ops/index.js';
import { Field, type Op, Opcode, VerbBatch } from '../verbs/index.js';
import { SPLITTER_BYTES, Splitter } from './split.js';

/** Something that goes on batch by batch. */
export interface Thread {
  /** What it waits for; undefined when it has nothing to do. */
  batch: VerbBatch | undefined;
  /** The batch is executed: takes the next one. */
  resume(): void;
}

/** Decides; `below(n)` gives 0 to n - 1. */
export interface Lots {
  below(n: number): number;
}

/** A posted batch, executed verb by verb: in order for each node, in any order between them. */
export class Posted {
  readonly #nodes: MemoryNodes;
  readonly #batch: VerbBatch;
  /** Verbs not executed yet, ascending, and bytes of each that have landed. */
  readonly #left: number[];
  readonly #landed = new Map<number, number>();

  constructor(nodes: MemoryNodes, batch: VerbBatch) {
    this.#nodes = nodes;
    this.#batch = batch;
    this.#left = Array.from({ length: batch.count }, (_, i) => i);
  }

  get isDone(): boolean {
    return this.#left.length === 0;
  }

  /** Executes one verb that may come next, or a first part of a WRITE. */
  step(lots: Lots): void {
    const batch = this.#batch;
    const first = new Map<number, number>();
    for (const i of this.#left) if (!first.has(batch.mn(i))) first.set(batch.mn(i), i);
    const heads = [...first.values()];
    const i = heads[lots.below(heads.length)];
    const length = batch.field(i, Field.LENGTH);
    const from = this.#landed.get(i) ?? 0;
    if (batch.opcode(i) === Opcode.WRITE && length > 8 && from === 0 && lots.below(4) === 0) {
      const to = 8 * Math.ceil((1 + lots.below(length - 8)) / 8);
      executePart(this.#nodes, batch, i, { fromBytes: 0, toBytes: to });
      this.#landed.set(i, to);
      return;
    }
    if (from > 0) executePart(this.#nodes, batch, i, { fromBytes: from, toBytes: length });
    else executeVerb(this.#nodes, batch, i);
    this.#left.splice(this.#left.indexOf(i), 1);
  }
}

/** A client with coroutines and a background that ends periods and splits. */
export class GrowingClient {
  readonly state: ClientState;
  readonly coroutines: readonly Coroutine[];
  readonly splitter: Splitter;
  readonly background: Thread;

  constructor(
    nodes: MemoryNodes,
    options: {
      view: View;
      cid: number;
      coroutines?: number;
      cacheBytes?: number;
      makeSplitter?: (state: ClientState) => Splitter;
    },
  ) {
    const { view, cid, coroutines = 1, makeSplitter = (state) => new Splitter(state) } = options;
    const localBytes = coroutines * CONTEXT_BYTES + SPLITTER_BYTES + (1 << 15);
    const { local } = new MemoryFabric(nodes, { localBytes });
    const cache = new IndexCache({ bytes: options.cacheBytes ?? 1 << 13, keyBytes: 32, threshold: 1 });
    this.state = new ClientState({ view, local, cache, cid, coroutines });
    this.coroutines = Array.from({ length: coroutines }, (_, i) => makeCoroutine(this.state, i));
    this.splitter = makeSplitter(this.state);
    this.background = threadOf(this.#run());
  }

  /** May requests begin? */
  get isReady(): boolean {
    return this.state.grace.isActive;
  }

  /** A request as a thread; `onEnd` hears of its end. */
  request(i: number, kind: RequestKind, key: string, value: string, onEnd: () => void): Thread {
    const coroutine = this.coroutines[i];
    stage(coroutine, Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'));
    coroutine.cx.write.expired = false;
    const loop = coroutine.loops[kind];
    const thread: Thread = {
      batch: undefined,
      resume: () => {
        thread.batch = loop.next().value ?? undefined;
        if (thread.batch === undefined) onEnd();
      },
    };
    thread.resume();
    return thread;
  }

  *#run(): Op<never> {
    const { state, splitter } = this;
    const { local } = state;
    const room = {
      batch: new VerbBatch(local, DIRECTORY_READ_VERBS),
      into: local.reserve(DIRECTORY_READ_BYTES),
    };
    const idle = new VerbBatch(local, 1);
    while (!(yield* enterPool(state, room)));
    for (;;) {
      yield* advancePeriod(state, room);
      if (splitter.isWanted) yield* splitter.tend();
      idle.reset().isPoll = true;
      yield idle;
    }
  }
}

/** An operation as a thread. */
export function threadOf(op: Op<unknown>): Thread {
  const thread: Thread = {
    batch: undefined,
    resume: () => {
      const step = op.next();
      thread.batch = step.done === true ? undefined : step.value;
    },
  };
  thread.resume();
  return thread;
}
