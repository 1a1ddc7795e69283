/**
 * Grace: waiting until every request that is in flight now has ended (hazard H4), by quiescent states.
 *
 * Each client counts *periods* in its word of the client table (`layout/clients.ts`), and every coroutine
 * remembers the period in which its request began. Rules of this file:
 * - The word grows only when no request of an earlier period is in flight.
 * - The word on the control node grows first, the client's own count when that is acknowledged: so a request
 *   never belongs to a period that others cannot have seen.
 * - Behind the WRITE of its word a client reads the directory's version, in the same batch, on the same node.
 *   If that is not the version of the directory it has, it loads the directory before it {@link
 *   Grace.commit}s the period. Until then requests go on to begin in the period before, with the directory of
 *   before; they take directory and period at one stroke. So a request of a period knows every change of the
 *   directory that was made before the word showed that period: and whoever has changed the directory, then
 *   seen a word, and now sees it grown by {@link GRACE_PERIODS}, knows that every request in flight has begun
 *   with the change.
 * - A client without requests gives its word up, and announces itself again before its next one; its period
 *   then has moved on by as much as a grace waits for, so that nothing remembered from before counts as
 *   fresh.
 */
import {
  CLIENTS_BASE,
  CLIENTS_MAX,
  DIRECTORY_VERSION_OFFSET,
  GRACE_PERIODS,
  hasPassed,
  type View,
} from '../layout/index.js';
import { type LocalMemory, type Op, Status, VerbBatch, type Word, word } from '../verbs/index.js';

/** Period of a coroutine without a request. */
export const NO_PERIOD = -1;

/** What grace asks of a coroutine. */
export interface Quiescent {
  /** The client's period when its request began, or {@link NO_PERIOD}. */
  readonly period: number;
}

/** Registered memory that one {@link Grace} takes. */
export const GRACE_BYTES: number = CLIENTS_MAX * 8 + 6 * 64 + 64;

/**
 * What the client table held at one time: words {period, CID}, as halves; and at the end, which table it was.
 */
export type GraceMark = Uint32Array;

/** One client's part in everybody's grace, and its own waiting for it. */
export class Grace {
  /** Grows by one per period, modulo 2^32. Requests that begin now belong to it. */
  period = 0;
  /** The period that others may have seen announced: the present one, or the next. */
  #announced = 0;
  /** False: the client's word is given up, and no request may begin. */
  isActive = false;
  /** The control node has not answered: nobody can tell any more when anything has passed. */
  isSilent = false;
  /** Counts the tables so far: another node has it when the control node has died. */
  #tables = 0;
  readonly #view: View;
  readonly #cid: number;
  readonly #index: number;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  readonly #table: number;
  readonly #own: number;

  /** @param client.index its place in the client table, granted with its CID. */
  constructor(client: { view: View; local: LocalMemory; cid: number; index: number }) {
    this.#view = client.view;
    this.#cid = client.cid;
    this.#index = client.index;
    this.#local = client.local;
    this.#batch = new VerbBatch(client.local, 4);
    this.#table = client.local.reserve(CLIENTS_MAX * 8);
    this.#own = client.local.reserve(64);
  }

  /** True when no request of an earlier period is in flight, so that {@link advance} may be run. */
  mayAdvance(coroutines: readonly Quiescent[]): boolean {
    for (const { period } of coroutines) if (period !== NO_PERIOD && period !== this.period) return false;
    return true;
  }

  /**
   * Announces the next period, which begins with {@link commit}. Only when {@link mayAdvance}. One round
   * trip.
   * @returns the directory's version, read behind the announcement, or -1: a node was silent, nothing counts.
   */
  *announce(): Op<number> {
    return yield* this.#announce((this.period + 1) >>> 0);
  }

