/**
 * What a master does to the memory between two views, with nobody at work (FUSEE section 5.2, Algorithm 3):
 * nodes learn the view, open slots are decided, and the client table is made anew where it is kept now.
 */
import { CLIENTS_BASE, DIRECTORY_VERSION_OFFSET, type View } from '../layout/index.js';
import { RPC_FRAME_BYTES, RpcOperation, writeRequest } from '../memory/index.js';
import type { Context } from '../ops/index.js';
import { slotsOfObject, walkLogs } from '../recovery/index.js';
import { type LocalMemory, type Op, RPC_BYTES, Status, VerbBatch, type Word, word } from '../verbs/index.js';
import { ARBITER_BYTES, Arbiter } from './arbitrate.js';
import { MASTER_CID, type Repair } from './master.js';

/** Registered memory that {@link repairPool} takes, besides a context's. */
export const REPAIR_BYTES: number = ARBITER_BYTES + 2 * RPC_BYTES + 64 * 8;

/** Times that a node is asked before it counts as silent. */
const ATTEMPTS = 4;
/** WRITEs of one batch. */
const WRITES = 32;

/**
 * Repairs the pool for a new view. `cx` belongs to the master, and its client state's view is the new one.
 * May be repeated.
 * @returns what open slots hold, by logical offset; undefined when a node was silent that the view calls alive.
 */
export function* repairPool(
  cx: Context,
  { repair, before }: { repair: Repair; before: View },
): Op<Map<number, Word> | undefined> {
  const { local, view } = cx.client;
  const room = new Room(local);
  for (let mn = 0; mn < view.geometry.config.nodes; mn++) {
    if (!view.isDead(mn) && !(yield* tellNode(room, mn, view))) return undefined;
  }
  const slots: number[] = [];
  for (const report of repair.reports.values()) slots.push(...report.slots);
  for (const { cid } of repair.dead) {
    const open = yield* slotsOfDead(cx, cid);
    if (open === undefined) return undefined;
    slots.push(...open);
  }
  const decided = yield* new Arbiter({ local, view, before }).decide(slots);
  if (decided === undefined) return undefined;
  if (before.controlMn !== view.controlMn && !(yield* makeTable(room, view, repair))) return undefined;
  return decided;
}

/** What the steps of a repair share. */
class Room {
  readonly local: LocalMemory;
  readonly batch: VerbBatch;
  readonly request: number;
  readonly response: number;
  readonly words: number;

  constructor(local: LocalMemory) {
    this.local = local;
    this.batch = new VerbBatch(local, WRITES);
    this.request = local.reserve(RPC_BYTES);
    this.response = local.reserve(RPC_BYTES);
    this.words = local.reserve(WRITES * 8);
  }
}

/** Tells a node the view: it serves regions whose primary it is now. */
function* tellNode({ local, batch, request, response }: Room, mn: number, view: View): Op<boolean> {
  let [low, high] = [0, 0];
  for (const dead of view.dead()) {
    if (dead < 32) low |= 1 << dead;
    else high |= 1 << (dead - 32);
  }
  writeRequest(local.bytes, request, {
    operation: RpcOperation.VIEW,
    cid: MASTER_CID,
    requestId: view.number,
    argument: view.number,
    pointer: 0,
    other: low >>> 0,
    lane: high >>> 0,
  });
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    batch
      .reset()
      .rpc(
        mn,
        { local: request, lengthBytes: RPC_FRAME_BYTES },
        { local: response, capacityBytes: RPC_BYTES },
      );
    yield batch;
    if (batch.status(0) === Status.OK) return true;
  }
  return false;
}

/** Candidate slots of what a dead client may have had in flight: the latest objects of its log lists. */
function* slotsOfDead(cx: Context, cid: number): Op<number[] | undefined> {
  const { view } = cx.client;
  const blocks: { pointer: number; sizeClass: number }[] = [];
  for (let mn = 0; mn < view.geometry.config.nodes; mn++) {
    if (view.isDead(mn)) continue;
    const listed = yield* cx.allocator.list(mn, cid);
    if (listed === undefined) return undefined;
    blocks.push(...listed);
  }
  const lists = yield* walkLogs(cx, blocks);
  if (lists === undefined) return undefined;
  const slots: number[] = [];
  for (const object of lists.flat()) {
    const candidates = yield* slotsOfObject(cx, object);
    if (candidates === undefined) return undefined;
    slots.push(...candidates);
  }
  return slots;
}

/**
 * The client table on its new node: a word for every member. Those of the dead stand still, so no grace passes
 * before they are recovered. The directory's version is above all that anybody has seen: all load it anew.
 */
function* makeTable(room: Room, view: View, { reports, members }: Repair): Op<boolean> {
  const { local, batch: b } = room;
  let version = 0;
  let depth = 0;
  for (const { directory } of reports.values()) {
    version = Math.max(version, directory.version);
    depth = Math.max(depth, directory.depth);
  }
  const writes: { at: number; to: Word }[] = members.map(({ cid, place }) => ({
    at: CLIENTS_BASE + 8 * place,
    to: reports.get(cid)?.word ?? word(cid, 0),
  }));
  b.reset().read8(view.controlMn, DIRECTORY_VERSION_OFFSET);
  yield b;
  if (b.anyFailed()) return false;
  const found = b.found(0, word());
  writes.push({
    at: DIRECTORY_VERSION_OFFSET,
    to: word(Math.max(depth, found.hi), Math.max(version, found.lo) + 1),
  });
  for (let first = 0; first < writes.length; first += WRITES) {
    b.reset();
    writes.slice(first, first + WRITES).forEach(({ at, to }, i) => {
      local.words[(room.words >>> 2) + 2 * i] = to.lo;
      local.words[(room.words >>> 2) + 2 * i + 1] = to.hi;
      b.write(view.controlMn, at, room.words + 8 * i, 8);
    });
    yield b;
    if (b.anyFailed()) return false;
  }
  return true;
}
