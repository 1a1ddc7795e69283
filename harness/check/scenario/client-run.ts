/**
 * One client of a scenario, run by the product's own generators: its program, request after request.
 *
 * The run stops at every batch; whoever drives it executes the verbs in an order of its own and resumes.
 * Besides what the generators compute, a run tells the explorer what lives on from one request to the next:
 * see {@link lasting}.
 */
import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import { IndexCache } from '../../../fusee/index/index.js';
import { HEADER_BYTES } from '../../../fusee/layout/index.js';
import { GRACE_BYTES } from '../../../fusee/memory/index.js';
import {
  ClientState,
  CONTEXT_BYTES,
  type Context,
  type Coroutine,
  continueRequest,
  type Decisions,
  isInterrupted,
  makeCoroutine,
  Outcome,
  openRounds,
  RequestKind,
} from '../../../fusee/ops/index.js';
import { Fate, fateOf } from '../../../fusee/ops/mend.js';
import {
  CorruptionError,
  DONE,
  formatWord,
  LocalMemory,
  Opcode,
  type OpLoop,
  type VerbBatch,
} from '../../../fusee/verbs/index.js';
import { bareWriteLoop } from './bare-write.js';
import type { TinyPool } from './pool.js';
import { type Step, writtenValue } from './scenario.js';

/** Result of a SEARCH that found value v: this plus v. Other results are the product's outcomes. */
export const FOUND = 8;

/** Registered memory of one run. */
export const RUN_BYTES: number = CONTEXT_BYTES + GRACE_BYTES + 4096;

/** An object that a request has taken a cell for. */
export interface TakenObject {
  /** Pointer of the cell's last line; objects here have one line. */
  readonly cell: number;
  readonly operation: number;
  /** Index of the request. */
  readonly request: number;
}

/** What an explorer drives: a client's program, or a recovery. */
export interface Run {
  readonly batch: VerbBatch | null;
  readonly request: number;
  readonly responses: readonly number[];
  readonly isFresh: boolean;
  readonly error: string | undefined;
  readonly isUnavailable: boolean;
  readonly isCut: boolean;
  readonly verdicts: number;
  readonly objects: readonly TakenObject[];
  readonly cx: Context;
  /** Operation of the request being served: an INSERT may choose among free slots. */
  readonly kind: number;
  /** The cell that was handed back and will be used again, or 0. */
  readonly returnedCell: number;
  /** What it would tell a master that stops it now. */
  readonly openSlots: readonly number[];
  readonly isInterruptible: boolean;
  start(): void;
  resume(choice?: number): void;
  lasting(): string;
}

/** A client and its program. */
export class ClientRun implements Run {
  readonly pool: TinyPool;
  readonly client: number;
  readonly coroutine: Coroutine;
  readonly cx: Context;
  /** The batch that the run waits for; null when its program is done, or it failed. */
  batch: VerbBatch | null = null;
  /** Index of the request being served. */
  request = 0;
  /** Results of the requests that the last resume completed. */
  readonly responses: number[] = [];
  /** The pending batch is the first of a request, or of one more attempt of an INSERT. */
  isFresh = false;
  /** A CorruptionError: an invariant that the generators check does not hold. */
  error: string | undefined;
  /** The request ended without knowing its effect: the client is as good as dead. */
  isUnavailable = false;
  /** The request used up its objects: the branch is cut here. */
  isCut = false;
  /** Bit v set: verdict v was reached. */
  verdicts = 0;
  /** The last object of earlier requests, then those of the request being served, oldest first. */
  readonly objects: TakenObject[] = [];
  readonly #hasBlock: boolean;
  #loops: readonly OpLoop[];
  /** The rest of a request that a change of the view interrupted. */
  #rest: OpLoop | undefined;
  /** The rest goes on where the request stood; else it has begun again. */
  #resumes = false;
  readonly #deferred: number[] = [];
  #holds = false;
  #taken = 0;
  #cache = '';