  /**
   * Announces that requests will begin, with {@link commit}: before the first, and after {@link rest}. Two
   * round trips.
   * @returns as {@link announce}.
   */
  *enter(): Op<number> {
    const b = this.#batch.reset();
    b.read8(this.#view.controlMn, this.#view.clientOffset(this.#index));
    b.markBackground();
    yield b;
    if (!this.#isAnswered()) return -1;
    const before = b.found(0, word());
    return yield* this.#announce((before.lo + GRACE_PERIODS) >>> 0);
  }

  /** The announced period begins: the client has a directory that is no older than the announcement. */
  commit(): void {
    this.period = this.#announced;
    this.isActive = true;
  }

  /** Gives the word up: no request is in flight, and none will begin before {@link enter}. One round trip. */
  *rest(): Op<boolean> {
    this.isActive = false;
    this.#stage(this.period, 0);
    const b = this.#batch.reset();
    b.write(this.#view.controlMn, this.#view.clientOffset(this.#index), this.#own, 8);
    b.markBackground();
    yield b;
    return this.#isAnswered();
  }

  /** The client's word, for a table that is made anew: its period, and its CID while it is in. */
  get word(): Word {
    return word(this.isActive ? this.#cid : 0, this.#announced);
  }

  /** The view has changed, and the client's word stands in the table that is in use now. */
  adoptTable(isAnother: boolean): void {
    this.isSilent = false;
    if (isAnother) this.#tables++;
  }

  /** Notes who may have requests in flight. One round trip. False: the control node was silent. */
  *mark(into: GraceMark): Op<boolean> {
    const read = yield* this.#readTable();
    if (!read) return false;
    into.set(this.#local.words.subarray(this.#table >>> 2, (this.#table >>> 2) + 2 * CLIENTS_MAX));
    into[2 * CLIENTS_MAX] = this.#tables;
    return true;
  }

  /**
   * Has every request that was in flight at the mark ended? One round trip. False also when a node is silent.
   */
  *hasPassed(mark: GraceMark): Op<boolean> {
    if (!(yield* this.#readTable(true))) return false;
    const { words } = this.#local;
    const at = this.#table >>> 2;
    const before = word();
    const now = word();
    if (mark[2 * CLIENTS_MAX] !== this.#tables) {
      // Its words were of a table that is lost: those of the new one say nothing of what was before.
      yield* this.mark(mark);
      return false;
    }
    for (let i = 0; i < 2 * CLIENTS_MAX; i += 2) {
      before.lo = mark[i];
      before.hi = mark[i + 1];
      now.lo = words[at + i];
      now.hi = words[at + i + 1];
      if (!hasPassed(before, now)) return false;
    }
    return true;
  }

  /**
   * True when a client with this CID may have had requests in flight, or a split, at the mark. Being in the
   * table is what a lease would be: whoever declares a client dead fences it first, recovers what it left,
   * and then clears its word.
   */
  static isIn(mark: GraceMark, cid: number): boolean {
    for (let i = 1; i < 2 * CLIENTS_MAX; i += 2) if (mark[i] === cid) return true;
    return false;
  }

  /** A mark with room for all clients. */
  static newMark(): GraceMark {
    return new Uint32Array(CLIENTS_MAX * 2 + 1);
  }

  *#readTable(isPoll = false): Op<boolean> {
    const b = this.#batch.reset();
    b.isPoll = isPoll;
    b.read(this.#view.controlMn, CLIENTS_BASE, this.#table, CLIENTS_MAX * 8);
    b.markBackground();
    yield b;
    return this.#isAnswered();
  }

  *#announce(period: number): Op<number> {
    this.#stage(period, this.#cid);
    const b = this.#batch.reset();
    b.write(this.#view.controlMn, this.#view.clientOffset(this.#index), this.#own, 8);
    b.read8(this.#view.controlMn, DIRECTORY_VERSION_OFFSET);
    b.markBackground();
    yield b;
    if (!this.#isAnswered()) return -1;
    this.#announced = period;
    return b.foundLo(1);
  }

  #stage(period: number, cid: number): void {
    this.#local.words[this.#own >>> 2] = period;
    this.#local.words[(this.#own >>> 2) + 1] = cid;
  }

  /** Did the control node execute the whole batch? */
  #isAnswered(): boolean {
    const b = this.#batch;
    for (let i = 0; i < b.count; i++) if (b.status(i) !== Status.OK) this.isSilent = true;
    return !this.isSilent;
  }
}
