/**
 * The last steps of a node's joining, with nobody at work and its memory like the others' (`fill.ts`): its
 * CPU learns who is a client, and all nodes learn the view in which it has its vote.
 *
 * Clients that are no members yet may be granted ids meanwhile, by the node that does so in the view before.
 * So the new one, which may be the one that grants them from now on, begins some ids above the highest: none
 * is granted twice. Who is caught between the two views begins again (`client/connect.ts`).
 */
import { CLIENTS_BASE, CLIENTS_MAX, MAX_REPLICAS, type View } from '../layout/index.js';
import {
  holderOf,
  type Lane,
  RPC_FRAME_BYTES,
  type RpcAsked,
  RpcOperation,
  type RpcResponse,
  RpcStatistic,
  RpcStatus,
  readBlocks,
  readResponse,
  writeRequest,
} from '../memory/index.js';
import { type LocalMemory, type Op, RPC_BYTES, Status, VerbBatch } from '../verbs/index.js';
import type { Member } from './master.js';
import type { MasterView } from './next-view.js';
import { tellNode } from './repair.js';

/** Times a node is asked before it counts as silent. */
const ATTEMPTS = 3;

/** Client ids that may be granted while a node joins. */
const SPARE_CIDS = 64;

/** Registered memory that one {@link Usher} takes. */
export const USHER_BYTES: number =
  64 * (MAX_REPLICAS + 3) + RPC_FRAME_BYTES + RPC_BYTES + 8 * CLIENTS_MAX + 256;

/** Brings nodes in. Makes its own registered memory. */
export class Usher {
  readonly #lane: Lane;
  readonly #view: View;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  readonly #request: number;
  readonly #response: number;
  readonly #tables: VerbBatch;
  readonly #zeros: number;
  #requestId = 0;

  /** @param room.lane of the master's own, which nobody else uses meanwhile. */
  constructor(room: { lane: Lane; view: View; local: LocalMemory }) {
    this.#lane = room.lane;
    this.#view = room.view;
    this.#local = room.local;
    this.#batch = new VerbBatch(room.local, 1);
    this.#request = room.local.reserve(RPC_FRAME_BYTES);
    this.#response = room.local.reserve(RPC_BYTES);
    this.#tables = new VerbBatch(room.local, MAX_REPLICAS);
    this.#zeros = room.local.reserve(8 * CLIENTS_MAX);
  }

  /** The highest client id that a node knows of: while it is the one that grants them. */
  *highestCid(granting: number): Op<number | undefined> {
    const what = { operation: RpcOperation.STATS, cid: 0, argument: RpcStatistic.CLIENTS };
    return (yield* this.#ask(granting, what))?.value;
  }

  /**
   * Clients that hold a place and have a master, by the node that grants places. A round trip for each ten of
   * them. Undefined: it was silent.
   */
  *holders(granting: number): Op<Member[] | undefined> {
    const found: Member[] = [];
    for (let from = 0; from >= 0; ) {
      const answer = yield* this.#ask(granting, { operation: RpcOperation.HOLDERS, cid: 0, argument: from });
      if (answer === undefined) return undefined;
      found.push(...readBlocks(this.#local.bytes, this.#response).map(holderOf));
      from = answer.value;
    }
    return found;
  }

  /**
   * Tells everybody but the node itself the view in which it lives: whoever serves regions in its place
   * stops, so that nothing of their tables changes any more, late requests or not. Before those are copied.
   * One round trip for each node. False: one was silent.
   */
  *announce(mn: number, next: MasterView): Op<boolean> {
    const told = { number: next.number, dead: () => [...next.dead] };
    for (let other = 0; other < this.#view.geometry.config.nodes; other++) {
      if (other === mn || next.dead.includes(other)) continue;
      if (!(yield* tellNode(this.#lane, other, told))) return false;
    }
    return true;
  }

  /**
   * Brings node `mn` in: the view has become the one in which it lives. A round trip for each member, and a few
   * more.
   * @param of.members every client with a place, the master's own included.
   * @param of.highestCid by {@link highestCid}, asked in the view before; undefined: nobody has joined by
   *   calls.
   * @returns false: a node was silent.
   */
  *admit(mn: number, of: { before: View; members: readonly Member[]; highestCid?: number }): Op<boolean> {
    const [view, lane] = [this.#view, this.#lane];
    // As long as it takes itself for dead, it takes down who is told to be a member.
    const without = [...new Set([...of.before.dead(), mn])];
    if (!(yield* tellNode(lane, mn, { number: of.before.number, dead: () => without }))) return false;
    for (const { cid, place } of of.members)
      if (!(yield* this.#ask(mn, { operation: RpcOperation.JOIN, cid, pointer: place }))) return false;
    if (of.highestCid !== undefined && !(yield* this.#tellCid(mn, of.members, of.highestCid))) return false;
    return yield* tellNode(lane, mn, view);
  }

  /** The node begins above the highest id: as if somebody had come and gone. */
  *#tellCid(mn: number, members: readonly Member[], highest: number): Op<boolean> {
    const places = new Set(members.map(({ place }) => place));
    let pointer = CLIENTS_MAX - 1;
    while (places.has(pointer)) pointer--;
    const cid = highest + SPARE_CIDS;
    if (!(yield* this.#ask(mn, { operation: RpcOperation.JOIN, cid, pointer }))) return false;
    return (yield* this.#ask(mn, { operation: RpcOperation.LEAVE, cid })) !== undefined;
  }

  /**
   * Clears the client table where it is not in use any more: its words would stand for clients long gone when
   * it is in use there again. One round trip. Whoever is silent has no table.
   */
  *clearTables(): Op<void> {
    const b = this.#tables.reset();
    for (let r = 1; r < this.#view.directoryCount; r++)
      b.write(this.#view.directoryMn(r), CLIENTS_BASE, this.#zeros, 8 * CLIENTS_MAX);
    if (b.count > 0) yield b;
  }

  /** Asks what may be repeated. Undefined: the node was silent, or refused. */
  *#ask(mn: number, what: RpcAsked): Op<RpcResponse | undefined> {
    this.#requestId = (this.#requestId + 1) >>> 0;
    const { bytes } = this.#local;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      writeRequest(bytes, this.#request, { ...what, requestId: this.#requestId });
      this.#batch
        .reset()
        .rpc(
          mn,
          { local: this.#request, lengthBytes: RPC_FRAME_BYTES },
          { local: this.#response, capacityBytes: RPC_BYTES },
        );
      yield this.#batch;
      if (this.#batch.status(0) !== Status.OK) continue;
      const answer = readResponse(bytes, this.#response);
      if (answer.requestId === this.#requestId) return answer.status === RpcStatus.OK ? answer : undefined;
    }
    return undefined;
  }
}
