/**
 * Splits of subtables (FUSEE section 4.2; RACE hashing), one at a time, while all clients go on.
 *
 * A split of subtable p at local depth d makes c = p + 2^d. A key's place within a subtable does not depend
 * on the subtable, so a word that moves keeps its offset, and there is room for it. One client runs the
 * steps:
 *
 *  1. lock      entry p gets an owner; the version grows.
 *  2. grace     every request in flight began with a directory that shows the lock. Writers to p wait then,
 *               so p stands still: no half-done round, no tentative word.
 *  3. copy      c is written whole, on its replicas, by plain WRITEs: no entry leads there yet.
 *  4. publish   entry c, then entry p with depth d + 1 and UNSETTLED; the version grows.
 *  5. grace     nobody looks in p any more for a key that has moved.
 *  6. clean     p loses the moved words, and gets headers of depth d + 1, by plain WRITEs.
 *  7. unlock    entry p loses owner and UNSETTLED; the version grows.
 *
 * Why a SEARCH is right at every moment. It looks in one subtable, by the directory that it began with.
 * Before 4 everybody looks in p, which no writer changes from 2 on. Between 4 and the end of 5 some look in p
 * and some in c for a moved key: both hold the same words, since neither may be written to (c counts as
 * locked while its p is UNSETTLED, `index/directory.ts`). After 5 nobody looks in p for such a key: so it may
 * be cleaned of it, and after 7, when c may differ, there is only c. A SEARCH never waits, and costs what it
 * always costs.
 *
 * Why a writer is right. It begins only when its directory shows its subtable unlocked, and grace 2 waits for
 * those that began before the lock. It may go on in a new period only with a directory as new
 * (`memory/grace.ts`).
 *
 * Why plain WRITEs and a recurring EMPTY do no harm (hazards H2, H8). A CAS can do harm by an expected value
 * that somebody read before. Whoever has read words of p in order to write there has ended by 2, with all its
 * verbs, those to backups included; a dead one is recovered before its word leaves the client table. So in 6
 * no verb is in flight to any replica of p that expects anything. Cached words of p's slots are used only for
 * keys that p holds now, and only while the slot still holds them; of a kept key they are as true as before.
 *
 * Tombstones go where their keys go, as KVs do: an undone INSERT's object is its tombstone (H20), and
 * recovery of a client that dies later looks for it among its key's slots. Left behind, it would be found
 * nowhere, and its object freed while p names it.
 *
 * Death of the splitter (H13). Its lock names it, and being in the client table is its lease: whoever
 * declares a client dead fences it first, then clears its word; a client that splits does not rest. Who finds
 * the owner of a lock in no word takes the lock over by CAS of the entry, stamp included, and goes by what
 * the memory says: UNSETTLED: from 5; c has an entry but p is not deeper: from 4; else nobody has seen
 * anything: unlock, and whoever needs the room asks again. All of them may be done twice.
 *
 * Death of the directory's primary (FUSEE section 5.2). A lock is taken by CAS of the primary alone; the view
 * that follows knows it if it stood on backups by then, where each change of entries goes first. If not, it
 * is lost, and somebody else may have taken it in the new view. So whoever has a lock writes entries only to
 * the primary on which it has taken or read it, or once it stands on backups too; else it goes by what the
 * memory says, like one that takes over. Nobody relies on a lost lock: graces begin when it stands on all
 * replicas. Copies, publication and clean-up need nothing more: what they write goes to backups first, and
 * may be done twice; and a new table of clients makes graces begin again. The master makes the directories of
 * the backups equal to that of their new primary, and takes the greatest depth that it finds there.
 *
 * Deviation: RACE moves slots one by one under running writers, re-checks headers behind each CAS, and here
 * movers would have to take part in SNAPSHOT and leave MOVED words behind. With grace there is no slot that
 * is moved and written to at a time; so there are no movers, no redo of moves, and MOVED stays reserved. The
 * price: writers to one subtable wait for two graces and the copy, and a client that is dead and not yet
 * recovered holds splits up.
 */
import {
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  entryDepth,
  entryOf,
  isUnsettled,
  LINE_BYTES,
  lockedEntryOf,
} from '../layout/index.js';
import { Grace } from '../memory/index.js';
import {
  advancePeriod,
  type ClientState,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  loadDirectory,
} from '../ops/index.js';
import { copyWord, type Op, sameWord, VerbBatch, type Word, word } from '../verbs/index.js';
import { type Halves, halvesOf, MOVER_BYTES, Mover } from './move.js';