  /** @param options.hasBlock false: the client must ask for its first block. */
  constructor(pool: TinyPool, client: number, options: { buffer?: ArrayBuffer; hasBlock?: boolean } = {}) {
    const buffer = options.buffer ?? new ArrayBuffer(RUN_BYTES);
    this.#hasBlock = options.hasBlock ?? true;
    this.pool = pool;
    this.client = client;
    const { scenario } = pool;
    const local = new LocalMemory(buffer, crc32cOver(buffer));
    local.bytes.fill(0);
    const state = new ClientState({
      view: pool.viewWithout(),
      local,
      cache: new IndexCache({ bytes: scenario.isCached ? 4096 : 0, keyBytes: 32, threshold: 1 }),
      cid: client + 1,
      coroutines: 1,
    });
    if (this.#hasBlock) {
      state.slab.addBlock(0, pool.blockOf(client));
      // Its log head is taken for written: it concerns nobody here.
      state.slab.open(0, 0);
    }
    this.coroutine = makeCoroutine(state, 0);
    this.cx = this.coroutine.cx;
    this.#observe();
    this.#loops = this.#makeLoops();
    if (scenario.isCached) this.#warmCache();
  }

  get openSlots(): readonly number[] {
    return openRounds(this.cx.client).map(({ slot }) => slot);
  }

  get kind(): number {
    return this.#step()?.kind ?? -1;
  }

  get returnedCell(): number {
    return this.#holds ? 0 : this.cx.cell;
  }

  /** Begins the program. */
  start(): void {
    this.#stage();
    this.#advance();
  }

  /**
   * Takes the batch's results and runs on to the next batch.
   * @param choice which of the free slots an INSERT shall take, where it may take any.
   */
  resume(choice = 0): void {
    const { place } = this.cx;
    // The bits of the hash that choose among free slots: the explorer chooses in their place.
    // With a cache the hash stays as it is, since the cache finds its entries by it.
    if (this.isFresh && !this.pool.scenario.isCached)
      place.placeHash = ((place.placeHash & ~(127 << 17)) | (choice << 17)) >>> 0;
    this.#advance();
  }

  /**
   * Goes on in the view in which node `mn` is dead, with what the master decided of open slots. Again and
   * again: what was aimed in the former view may meet the dead node once more.
   * @param choice as for {@link resume}, where the request was not interrupted.
   */
  adopt(mn: number, decided: Decisions, choice = 0): void {
    const { cx, batch } = this;
    const { view, grace } = cx.client;
    if (batch === null) throw new Error('a client that has ended adopts no view');
    let isOpen = false;
    if (view.number === 1) {
      const control = view.controlMn;
      view.change(2, [mn]);
      grace.adoptTable(control !== view.controlMn);
      isOpen = isInterrupted(cx);
    }
    if (!isOpen && fateOf(batch, view) === Fate.GO_ON) this.resume(choice);
    else this.#continue(isOpen ? decided : new Map());
  }

