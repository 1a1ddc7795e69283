/**
 * What a master does to the memory between two views, with nobody at work (FUSEE section 5.2, Algorithm 3):
 * nodes learn the view, open slots are decided, and the client table is made anew where it is kept now.
 */
import {
  CLIENTS_BASE,
  DIRECTORY_VERSION_OFFSET,
  isReplacedWord,
  isTomb,
  LINE_BYTES,
  LogField,
  MAX_LINES,
  ownerPointer,
  slotLines,
  type View,
} from '../layout/index.js';
import { RPC_FRAME_BYTES, RpcOperation, writeRequest } from '../memory/index.js';
import type { Context, OpenRound } from '../ops/index.js';
import { type LoggedSlots, slotsOfObject, walkLogs } from '../recovery/index.js';
import {
  type LocalMemory,
  type Op,
  RPC_BYTES,
  Status,
  sameWord,
  VerbBatch,
  type Word,
  word,
} from '../verbs/index.js';
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
 * @returns what open slots hold, by logical offset; undefined when a node was silent that the view calls
 *   alive.
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
  const rounds = [...repair.reports.values()].flatMap((report) => report.rounds);
  const left: LoggedSlots[] = [];
  for (const { cid } of repair.dead) {
    const open = yield* leftByDead(cx, cid);
    if (open === undefined) return undefined;
    left.push(...open);
  }
  const slots = [...rounds.map(({ slot }) => slot), ...left.flatMap((object) => object.slots)];
  const decided = yield* new Arbiter({ local, view, before }).decide(slots);
  if (decided === undefined) return undefined;
  const lost = [...lostRounds(rounds, decided), ...lostOfDead(left, decided)];
  for (const object of lost) if (!(yield* clearUsed(room, view, object))) return undefined;
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

/** An object whose entry is to say that nothing came of it. */
interface LostObject {
  readonly cell: number;
  readonly operation: number;
}

/**
 * Reported rounds that did not happen, as it was decided. One that may have stood on the primary has, if not.
 */
const lostRounds = (rounds: readonly OpenRound[], decided: ReadonlyMap<number, Word>): LostObject[] =>
  rounds.filter(({ slot, cell, vOld, wasSwapped }) => {
    const stands = decided.get(slot);
    if (stands === undefined || isIn(cell, stands)) return false;
    return !wasSwapped || sameWord(stands, vOld);
  });

/**
 * A dead client's operation had won its round, and the slot still holds what it was to replace. Of one that
 * was to replace nothing it cannot be told whether the slot is still empty, or has long found another use:
 * its object leaks at worst.
 */
const lostOfDead = (left: readonly LoggedSlots[], decided: ReadonlyMap<number, Word>): LostObject[] =>
  left.filter(
    ({ slots, vOld }) =>
      vOld !== undefined &&
      isReplacedWord(vOld) &&
      slots.some((slot) => sameWord(decided.get(slot) ?? NO_WORD, vOld)),
  );

const NO_WORD = word();

/** Does a word name the object that ends in this cell? Objects end with their cell's last line. */
const isIn = (cell: number, w: Word): boolean => {
  const pointer = ownerPointer(w);
  if (isTomb(w)) return pointer <= cell && cell - pointer < MAX_LINES * LINE_BYTES;
  return pointer + (slotLines(w) - 1) * LINE_BYTES === cell;
};

/** Clears the used bit of an object's log entry on all replicas. */
function* clearUsed(
  { local, batch: b, words }: Room,
  view: View,
  { cell, operation }: LostObject,
): Op<boolean> {
  local.bytes[words] = operation << 1;
  b.reset();
  for (let r = 0; r < view.dataCount(cell); r++)
    b.write(view.dataMn(cell, r), view.dataOffset(cell, r) + LINE_BYTES + LogField.OPERATION, words, 1);
  yield b;
  return !b.anyFailed();
}

/**
 * What a dead client may have had in flight: the latest objects of its log lists, and their candidate slots.
 */
function* leftByDead(cx: Context, cid: number): Op<LoggedSlots[] | undefined> {
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
  const left: LoggedSlots[] = [];
  for (const object of lists.flatMap(({ unfinished }) => unfinished)) {
    const slots = yield* slotsOfObject(cx, object);
    if (slots === undefined) return undefined;
    left.push(slots);
  }
  return left;
}

/**
 * The client table on its new node: a word for every member. Those of the dead stand still, so no grace
 * passes before they are recovered. The directory's version is above all that anybody has seen: all load it
 * anew.
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
