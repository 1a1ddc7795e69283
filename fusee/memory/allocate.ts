/**
 * First-level allocation: a client asks memory nodes for blocks, and gives them back (FUSEE section 4.4).
 *
 * Off the hot path (once per block), so plain generators. Rules of this file:
 * - A block's owner is who the primary's table names; only its node's CPU writes there. Entries of backups are
 *   written by that owner alone. A block counts as owned if any replica's entry says so.
 * - Granted (ALLOC): primary's entry by the node, then backups' entries and headers, then the slab. A block in
 *   use is always found by recovery.
 * - Blocks that are set aside for DELETEs are granted to an urgent ALLOC only.
 * - Given back (FREE): zeros on all replicas, backups' entries 0, then the RPC: the primary's entry goes last,
 *   so it is owned, and found, until it is whole again, and nobody else can have it before.
 * - Handed on (TRANSFER): the giver writes ORPHAN into the backups' entries, then lets the primary's say so. The
 *   taker's TRANSFER compares and changes the primary's entry, and only then it writes backups' entries and
 *   headers. Whoever dies at whatever point, the primary's entry names the giver, ORPHAN or the taker, never
 *   none; of two takers one finds ORPHAN there, the other the first one's CID; and nobody writes a backup's
 *   entry but the one that the primary names, so a late giver never writes over a taker's.
 * - What was asked and not answered is *in doubt*: it may still be executed, until the node answers a newer
 *   request of the same lane (`lane.ts`).
 * - A grant whose answer was lost is a block that is this client's by the primary's table and in no slab. It is
 *   looked for by a LIST of the same lane: newer than the lost ALLOC, which cannot be executed afterwards. It
 *   is freed only if no lane asks for a block when the LIST's answer is here (`refilling`), since that could
 *   be its grant; if nothing has left the client since the LIST was sent, since what it shows may be
 *   another's by now; and if no lane is moving it. A block once handed on or taken over is never taken for a
 *   lost grant, not even in doubt: it holds objects.
 */
import {
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  CLASS_LINES,
  MAX_REPLICAS,
  type View,
} from '../layout/index.js';
import { type LocalMemory, type Op, replicaRef, VerbBatch } from '../verbs/index.js';
import { mendBackupEntries, writeBackupEntries } from './backup-entries.js';
import { Allocation, type Holdings, holdingsOf, takeAll } from './holdings.js';
import { Lane } from './lane.js';
import { type ListedBlock, ORPHAN, RpcOperation, type RpcResponse, RpcStatus, URGENT } from './rpc.js';
import type { Slab } from './slab.js';

/** Bytes of one WRITE that zeroes; a client that frees blocks takes as much registered memory, once. */
export const ZERO_BYTES = 16384;
/** Verbs of one batch that zeroes: what others wait for behind it stays short. */
const ZERO_VERBS = 8;

/** How a lane asks when no answer waits for it. */
const BACKGROUND: Parameters<Lane['ask']>[2] = { isBackground: true };

/** Asks for blocks on behalf of one coroutine; the head of this file states its rules. */
export class Allocator {
  readonly #view: View;
  readonly #slab: Slab;
  readonly #cid: number;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  /** Under whose ids it asks: for others that ask on behalf of the same coroutine. */
  readonly lane: Lane;
  readonly #holdings: Holdings;
  readonly #entry: number;
  readonly #room: { readonly view: View; readonly batch: VerbBatch };
  readonly #replicas = replicaRef(MAX_REPLICAS);
  /** Nodes that may have granted a block to this lane without its knowing. */
  readonly #lost: Uint8Array;
  /** Blocks whose FREE was not answered, and may still be executed. */
  readonly #inDoubt = new Map<number, number>();
  /** Another node serves the region of a grant that was lost, if one has joined since this view. */
  #joinedIn = 0;
  /**
   * A block that was handed on or taken over may be this client's, and is in no slab: nobody has answered.
   */
  #isUnsure = false;
  /** Nothing had left the client between the latest request and its answer. */
  #isUndisturbed = false;

