/**
 * What slots hold that a dead memory node had a replica of (FUSEE section 5.2, Algorithm 3: modify).
 *
 * Every client has stopped, or has been fenced: no verb of the old view executes any more. Rules of this
 * file:
 * - The old primary is alive: its word stands, and the backups are made to hold it.
 * - It is dead: any word of a living backup stands, except that of an INSERT whose log is not committed.
 *   Such an INSERT was never acknowledged, and its duplicate check may not have been done: made visible, it
 * may
 *   stand beside another of the same key (control X11b). Where only such words are left the slot becomes the
 *   tombstone of one of them. Deviation: the paper takes any living backup's word.
 * - A slot with one replica may hold a claim that is tentative (`ops/claim-single.ts`), which slots with
 *   several never do: when a node joins it becomes a tombstone too.
 * - The log entry of the word that stands is committed before it does, on all replicas: where its client has
 *   died before it had reached all, with the old value that it has on one, else with one that no slot ever
 *   holds. So nobody finishes its round again, or takes its object for one that was dropped (FUSEE section
 *   5.2). That of a new tombstone is committed after: until every replica holds the tombstone, another master
 *   must not take its INSERT for one that may be visible.
 * - The object of a round that is lost by this has its used bit cleared before anybody goes on: a committed
 *   log would have recovery free what the slot still names.
 * - Only slots in which a round may be open need be looked at: those that living clients report, and the
 *   candidates of what dead clients' logs name. In all others the replicas agree.
 * - Every step may be repeated, by another master too.
 */
import {
  ARBITRATED,
  isKv,
  isTent,
  isTomb,
  LINE_BYTES,
  LOG_COMMIT_BYTES,
  LogField,
  LogOperation,
  MAX_LINES,
  MAX_REPLICAS,
  makeSlot,
  objectLines,
  ownerPointer,
  readOldValue,
  slotFingerprint,
  slotLines,
  stageOldValue,
  type View,
} from '../layout/index.js';
import {
  copyWord,
  isZero,
  type LocalMemory,
  type Op,
  replicaRef,
  Status,
  sameWord,
  VerbBatch,
  type Word,
  word,
} from '../verbs/index.js';

/** Verbs of a batch: slots are decided so many at a time. */
const BATCH_VERBS = 64;
const SLOTS = Math.floor(BATCH_VERBS / MAX_REPLICAS);

/** Registered memory that one {@link Arbiter} takes. */
export const ARBITER_BYTES: number = (BATCH_VERBS + 1) * 64 + (MAX_REPLICAS + 2) * LINE_BYTES;

/** What the log of an object says: of an object that slots name, so that it is whole. */
interface Entry {
  readonly operation: number;
  /** On one replica at least. */
  readonly isCommitted: boolean;
  /** A replica lacks the old value that another has. */
  readonly isTorn: boolean;
  readonly vOld: Word;
}

/** Decides slots, in each change of the view. */
export class Arbiter {
  readonly #view: View;
  /** The view in which the slots were written to. */
  #before: View;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  readonly #entries: number;
  readonly #staged: number;
  readonly #replicas = replicaRef(MAX_REPLICAS);
  /** Slots that become tombstones: their logs are committed behind it. */
  readonly #tombs: Word[] = [];

  /** @param room.view becomes the new one ahead of each {@link decide}. */
  constructor(room: { local: LocalMemory; view: View }) {
    this.#view = room.view;
    this.#before = room.view;
    this.#local = room.local;
    this.#batch = new VerbBatch(room.local, BATCH_VERBS);
    this.#entries = room.local.reserve(MAX_REPLICAS * LINE_BYTES);
    this.#staged = room.local.reserve(2 * LINE_BYTES);
  }

