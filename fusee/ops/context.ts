/** What one coroutine owns. */
import { CANDIDATE_BYTES, hashKey, type KeyPlace, keyPlace, placeKey } from '../index/index.js';
import {
  COMBINED_BYTES,
  classOfLines,
  HEADER_BYTES,
  LINE_BYTES,
  LogField,
  LogOperation,
  MAX_LINES,
  makeSlot,
  objectLines,
  ownerPointer,
  putPointer,
  SINGLE,
  stageOldValue,
} from '../layout/index.js';
import { Allocator, NO_PERIOD } from '../memory/index.js';
import { commitLoop, proposeLoop, Round, SlotWrite } from '../replication/index.js';
import { DONE, type OpLoop, Stage, VerbBatch, type Word, word } from '../verbs/index.js';
import type { ClientState } from './client-state.js';
import type { Hint, Located } from './locate.js';

/** How a request ended. Values, never exceptions: other clients can cause each of them. */
export const Outcome = {
  OK: 1,
  NOT_FOUND: 2,
  EXISTS: 3,
  /** Every node's blocks are taken. No effect. */
  NO_MEMORY: 4,
  /** All candidate slots of the key are taken. No effect. */
  INDEX_FULL: 5,
  /** A replica was silent, or the deadline passed: the request may or may not have taken effect. */
  UNAVAILABLE: 6,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

const STAGE_BYTES = (MAX_LINES + 1) * LINE_BYTES;
/** Room for the objects that matches read: four of the longest, or all candidates of up to 2 KiB. */
const MATCH_BYTES = 4 * STAGE_BYTES;
/** Verbs of the largest batch: all candidates, both buckets and the deferred resets fit. */
const BATCH_VERBS = 64;
/** Log resets that may wait for the coroutine's next batch. */
const DEFERRED_LIMIT = 2;

/** Registered memory that one coroutine needs. */
export const CONTEXT_BYTES: number = 2 * STAGE_BYTES + MATCH_BYTES + (BATCH_VERBS + 40) * 64 + 4096;

/** Loops of the stages that requests share. */
export interface SharedStages {
  match(cx: Context): OpLoop;
  locate(cx: Context): OpLoop;
}

/**
 * One coroutine: its staged object, its buffers, its slot write, and the request it is serving.
 *
 * A driver stages a request (`keyBytes`, the key at {@link keyAt}, `valueBytes`, the value behind the key),
 * runs the request's loop to DONE, and reads `outcome` (SEARCH: `foundAt`, `foundBytes`).
 */
export class Context {
  readonly client: ClientState;
  readonly coroutine: number;
  readonly batch: VerbBatch;
  readonly write: SlotWrite;
  readonly place: KeyPlace;
  /** Stages that the requests share. */
  propose!: Stage;
  commit!: Stage;
  match!: Stage;
  locate!: Stage;
  readonly allocator: Allocator;
  /** Registered words: what a log head is to say. */
  readonly headWords: number;

  /** Staged object of INSERT and UPDATE; SEARCH and DELETE read only the key. */
  readonly object: number;
  /** Staged log object of a DELETE: its own place, so that a value staged ahead of time survives. */
  readonly tombstone: number;
  /** Offset of the staged key. */
  readonly keyAt: number;
  keyBytes = 0;
  valueBytes = 0;
  /** {@link place} is already the staged key's. */
  isPrepared = false;
  /**
   * The client's period when the request began; NO_PERIOD between requests, and while one waits to begin.
   * Until it ends, nothing that it may have seen is reused or moved.
   */
  period: number = NO_PERIOD;
  outcome: Outcome = Outcome.OK;
  /** SEARCH, OK: the value in registered memory; valid until the coroutine's next request. */
  foundAt = 0;
  foundBytes = 0;
  /**
   * The request changed nothing because another writer won its round, and this counts as done just before.
   */
  lostRound = false;

  /** Both combined buckets on the primary, and on the first backup. */
  readonly buckets: number;
  readonly backupBuckets: number;
  readonly matchArea: number;
  readonly matchBytes = MATCH_BYTES;
  /** Result of {@link match}: the candidate that holds the key or -1; its word; its object. */
  matched = -1;
  readonly matchedWord: Word = word();
  matchedAt = 0;
  /** Objects whose checksum did not hold. */
  torn = 0;

  /** The cache's hint (`locate.ts`): its slot and word, and the verb that reads the slot. */
  isHit = false;
  hint: Hint = 0;
  hintSlot = -0;
  hintRead = 0;
  /** The hinted word was seen in its slot in this request's period: its cell has found no other use since. */
  isHintFresh = false;
  readonly hintWord: Word = word();
  readonly scratch: Word = word();
  /** Result of {@link locate}: the key's slot, with its word in {@link matchedWord}. */
  located: Located = 0;
  slot = -0;

  /** The cell in use: pointer of its last line, lines and class of its object. */
  cell = -0;
  lines = 0;
  sizeClass = 0;
  /** The request has taken a cell. */
  holdsCell = false;
  /** What the object in the cell was sealed for. */
  operation: LogOperation = LogOperation.INSERT;
  /** The slot that {@link write} is for, as logical offset. */
  aimedAt = -0;
  readonly #deferred = new Float64Array(DEFERRED_LIMIT);
  readonly #deferredOperation = new Uint8Array(DEFERRED_LIMIT);
  #deferredCount = 0;
  readonly #stages: SharedStages;

  constructor(client: ClientState, coroutine: number, stages: SharedStages) {
    const { local, view } = client;
    this.client = client;
    this.coroutine = coroutine;
    this.batch = new VerbBatch(local, BATCH_VERBS);
    this.write = new SlotWrite(this.batch);
    const { directory } = client;
    this.place = keyPlace({ directory, groups: view.geometry.config.groupsPerSubtable });
    this.allocator = new Allocator({ view, slab: client.slab, cid: client.cid, local }, coroutine);
    this.headWords = local.reserve(16);
    this.object = local.reserve(STAGE_BYTES);
    this.tombstone = local.reserve(STAGE_BYTES);
    this.buckets = local.reserve(CANDIDATE_BYTES);
    this.backupBuckets = local.reserve(CANDIDATE_BYTES);
    this.matchArea = local.reserve(MATCH_BYTES);
    this.keyAt = this.object + HEADER_BYTES;
    this.write.bucketsLocal = this.backupBuckets;
    this.#stages = stages;
    this.arm();
    client.contexts.push(this);
  }

  /** Makes the stages anew: those that a request was interrupted in are left where they stood. */
  arm(): void {
    this.propose = new Stage(proposeLoop(this.write));
    this.commit = new Stage(commitLoop(this.write));
    this.match = new Stage(this.#stages.match(this));
    this.locate = new Stage(this.#stages.locate(this));
  }

  /**
   * Hashes the staged key ahead of the request, so that a driver of many coroutines can fetch what their
   * cache look-ups will touch, all at once. Gives where the cache has the key, if it has it.
   */
  prepare(): number {
    hashKey(this.place, this.client.local, this.keyAt, this.keyBytes);
    this.isPrepared = true;
    return this.client.cache.setOf(this.place);
  }

  /**
   * Begins a request on the staged key. Period and directory are taken at one stroke (`memory/grace.ts`).
   */
  begin(): void {
    if (!this.isPrepared) hashKey(this.place, this.client.local, this.keyAt, this.keyBytes);
    placeKey(this.place);
    this.period = this.client.grace.period;
    this.isPrepared = false;
    this.lostRound = false;
    this.torn = 0;
    this.write.round = Round.NONE;
  }

  /**
   * Ends a request, its outcome being set: it remembers no address any more. A request of which nobody knows
   * whether it took effect leaves its log list behind for recovery.
   */
  end(): void {
    this.period = NO_PERIOD;
    if (!this.holdsCell) return;
    this.holdsCell = false;
    const { slab } = this.client;
    if (this.outcome === Outcome.UNAVAILABLE) slab.abandon(this.coroutine, this.sizeClass);
    else slab.finish(this.coroutine, this.sizeClass);
  }

  /** Takes a cell for the staged object; false when its class needs a block: {@link refill}, then again. */
  takeCell(operation: LogOperation): boolean {
    const valueBytes = operation === LogOperation.DELETE ? 0 : this.valueBytes;
    this.lines = objectLines(this.keyBytes, valueBytes);
    this.sizeClass = classOfLines(this.lines);
    this.cell = this.client.slab.take(this.coroutine, this.sizeClass, operation);
    this.holdsCell = this.cell !== 0;
    return this.holdsCell;
  }

  /** Hands the cell back, to which nothing has been written. */
  returnCell(): void {
    this.client.slab.giveBack(this.coroutine, this.sizeClass);
    this.holdsCell = false;
  }

  /** Hands the cell back, unproposed, with its log entry's used bit to be reset in the next batch. */
  dropCell(operation: LogOperation): void {
    this.deferReset(operation);
    this.client.slab.giveBack(this.coroutine, this.sizeClass);
  }

  /**
   * Leaves the current cell, whose object others have seen and whose used bit has been reset, to reclaim. Its
   * list goes on behind it.
   */
  loseCell(): void {
    this.client.frees.cells.push(this.cell);
    this.leaveCell();
  }

  /**
   * Leaves the object that a slot named until this request replaced it to reclaim; nothing if it named none.
   * The operation in the current cell ends at the same stroke, with the request or by {@link leaveCell}: its
   * list's `freed` must not stay behind a bit for as long as a request may go on (`memory/log-head.ts`).
   */
  freeReplaced(slotWord: Word): void {
    if ((slotWord.hi | slotWord.lo) !== 0) this.client.frees.objects.push(ownerPointer(slotWord));
  }

  /** The operation in the current cell is over, and the request goes on with another. */
  leaveCell(): void {
    this.client.slab.finish(this.coroutine, this.sizeClass);
  }

  /** Pointer of the object in the current cell: objects end where their cell ends. */
  get objectPointer(): number {
    return this.cell - (this.lines - 1) * LINE_BYTES;
  }

  /** Completes the staged object: header, CRC, zeroed padding, log entry. */
  seal(operation: LogOperation): void {
    const { bytes, words } = this.client.local;
    this.operation = operation;
    this.write.round = Round.NONE;
    this.write.wasProposed = false;
    this.write.undoes = false;
    const isDelete = operation === LogOperation.DELETE;
    const at = isDelete ? this.tombstone : this.object;
    const valueBytes = isDelete ? 0 : this.valueBytes;
    if (isDelete) bytes.copyWithin(at + HEADER_BYTES, this.keyAt, this.keyAt + this.keyBytes);
    const lengths = (this.keyBytes | (valueBytes << 16)) >>> 0;
    const payload = this.keyBytes + valueBytes;
    words[at >>> 2] = lengths;
    words[(at >>> 2) + 1] = this.client.local.crc32c(at + HEADER_BYTES, payload, lengths);
    const end = at + this.lines * LINE_BYTES;
    let zero = at + HEADER_BYTES + payload;
    for (; (zero & 3) !== 0 && zero < end + LogField.NEXT; zero++) bytes[zero] = 0;
    for (; zero + 4 <= end + LogField.NEXT; zero += 4) words[zero >>> 2] = 0;
    for (; zero < end + LogField.NEXT; zero++) bytes[zero] = 0;
    putPointer(bytes, end + LogField.NEXT, this.client.slab.nextOf(this.coroutine, this.sizeClass));
    putPointer(bytes, end + LogField.PREV, this.client.slab.prevOf(this.coroutine, this.sizeClass));
    for (let i = end + LogField.OLD_VALUE; i < end + LogField.OPERATION; i++) bytes[i] = 0;
    const { view } = this.client;
    if (
      view.number > 1 &&
      view.slotCount(this.place.combined[0]) < 2 &&
      view.geometry.config.indexReplicas > 1
    )
      stageOldValue(bytes, end, SINGLE);
    bytes[end + LogField.OPERATION] = (operation << 1) | 1;
    this.write.stagedEnd = end;
    this.aimObject();
  }

  /** Notes where the object's log entry lies on each data replica. */
  aimObject(): void {
    const { objectEnd } = this.write;
    this.client.view.dataReplicas(this.cell, objectEnd);
    for (let r = 0; r < objectEnd.count; r++) objectEnd.offsetBytes[r] += LINE_BYTES;
  }

  /** Appends the WRITEs of the sealed object to all data replicas. */
  appendObject(): void {
    const { objectEnd, stagedEnd } = this.write;
    const lengthBytes = this.lines * LINE_BYTES;
    for (let r = 0; r < objectEnd.count; r++) {
      this.batch.write(
        objectEnd.mn[r],
        objectEnd.offsetBytes[r] - lengthBytes,
        stagedEnd - lengthBytes,
        lengthBytes,
      );
    }
  }

  /** Appends READs of both combined buckets on replica `replica` to `into`. */
  appendBuckets(replica: number, into: number): void {
    const { view } = this.client;
    const { combined } = this.place;
    const mn = view.slotMn(combined[0], replica);
    this.batch.read(mn, view.slotOffset(combined[0]), into, COMBINED_BYTES);
    this.batch.read(mn, view.slotOffset(combined[1]), into + COMBINED_BYTES, COMBINED_BYTES);
  }

  /** Names the slot to write, and the word to write there. */
  aim(slot: number, lines: number): void {
    this.aimedAt = slot;
    this.client.view.slotReplicas(slot, this.write.slot);
    makeSlot(this.write.vNew, this.objectPointer, lines, this.place.fingerprint);
  }

  /** Lets the current cell's used bit be reset by the coroutine's next batch, ahead of its own verbs. */
  deferReset(operation: LogOperation): void {
    if (this.#deferredCount === DEFERRED_LIMIT) return;
    this.#deferred[this.#deferredCount] = this.cell;
    this.#deferredOperation[this.#deferredCount++] = operation;
  }

  /**
   * Starts a request's first batch with the resets that wait. They go first: verbs to one MN execute in
   * order, so a cell's used bit is clear before its next object begins to land (hazard H9).
   */
  startBatch(): VerbBatch {
    const b = this.batch.reset();
    for (let i = 0; i < this.#deferredCount; i++)
      this.#appendReset(this.#deferred[i], this.#deferredOperation[i]);
    if (this.#deferredCount > 0) b.markBackground();
    this.#deferredCount = 0;
    return b;
  }

  /** A batch that resets the used bit of the current cell: a loser waits for it before it answers. */
  resetBatch(operation: LogOperation): VerbBatch {
    this.batch.reset();
    this.#appendReset(this.cell, operation);
    return this.batch;
  }

  #appendReset(cell: number, operation: number): void {
    const { view } = this.client;
    const source = this.client.unusedBytes + operation;
    for (let r = 0; r < view.dataCount(cell); r++) {
      this.batch.write(
        view.dataMn(cell, r),
        view.dataOffset(cell, r) + LINE_BYTES + LogField.OPERATION,
        source,
        1,
      );
    }
  }

  /** Remembers where the key lives; `own` when this client has just written the word. */
  learn(slot: number, slotWord: Word, own: boolean): void {
    const { cache, local } = this.client;
    cache.learn(this.place, local, this.keyAt, this.keyBytes, slot, slotWord, own, this.period);
  }

  /** Forgets where the key lived. */
  forget(): void {
    this.client.cache.forget(this.place, this.client.local, this.keyAt, this.keyBytes);
  }
}

/** Ends a request: for `yield`. */
export function finish(cx: Context, outcome: Outcome): typeof DONE {
  cx.outcome = outcome;
  cx.end();
  return DONE;
}