  #continue(decided: Decisions): void {
    const { variant } = this.pool.scenario;
    this.#resumes = true;
    this.#rest =
      variant?.continues?.(this, decided) ??
      continueRequest(this.coroutine, this.kind as RequestKind, decided);
    this.#loops = this.#makeLoops();
    this.#advance();
  }

  /** Does the death of the MN that may die interrupt the request in hand? */
  get isInterruptible(): boolean {
    return this.pool.viewAfter.hasChanged(this.cx.place.combined[0]);
  }

  #makeLoops(): OpLoop[] {
    const { pool, cx, coroutine } = this;
    const variant = pool.scenario.variant?.loops?.(this) ?? [];
    const product = [...coroutine.loops, bareWriteLoop(cx, pool.slotOffsets[0])];
    return product.map((loop, kind) => variant[kind] ?? loop);
  }

  /**
   * What outlives a request: cells, waiting resets, cache. Between requests two runs that agree in it, in
   * client and request, behave alike from then on: every generator stands at the top of its loop, and reads
   * nothing else before it has written it.
   */
  lasting(): string {
    const { slab } = this.cx.client;
    const cells = [slab.cellsUsed, slab.nextOf(0, 0), slab.prevOf(0, 0), this.#holds];
    const { view } = this.cx.client;
    const rest = this.#rest === undefined ? '' : this.#resumes;
    // A change of the view asks how far the request has come.
    const { round, wasProposed } = this.cx.write;
    const { holdsCell, cell, aimedAt, operation } = this.cx;
    const asked = this.pool.scenario.dying >= 0 && view.number === 1;
    const sofar = asked ? `${round},${wasProposed},${holdsCell},${cell},${aimedAt},${operation}` : '';
    return `${view.number}|${rest}|${sofar}|${this.#lasting(cells)}`;
  }

  #lasting(cells: readonly unknown[]): string {
    return `${cells}|${this.#deferred}|${this.#cache}|${this.objects.map((o) => o.cell)}|${this.cx.torn}`;
  }

  #advance(): void {
    this.responses.length = 0;
    this.isFresh = false;
    this.batch = null;
    try {
      for (;;) {
        const next = (this.#rest ?? this.#loops[this.#step().kind]).next().value;
        if (next !== DONE) {
          this.batch = next;
          this.isCut = this.#taken > this.pool.scenario.objectsMax || (this.#hasBlock && isRpc(next));
          return;
        }
        if (!this.#complete()) return;
      }
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.error = error.message;
    }
  }

  #step(): Step {
    return this.pool.scenario.programs[this.client][this.request];
  }

  /** Notes the response; false when the program has ended. */
  #complete(): boolean {
    const { cx } = this;
    this.#rest = undefined;
    if (cx.outcome === Outcome.UNAVAILABLE) {
      this.isUnavailable = true;
      this.verdicts |= 1 << 7;
      return false;
    }
    const isSearch = this.#step().kind === RequestKind.SEARCH;
    const value = cx.client.local.bytes[cx.foundAt];
    this.responses.push(isSearch && cx.outcome === Outcome.OK ? FOUND + value : cx.outcome);
    this.request++;
    // The last object stays: while the next request's is not there, recovery takes this one for the one in
    // flight.
    this.objects.splice(0, this.objects.length - 1);
    this.#taken = 0;
    if (this.request === this.pool.scenario.programs[this.client].length) return false;
    this.#stage();
    return true;
  }

  #stage(): void {
    const { cx } = this;
    const key = this.pool.keys[this.#step().key].bytes;
    const { bytes } = cx.client.local;
    bytes.set(key, cx.keyAt);
    bytes[cx.keyAt + key.length] = writtenValue(this.client, this.request);
    cx.keyBytes = key.length;
    cx.valueBytes = 1;
  }

  #take(object: TakenObject): void {
    const before = this.objects.findIndex((o) => o.cell === object.cell);
    if (before >= 0) this.objects.splice(before, 1);
    this.objects.push(object);
    this.#taken++;
  }

  /** Listens to the calls that change what lasts, without changing them. */
  #observe(): void {
    const { cx } = this;
    const { cache } = cx.client;
    const { takeCell, dropCell, deferReset, startBatch, learn, forget } = cx;
    cx.takeCell = (operation) => {
      const took = takeCell.call(cx, operation);
      if (took) this.#take({ cell: cx.cell, operation, request: this.request });
      this.#holds = took;
      return took;
    };
    cx.dropCell = (operation) => {
      dropCell.call(cx, operation);
      this.#holds = false;
    };
    cx.deferReset = (operation) => {
      deferReset.call(cx, operation);
      this.#deferred.push(cx.cell);
    };
    cx.startBatch = () => {
      this.#deferred.length = 0;
      this.isFresh = true;
      this.#resumes = false;
      return startBatch.call(cx);
    };
    const known = new Map<string, string>();
    const note = (text: string | undefined): void => {
      if (cache.bytes === 0) return;
      const key = Buffer.from(cx.client.local.bytes.buffer, cx.keyAt, cx.keyBytes).toString('latin1');
      if (text === undefined) known.delete(key);
      else known.set(key, text);
      this.#cache = [...known].sort().join(';');
    };
    cx.learn = (slot, slotWord, own) => {
      learn.call(cx, slot, slotWord, own);
      note(`${slot}=${formatWord(slotWord)}`);
    };
    cx.forget = () => {
      forget.call(cx);
      note(undefined);
    };
    let verdict: number = cx.write.verdict;
    Object.defineProperty(cx.write, 'verdict', {
      get: () => verdict,
      set: (value: number) => {
        verdict = value;
        this.verdicts |= 1 << value;
      },
    });
  }

  /** As if this client had just read every key that is there at the start. */
  #warmCache(): void {
    const { cx, pool } = this;
    pool.scenario.slots.forEach((key, slot) => {
      if (key < 0) return;
      const { bytes } = pool.keys[key];
      cx.client.local.bytes.set(bytes, cx.object + HEADER_BYTES);
      cx.keyBytes = bytes.length;
      cx.begin();
      cx.learn(pool.slotOffsets[slot], pool.initialWords[slot], false);
    });
  }
}

function isRpc(batch: VerbBatch): boolean {
  for (let i = 0; i < batch.count; i++) if (batch.opcode(i) === Opcode.RPC) return true;
  return batch.count === 0;
}