  /**
   * Decides slots whose replicas the new view has changed; the others are left alone, their rounds go on.
   * Three round trips for every few slots, and two for each word of a backup that is looked at.
   * @param slots logical offsets.
   * @param before the view in which they were written to.
   * @param isAll decides those with unchanged replicas too: another node is to have what they hold.
   * @returns the words that stand, by slot; undefined when a node was silent that the view calls alive.
   */
  *decide(slots: Iterable<number>, before: View, isAll = false): Op<Map<number, Word> | undefined> {
    this.#before = before;
    const decided = new Map<number, Word>();
    const open = [...new Set(slots)].filter((slot) => isAll || this.#view.hasChanged(slot));
    for (let first = 0; first < open.length; first += SLOTS) {
      const some = open.slice(first, first + SLOTS);
      const held = yield* this.#read(some);
      if (held === undefined) return undefined;
      for (let i = 0; i < some.length; i++) {
        const stands = yield* this.#choose(some[i], held[i]);
        if (stands === undefined) return undefined;
        decided.set(some[i], stands);
      }
      if (!(yield* this.#write(some, held, decided))) return undefined;
      for (const tomb of this.#tombs.splice(0)) if (!(yield* this.#commit(tomb))) return undefined;
    }
    return decided;
  }

  /** What each living replica of each slot holds; none for a slot of which nothing is left. */
  *#read(slots: readonly number[]): Op<Word[][] | undefined> {
    const b = this.#batch.reset();
    const counts = slots.map((slot) => {
      const { count, mn, offsetBytes } = this.#view.slotReplicas(slot, this.#replicas);
      if (this.#view.isDead(mn[0])) return 0;
      for (let r = 0; r < count; r++) b.read8(mn[r], offsetBytes[r]);
      return count;
    });
    if (b.count > 0) yield b;
    if (b.anyFailed()) return undefined;
    let verb = 0;
    return counts.map((count) => Array.from({ length: count }, () => b.found(verb++, word())));
  }

  /** The word that stands, its log committed where that may be open. */
  *#choose(slot: number, held: readonly Word[]): Op<Word | undefined> {
    if (held.length === 0) return word();
    if (!this.#view.isDead(this.#before.slotMn(slot, 0)))
      return isTent(held[0]) ? this.#undone(held[0]) : held[0];
    for (const candidate of held) {
      if (isZero(candidate)) return candidate;
      const entry = yield* this.#readEntry(candidate);
      if (entry === undefined) return undefined;
      if (entry.isCommitted) {
        const isThere = !entry.isTorn || (yield* this.#commit(candidate, entry.vOld));
        return isThere ? candidate : undefined;
      }
      if (isKv(candidate) && entry.operation === LogOperation.INSERT) continue;
      return (yield* this.#commit(candidate)) ? candidate : undefined;
    }
    return this.#undone(held[0]);
  }

  #undone(insert: Word): Word {
    const tomb = makeSlot(word(), ownerPointer(insert), 0, slotFingerprint(insert));
    this.#tombs.push(tomb);
    return tomb;
  }

  /** The log entry of the object that a word names, from all its living replicas together. */
  *#readEntry(of: Word): Op<Entry | undefined> {
    // Of an object without a replica nothing can be told, or shown: whoever reads it waits in vain.
    const isAimed = this.#isLost(of) ? false : yield* this.#aimAtEnd(of);
    if (isAimed === undefined) return undefined;
    if (!isAimed) return { operation: 0, isCommitted: true, isTorn: false, vOld: word() };
    const { count, mn, offsetBytes } = this.#replicas;
    const b = this.#batch.reset();
    for (let r = 0; r < count; r++) b.read(mn[r], offsetBytes[r], this.#entries + r * LINE_BYTES, LINE_BYTES);
    yield b;
    let operation = 0;
    let commits = 0;
    const vOld = word();
    const read = word();
    for (let r = 0; r < count; r++) {
      if (b.status(r) !== Status.OK) return undefined;
      const at = this.#entries + (r + 1) * LINE_BYTES;
      operation = this.#local.bytes[at + LogField.OPERATION] >>> 1;
      // Whoever commits waits for all: on one is enough to know that it was to be.
      if (!readOldValue(this.#local.bytes, at, read)) continue;
      commits++;
      copyWord(vOld, read);
    }
    return { operation, isCommitted: commits > 0, isTorn: commits > 0 && commits < count, vOld };
  }

  #isLost(of: Word): boolean {
    const { regions, config } = this.#view.geometry;
    const pointer = ownerPointer(of);
    return pointer >= regions * config.regionBytes || this.#view.isDead(this.#view.dataMn(pointer, 0));
  }

  *#commit(of: Word, vOld: Word = ARBITRATED): Op<boolean> {
    const isAimed = this.#isLost(of) ? false : yield* this.#aimAtEnd(of);
    if (isAimed === undefined) return false;
    if (!isAimed) return true;
    const { count, mn, offsetBytes } = this.#replicas;
    const end = this.#staged + LINE_BYTES;
    stageOldValue(this.#local.bytes, end, vOld);
    const b = this.#batch.reset();
    for (let r = 0; r < count; r++) {
      const at = offsetBytes[r] + LINE_BYTES + LogField.OLD_VALUE;
      b.write(mn[r], at, end + LogField.OLD_VALUE, LOG_COMMIT_BYTES);
    }
    yield b;
    return !b.anyFailed();
  }

  /**
   * Aims at the last line of the object that a word names; a tombstone does not say how long that is, its
   * object does. False: no object of a length that can be lies there; undefined: a node was silent.
   */
  *#aimAtEnd(of: Word): Op<boolean | undefined> {
    const pointer = ownerPointer(of);
    let lines = slotLines(of);
    if (isTomb(of)) {
      const b = this.#batch.reset();
      b.read8(this.#view.dataMn(pointer, 0), this.#view.dataOffset(pointer, 0));
      yield b;
      if (b.anyFailed()) return undefined;
      const lengths = b.foundLo(0);
      lines = objectLines(lengths & 0xffff, lengths >>> 16);
    }
    const { blockBytes } = this.#view.geometry.config;
    if (lines > MAX_LINES || (pointer % blockBytes) + lines * LINE_BYTES > blockBytes) return false;
    this.#view.dataReplicas(pointer + (lines - 1) * LINE_BYTES, this.#replicas);
    return true;
  }

  /** Makes every living replica hold what stands. */
  *#write(
    slots: readonly number[],
    held: readonly (readonly Word[])[],
    decided: ReadonlyMap<number, Word>,
  ): Op<boolean> {
    const b = this.#batch.reset();
    slots.forEach((slot, i) => {
      const stands = decided.get(slot) as Word;
      const { count, mn, offsetBytes } = this.#view.slotReplicas(slot, this.#replicas);
      for (let r = 0; r < Math.min(count, held[i].length); r++) {
        if (!sameWord(held[i][r], stands)) b.cas(mn[r], offsetBytes[r], held[i][r], stands);
      }
    });
    if (b.count === 0) return true;
    yield b;
    return !b.anyFailed();
  }
}