  /**
   * One operation at a time: what runs beside a coroutine's requests has an allocator of its own.
   * @param lane the coroutine's number; no two allocators of a client have the same.
   */
  constructor(client: { view: View; slab: Slab; cid: number; local: LocalMemory }, lane: number) {
    this.#view = client.view;
    this.#slab = client.slab;
    this.#cid = client.cid;
    this.#local = client.local;
    this.#batch = new VerbBatch(client.local, 2 * MAX_REPLICAS);
    this.#room = { view: client.view, batch: this.#batch };
    this.lane = new Lane(client, lane);
    this.#entry = client.local.reserve(BLOCK_ENTRY_BYTES * 2);
    this.#holdings = holdingsOf(client.slab);
    this.#lost = new Uint8Array(client.view.geometry.config.nodes);
  }

  /**
   * Brings one block of a size class into the slab. Two round trips; more when nodes are full or silent, or
   * when an earlier grant was lost. While one coroutine refills a class its siblings wait, with empty
   * batches.
   * @param request its deadline ends the wait for a sibling: UNAVAILABLE, and nothing was done.
   * @param isUrgent a DELETE asks, which was refused: blocks of the reserve will do.
   */
  *refill(sizeClass: number, request?: { readonly expired: boolean }, isUrgent = false): Op<Allocation> {
    const { refilling } = this.#slab;
    const nodes = this.#view.geometry.config.nodes;
    const { kept } = this.#holdings;
    this.#forgetDead();
    for (let mn = 0; mn < nodes && refilling[sizeClass] === 0; mn++) {
      if (this.#lost[mn] !== 0) yield* this.reclaimLostGrants(mn, (pointer) => kept.has(pointer));
    }
    if (refilling[sizeClass] !== 0) {
      while (refilling[sizeClass] !== 0) {
        if (request?.expired === true) return Allocation.UNAVAILABLE;
        this.#batch.reset().isPoll = true;
        yield this.#batch;
      }
      return Allocation.OK;
    }
    refilling[sizeClass] = 1;
    let outcome: Allocation = Allocation.NO_MEMORY;
    // Clients begin at different nodes, so that their blocks spread.
    for (let i = 0; i < nodes && outcome !== Allocation.OK; i++) {
      const mn = (this.#cid + i) % nodes;
      if (this.#view.isDead(mn)) continue;
      const asked = yield* this.#allocate(mn, sizeClass, isUrgent);
      if (asked !== Allocation.NO_MEMORY) outcome = asked;
    }
    refilling[sizeClass] = 0;
    return outcome;
  }

  /**
   * Gives a block back that this client owns and no request, cell or cache of it uses any more. A round trip
   * for each 64 KiB over all replicas, and two more. The node's CPU does not zero: see the order above.
   * @param settle run when the block is zero, and before anybody else may get it: waits for requests that may
   * have read what was there before. False: a node was silent.
   * @returns false: a replica was silent, nothing was asked, the block is still the caller's and may be given
   *   back later. True: it is the caller's no more; should the answer have been lost, this lane looks after
   * it.
   */
  *free(pointer: number, settle?: () => Op<boolean>): Op<boolean> {
    this.#move(pointer);
    return yield* this.#giveBack(pointer, settle);
  }

  /**
   * The blocks of a client whose primary is one node. A round trip for each ten, or for each 4,096 entries.
   * @returns undefined: the node was silent.
   */
  *list(mn: number, cid: number): Op<ListedBlock[] | undefined> {
    const blocks: ListedBlock[] = [];
    for (let cursor = 0; cursor >= 0; ) {
      const page = yield* this.#listFrom(mn, cid, cursor);
      if (page === undefined) return undefined;
      blocks.push(...this.lane.blocks());
      cursor = page.value;
    }
    return blocks;
  }

  /**
   * Leaves a block, with the objects in it, to whoever {@link adopt}s it. No request of this client uses it.
   * Two round trips. At most once per block: the second time would write over its new owner's entries.
   * @returns false: a replica was silent, nothing was asked, the block is still the caller's. True: it is the
   *   caller's no more. Should the answer have been lost, it may still be this client's by the table: whoever
   *   takes over from this client finds it there.
   */
  *giveAway(pointer: number): Op<boolean> {
    // The size class behind it stays.
    this.#local.words[this.#entry >>> 2] = ORPHAN;
    const { joinedIn } = this.#view;
    if (!(yield* this.#writeBackupEntries(pointer, 4))) return false;
    const what = { operation: RpcOperation.TRANSFER, argument: this.#cid, other: ORPHAN, pointer };
    // Before it asks: when the answer is here, the block may have come back to a sibling.
    this.#move(pointer);
    this.#holdings.kept.delete(pointer);
    const answered = yield* this.#ask(this.#view.dataMn(pointer, 0), what);
    yield* mendBackupEntries(this.#room, pointer, { before: this.#cid, now: ORPHAN, joinedIn });
    if (answered === undefined) {
      this.#holdings.kept.add(pointer);
      this.#isUnsure = true;
    }
    this.#depart(pointer);
    return true;
  }

  /**
   * Takes over a block of a size class that was given away, with the objects in it. Three round trips, more
   * when there are many or others take them. Two coroutines of a client may do so at the same time.
   * @returns its pointer, not yet in the slab; undefined: none on that node, or a replica was silent.
   */
  *adopt(mn: number, sizeClass: number): Op<number | undefined> {
    const { kept, moving } = this.#holdings;
    for (let cursor = 0; cursor >= 0; ) {
      const page = yield* this.#listFrom(mn, ORPHAN, cursor);
      if (page === undefined) return undefined;
      for (const { pointer, sizeClass: ofClass } of this.lane.blocks()) {
        // A sibling takes it, or this lane could not tell whether it did.
        if (ofClass !== sizeClass || kept.has(pointer) || moving.has(pointer)) continue;
        const what = { operation: RpcOperation.TRANSFER, argument: ORPHAN, other: this.#cid, pointer };
        this.#move(pointer);
        const answered = yield* this.#ask(mn, what);
        // Refused: another client was faster.
        if (answered === undefined || answered.status === RpcStatus.OK) kept.add(pointer);
        this.#depart(pointer);
        if (answered !== undefined && answered.status !== RpcStatus.OK) continue;
        if (answered !== undefined && this.#view.isDead(mn)) {
          // The node has died with its answer: the one that has its regions now knows nothing of it.
          kept.delete(pointer);
          return undefined;
        }
        const how = { sizeClass, isBackground: true };
        if (answered !== undefined && (yield* this.#enter(pointer, how))) return pointer;
        this.#isUnsure = true;
        return undefined;
      }
      cursor = page.value;
    }
    return undefined;
  }

  /**
   * Gives back what nodes have granted without this lane's knowing. As {@link reclaimLostGrants}.
   * @returns false: a block may still be this client's, and only its recovery will find it.
   */
  *settle(): Op<boolean> {
    const { kept } = this.#holdings;
    this.#forgetDead();
    for (let mn = 0; mn < this.#lost.length; mn++)
      if (this.#lost[mn] !== 0) yield* this.reclaimLostGrants(mn, (pointer) => kept.has(pointer));
    return !this.#isUnsure && this.#inDoubt.size === 0 && !this.#lost.includes(1);
  }

  /**
   * Looks for blocks that a node has granted to this client without its knowing, and gives them back. Why it
   * never takes one that is in use, or another's, stands at the head of this file. What cannot be done now is
   * done by the next {@link refill}. One round trip for each ten blocks of this client there, then as
   * {@link free}.
   * @param known the blocks in use.
   */
  *reclaimLostGrants(mn: number, known: (pointer: number) => boolean): Op<void> {
    const { kept, moving } = this.#holdings;
    const { refilling } = this.#slab;
    this.#lost[mn] = 1;
    let isComplete = true;
    for (let cursor = 0; cursor >= 0; ) {
      // Asked once only: a dead node would cost each refill its time-outs.
      const page = yield* this.#listFrom(mn, this.#cid, cursor, { isBackground: true, attempts: 1 });
      if (page === undefined || !this.#isUndisturbed || refilling.some((n) => n !== 0)) return;
      const lost = this.lane
        .blocks()
        .map((block) => block.pointer)
        .filter((pointer) => !known(pointer) && !kept.has(pointer) && !moving.has(pointer));
      // All at once: a sibling may look at the same list while this one works through it.
      for (const pointer of lost) this.#move(pointer);
      for (const pointer of lost) {
        // One whose FREE was not answered may still be this client's: it is looked for again.
        if (!(yield* this.#giveBack(pointer)) || this.#inDoubt.size > 0) isComplete = false;
      }
      cursor = page.value;
    }
    if (isComplete) this.#lost[mn] = 0;
  }

  *#allocate(mn: number, sizeClass: number, isUrgent: boolean): Op<Allocation> {
    const what = { operation: RpcOperation.ALLOC, argument: sizeClass, other: isUrgent ? URGENT : 0 };
    const answered = yield* this.#ask(mn, what, { isBackground: false });
    if (answered === undefined) {
      this.#lost[mn] = 1;
      return Allocation.UNAVAILABLE;
    }
    this.#slab.orphans[mn] = answered.value;
    if (answered.status !== RpcStatus.OK) return Allocation.NO_MEMORY;
    // Granted by a node that has died since: the one that has its regions now may grant it again.
    if (this.#view.isDead(mn)) return Allocation.UNAVAILABLE;
    const { pointer } = answered;
    if (!(yield* this.#enter(pointer, { sizeClass, isBackground: false }))) {
      this.#lost[mn] = 1;
      return Allocation.UNAVAILABLE;
    }
    this.#holdings.kept.add(pointer);
    this.#slab.addBlock(sizeClass, pointer);
    return Allocation.OK;
  }

  /** Zeroes and frees a block that is `moving`. Answers as {@link free}. */
  *#giveBack(pointer: number, settle?: () => Op<boolean>): Op<boolean> {
    // The header goes last: until others may have it, this is an empty block of the caller's.
    const { blockBytes } = this.#view.geometry.config;
    const { joinedIn } = this.#view;
    let isZero = yield* this.#zero(pointer + BLOCK_HEADER_BYTES, blockBytes - BLOCK_HEADER_BYTES);
    if (isZero && settle !== undefined) isZero = yield* settle();
    if (isZero) isZero = yield* this.#zero(pointer, BLOCK_HEADER_BYTES);
    if (isZero) {
      this.#local.words.fill(0, this.#entry >>> 2, (this.#entry >>> 2) + 2);
      isZero = yield* this.#writeBackupEntries(pointer, BLOCK_ENTRY_BYTES);
    }
    if (!isZero) {
      this.#depart(pointer);
      return false;
    }
    // Before it asks: when the answer is here, the block may have been granted to a sibling.
    this.#holdings.kept.delete(pointer);
    // Not before: a node that has joined may serve the region now.
    const mn = this.#view.dataMn(pointer, 0);
    const answered = yield* this.#ask(mn, { operation: RpcOperation.FREE, pointer });
    // A sibling that refills may have got it again.
    if (this.#slab.refilling.every((n) => n === 0))
      yield* mendBackupEntries(this.#room, pointer, { before: this.#cid, now: 0, joinedIn });
    if (answered === undefined) {
      this.#inDoubt.set(pointer, mn);
      this.#lost[mn] = 1;
    } else {
      this.#depart(pointer);
    }
    return true;
  }

  /** What a dead node was asked will not happen any more; its table is as the owners have written it. */
  #forgetDead(): void {
    if (this.#joinedIn !== this.#view.joinedIn && this.#lost.includes(1)) this.#lost.fill(1);
    this.#joinedIn = this.#view.joinedIn;
    for (const mn of this.#view.dead()) {
      this.#lost[mn] = 0;
      this.#settleDoubts(mn);
    }
  }

  #settleDoubts(mn: number): void {
    for (const pointer of takeAll(this.#inDoubt, mn)) this.#depart(pointer);
  }

  #move(pointer: number): void {
    const { moving } = this.#holdings;
    moving.set(pointer, (moving.get(pointer) ?? 0) + 1);
  }

  /** This lane moves the block no more, wherever it is now. */
  #depart(pointer: number): void {
    const { moving } = this.#holdings;
    const others = (moving.get(pointer) ?? 0) - 1;
    if (others > 0) moving.set(pointer, others);
    else moving.delete(pointer);
    this.#holdings.departures++;
  }

  /** Asks, and lets an answer decide what was in doubt at that node. */
  *#ask(mn: number, what: Parameters<Lane['ask']>[1], how = BACKGROUND): Op<RpcResponse | undefined> {
    const before = this.#holdings.departures;
    const answered = yield* this.lane.ask(mn, what, how);
    this.#isUndisturbed = this.#holdings.departures === before;
    if (answered !== undefined) this.#settleDoubts(mn);
    return answered;
  }

  *#listFrom(mn: number, cid: number, cursor: number, how = BACKGROUND): Op<RpcResponse | undefined> {
    const what = { operation: RpcOperation.LIST, argument: cid, pointer: cursor };
    const answered = yield* this.#ask(mn, what, how);
    return answered?.status === RpcStatus.OK ? answered : undefined;
  }

  /** Enters a block in the backup tables and writes its header, on every replica: one round trip. */
  *#enter(pointer: number, how: { sizeClass: number; isBackground: boolean }): Op<boolean> {
    const words = this.#local.words;
    words[this.#entry >>> 2] = this.#cid;
    words[(this.#entry >>> 2) + 1] = how.sizeClass + 1;
    const header = this.#entry + BLOCK_ENTRY_BYTES;
    words[header >>> 2] = this.#cid;
    words[(header >>> 2) + 1] = CLASS_LINES[how.sizeClass];
    const to = this.#view.dataReplicas(pointer, this.#replicas);
    const b = this.#batch.reset();
    for (let r = 0; r < to.count; r++) {
      if (r > 0) b.write(to.mn[r], this.#view.entryOffset(pointer, r), this.#entry, BLOCK_ENTRY_BYTES);
      b.write(to.mn[r], to.offsetBytes[r], header, 8);
    }
    if (how.isBackground) b.markBackground();
    yield b;
    return !b.hasFailures();
  }

  #writeBackupEntries = (pointer: number, lengthBytes: number): Op<boolean> =>
    writeBackupEntries(this.#room, pointer, { from: this.#entry, lengthBytes });

  /** Writes zeros over part of a block on all replicas. False: one was silent. */
  *#zero(pointer: number, bytes: number): Op<boolean> {
    const most = Math.min(ZERO_BYTES, this.#view.geometry.config.blockBytes);
    const known = this.#holdings;
    if (known.zeros < 0) known.zeros = this.#local.reserve(most);
    const b = this.#batch.reset();
    for (let at = 0; at < bytes; at += most) {
      if (b.count + this.#view.dataCount(pointer) > ZERO_VERBS) {
        b.markBackground();
        yield b;
        if (b.hasFailures()) return false;
        b.reset();
      }
      const to = this.#view.dataReplicas(pointer, this.#replicas);
      for (let r = 0; r < to.count; r++)
        b.write(to.mn[r], to.offsetBytes[r] + at, known.zeros, Math.min(most, bytes - at));
    }
    b.markBackground();
    yield b;
    return !b.hasFailures();
  }
}