/** How an attempt to split ended. */
export const SplitResult = {
  SPLIT: 0,
  /** Somebody else holds the lock. */
  BUSY: 1,
  /** It has been split already. */
  DEEPER: 2,
  /** The pool has no more subtables for it. */
  NO_ROOM: 3,
  /** A node was silent: the lock may be held, and {@link Splitter.tend} sees to it. */
  FAILED: 4,
} as const;
export type SplitResult = (typeof SplitResult)[keyof typeof SplitResult];

const BATCH_VERBS = 16;
/** Registered memory that a {@link Splitter} takes. */
export const SPLITTER_BYTES: number =
  MOVER_BYTES + DIRECTORY_READ_BYTES + (BATCH_VERBS + DIRECTORY_READ_VERBS + 2 + 1) * LINE_BYTES;

/** An entry to be written. */
interface Entry {
  readonly subtable: number;
  readonly lo: number;
  readonly hi: number;
}

/** Splits subtables for one client, one after the other; made once, by the client's background. */
export class Splitter {
  protected readonly client: ClientState;
  protected readonly mover: Mover;
  readonly #tick: () => Op<unknown>;
  readonly #batch: VerbBatch;
  readonly #room: { batch: VerbBatch; into: number };
  readonly #staged: number;
  readonly #mark = Grace.newMark();
  /** The subtable whose lock this client has, and its entry's lo; -1: none. */
  #held = -1;
  #stamp = 0;
  /** The node on which the lock was taken, or read; -1: it stands on every replica of the directory. */
  #heldAt = -1;
  /** Splits made, and locks of the dead lifted. */
  splits = 0;
  takeovers = 0;

  /**
   * @param tick what the background does while a split waits for grace: it must end periods, or the grace
   * never passes. @default ends the client's period when it may
   */
  constructor(client: ClientState, tick?: () => Op<unknown>) {
    const { local, view } = client;
    this.client = client;
    this.mover = new Mover(view, local);
    this.#batch = new VerbBatch(local, BATCH_VERBS);
    this.#room = {
      batch: new VerbBatch(local, DIRECTORY_READ_VERBS),
      into: local.reserve(DIRECTORY_READ_BYTES),
    };
    this.#staged = local.reserve(LINE_BYTES);
    this.#tick = tick ?? (() => advancePeriod(client, this.#room));
  }

  /** Does this client hold the lock of a subtable? */
  get isSplitting(): boolean {
    return this.#held >= 0;
  }

  /** How full the subtable was that was copied last: the share of its slots that were not EMPTY. */
  get copiedLoad(): number {
    return this.mover.used / this.client.view.geometry.subtableSlots;
  }

  /** Is there anything for {@link tend} to do? The client must not rest then. */
  get isWanted(): boolean {
    return this.#held >= 0 || this.client.splitsWanted.size > 0 || this.client.waiting > 0;
  }

  /**
   * Does what requests wait for: splits what they found full, and lifts locks of the dead. To be run again
   * and again while {@link isWanted}. None, or one round trip, when there is nothing to do now.
   */
  *tend(): Op<void> {
    if (this.#held >= 0) yield* this.#resume(this.#held);
    const { splitsWanted, directory, view } = this.client;
    for (const [subtable, depth] of [...splitsWanted]) {
      splitsWanted.delete(subtable);
      if (this.#held >= 0 || directory.depthOf(subtable) !== depth || directory.ownerOf(subtable) !== 0)
        continue;
      const result = yield* this.split(subtable, depth);
      // Whoever was first may have died before the version grew.
      if (result === SplitResult.BUSY || result === SplitResult.DEEPER)
        yield* loadDirectory(directory, { view, ...this.#room });
    }
    if (this.client.waiting > 0) yield* this.liftDeadLocks();
  }

  /** Splits a subtable that had this local depth when somebody found it full. */
  *split(subtable: number, depth: number): Op<SplitResult> {
    const halves = halvesOf(subtable, depth);
    if (halves.to >= this.client.view.geometry.config.subtablesMax) return SplitResult.NO_ROOM;
    const locked = yield* this.lock(halves);
    if (locked !== SplitResult.SPLIT) return locked;
    const isDone =
      (yield* this.announceLock(halves)) &&
      (yield* this.awaitGrace('lock')) &&
      (yield* this.mover.copy(halves)) &&
      (yield* this.#publishAndSettle(halves));
    return isDone ? SplitResult.SPLIT : SplitResult.FAILED;
  }

  /** Takes over the locks whose owners have left the client table. One round trip when there is a lock. */
  *liftDeadLocks(): Op<void> {
    const { client } = this;
    const { directory, grace, view } = client;
    // Read before the table: who has left since, and come back, makes its next lock another word.
    const locks = [...directory.subtables()]
      .filter((s) => directory.ownerOf(s) !== 0)
      .map((s) => ({ subtable: s, entry: word(directory.ownerOf(s), directory.entryLo(s)) }));
    if (locks.length === 0 || !(yield* grace.mark(this.#mark))) return;
    for (const { subtable, entry } of locks) {
      if (Grace.isIn(this.#mark, entry.hi)) continue;
      this.#stamp = grace.period;
      const mine = lockedEntryOf(entryDepth(entry.lo), isUnsettled(entry.lo), this.#stamp);
      this.#heldAt = view.directoryMn(0);
      const found = yield* this.#casEntry(subtable, entry, word(client.cid, mine));
      if (found === undefined || sameWord(found, entry)) {
        this.#held = subtable;
        this.takeovers++;
        yield* this.#resume(subtable);
        if (this.#held >= 0) return;
      } else {
        // Whoever changed it may have died before the version grew.
        yield* loadDirectory(directory, { view, ...this.#room });
      }
    }
  }

  /** Step 1. SPLIT: the lock is this client's. One round trip. */
  protected *lock({ from, depth }: Halves): Op<SplitResult> {
    const { client } = this;
    const stamp = client.grace.period;
    const free = word(0, entryOf(depth));
    this.#heldAt = client.view.directoryMn(0);
    const found = yield* this.#casEntry(from, free, word(client.cid, lockedEntryOf(depth, false, stamp)));
    if (found !== undefined && !sameWord(found, free))
      return entryDepth(found.lo) === depth ? SplitResult.BUSY : SplitResult.DEEPER;
    this.#held = from;
    this.#stamp = stamp;
    return found === undefined ? SplitResult.FAILED : SplitResult.SPLIT;
  }

  /** Lets everybody see the lock. Two round trips, one with one index replica. */
  protected *announceLock({ from, depth }: Halves): Op<boolean> {
    return yield* this.#change([this.#own(from, depth, false)]);
  }

  /** Waits until every request has ended that began before what was last announced. */
  protected *awaitGrace(_behind: 'lock' | 'publication'): Op<boolean> {
    const { grace } = this.client;
    if (!(yield* grace.mark(this.#mark))) return false;
    do yield* this.#tick();
    while (!(yield* grace.hasPassed(this.#mark)) && !grace.isSilent);
    return !grace.isSilent;
  }

  *#publishAndSettle(halves: Halves): Op<boolean> {
    return (yield* this.publish(halves)) && (yield* this.#settle(halves));
  }

  /** Step 4. Two round trips, one with one index replica; one more when the global depth grows. */
  protected *publish(halves: Halves): Op<boolean> {
    const depth = halves.depth + 1;
    // First: a reader that sees the old half deeper must look for the new one.
    const { view } = this.client;
    for (let at = -1; at !== view.directoryMn(0); ) {
      at = view.directoryMn(0);
      if (!(yield* this.#raiseDepth(depth))) return false;
    }
    const published = { subtable: halves.to, lo: entryOf(depth), hi: 0 };
    return yield* this.#change([published, this.#own(halves.from, depth, true)]);
  }

  /** Steps 5 to 7. */
  *#settle(halves: Halves): Op<boolean> {
    if (!(yield* this.awaitGrace('publication'))) return false;
    if (!(yield* this.mover.clean(halves))) return false;
    return yield* this.#unlock([{ subtable: halves.from, lo: entryOf(halves.depth + 1), hi: 0 }], true);
  }

  *#unlock(entries: readonly Entry[], hasSplit: boolean): Op<boolean> {
    if (!(yield* this.#change(entries))) return false;
    this.#held = -1;
    if (hasSplit) this.splits++;
    return true;
  }

  /** Goes on with a split whose lock this client has, by what the memory says. */
  *#resume(subtable: number): Op<void> {
    const { directory, view } = this.client;
    // Under the lock neither entry changes but by us: what is read now is true.
    const at = view.directoryMn(0);
    if (!(yield* loadDirectory(directory, { view, ...this.#room }))) return;
    // What a node has said that has died since counts for nothing.
    if (at !== view.directoryMn(0)) return;
    this.#heldAt = at;
    if (directory.ownerOf(subtable) !== this.client.cid) {
      // The lock was never taken, or is given up: at most the version has still to grow.
      if (yield* this.#change([])) this.#held = -1;
      return;
    }
    const depth = directory.depthOf(subtable);
    if (directory.isUnsettled(subtable)) {
      const halves = halvesOf(subtable, depth - 1);
      // Whoever has published may have died before the version grew, or before backups knew the new owner.
      if (yield* this.#change([this.#own(subtable, depth, true)])) yield* this.#settle(halves);
      return;
    }
    const halves = halvesOf(subtable, depth);
    if (directory.depthOf(halves.to) >= 0) {
      yield* this.#publishAndSettle(halves);
      return;
    }
    // Nobody has seen the new half; its entry may stand on backups.
    const nothing = { subtable: halves.to, lo: 0, hi: 0 };
    yield* this.#unlock([nothing, { subtable, lo: entryOf(depth), hi: 0 }], false);
  }

  #own(subtable: number, depth: number, unsettled: boolean): Entry {
    return { subtable, lo: lockedEntryOf(depth, unsettled, this.#stamp), hi: this.client.cid };
  }

  /** CAS of an entry on the primary; what was there, or undefined when the node was silent. */
  *#casEntry(subtable: number, expected: Word, swap: Word): Op<Word | undefined> {
    const b = this.#batch.reset();
    b.cas(this.client.view.directoryMn(0), directoryOffset(subtable), expected, swap);
    yield b;
    return b.anyFailed() ? undefined : b.found(0, word());
  }

  /**
   * Writes entries in order: on backups, then on the primary, and there the version grows behind them. Only
   * for entries whose lock is ours.
   */
  *#change(entries: readonly Entry[]): Op<boolean> {
    const { view, local } = this.client;
    if (entries.length > 0 && this.#heldAt >= 0 && this.#heldAt !== view.directoryMn(0)) return false;
    entries.forEach(({ lo, hi }, i) => {
      local.words[(this.#staged >>> 2) + 2 * i] = lo;
      local.words[(this.#staged >>> 2) + 2 * i + 1] = hi;
    });
    const b = this.#batch.reset();
    const append = (mn: number): void =>
      entries.forEach(({ subtable }, i) => {
        b.write(mn, directoryOffset(subtable), this.#staged + 8 * i, 8);
      });
    const backups = Array.from({ length: view.directoryCount - 1 }, (_, r) => view.directoryMn(1 + r));
    for (const mn of backups) append(mn);
    if (b.count > 0) {
      yield b;
      if (b.anyFailed()) return false;
      if (entries.length > 0) this.#heldAt = -1;
    }
    b.reset();
    // One that has become the primary meanwhile has them, and since then they may be somebody else's.
    if (!backups.includes(view.directoryMn(0))) append(view.directoryMn(0));
    b.faa(view.directoryMn(0), DIRECTORY_VERSION_OFFSET, word(0, 1));
    yield b;
    return !b.anyFailed();
  }

  /**
   * Raises the global depth to at least `depth`. One round trip, two when it grows; more under contention.
   */
  *#raiseDepth(depth: number): Op<boolean> {
    const b = this.#batch;
    const { view } = this.client;
    const seen = word();
    b.reset().read8(view.directoryMn(0), DIRECTORY_VERSION_OFFSET);
    for (;;) {
      yield b;
      if (b.anyFailed()) return false;
      const found = b.found(0, word());
      if (found.hi >= depth || (b.casCount > 0 && sameWord(found, seen))) return true;
      copyWord(seen, found);
      b.reset().cas(view.directoryMn(0), DIRECTORY_VERSION_OFFSET, seen, word(depth, (seen.lo + 1) >>> 0));
    }
  }
}
