/**
 * What a master does to the memory between two views, with nobody at work (FUSEE section 5.2, Algorithm 3):
 * nodes learn the view, open slots are decided, and the client table is made anew where it is kept now.
 */
import {
  CLIENTS_BASE,
  CLIENTS_MAX,
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  entryDepth,
  isReplacedWord,
  LINE_BYTES,
  LogField,
  ownerPointer,
  type View,
} from '../layout/index.js';
import { type Lane, RpcOperation } from '../memory/index.js';
import { type Context, loadDirectory, type OpenRound } from '../ops/index.js';
import { type LoggedSlots, slotsOfObject, uncommittedObjects, walkLogs } from '../recovery/index.js';
import {
  CorruptionError,
  type LocalMemory,
  type Op,
  sameWord,
  VerbBatch,
  type Word,
  word,
} from '../verbs/index.js';
import { ARBITER_BYTES, Arbiter } from './arbitrate.js';
import type { Repair, StopReport } from './master.js';

/** WRITEs of one batch. */
const WRITES = 8;
/** The client table, and the directory's first word behind it. */
const TABLE_BYTES = 8 * CLIENTS_MAX + 8;

/** Registered memory that one {@link Repairer} takes, besides a context's. */
export const REPAIR_BYTES: number = ARBITER_BYTES + 64 * (WRITES + 1) + TABLE_BYTES;

/** Nobody goes on before every node has answered. */
const PATIENT: Parameters<Lane['ask']>[2] = { isBackground: false };

/** What a driver of repairs hears. */
export interface RepairOptions {
  /**
   * A dead client's log contradicts itself: the repair goes on without it. Its open rounds are decided, as
   * its blocks tell them, and recovery will meet the same. @default a CorruptionError is thrown
   */
  readonly onTorn?: (cid: number, why: string) => void;
}

/** Repairs a pool, view after view. Makes its own registered memory. */
export class Repairer {
  readonly #onTorn: NonNullable<RepairOptions['onTorn']>;
  readonly #cx: Context;
  readonly #arbiter: Arbiter;
  readonly #room: Room;

  /** @param cx the master's: a coroutine of a client state with a client id of its own. */
  constructor(cx: Context, { onTorn = fails }: RepairOptions = {}) {
    const { local, view } = cx.client;
    this.#onTorn = onTorn;
    this.#cx = cx;
    this.#arbiter = new Arbiter({ local, view });
    this.#room = { local, view, batch: new VerbBatch(local, WRITES), words: local.reserve(TABLE_BYTES) };
  }

  /**
   * Repairs the pool for the view that the client state's view has become. May be repeated.
   * @param before the view in which clients have stopped.
   * @returns what open slots hold, by logical offset; undefined when a node was silent that the view calls
   *   alive.
   */
  *repair(repair: Repair, before: View): Op<Map<number, Word> | undefined> {
    const [cx, room] = [this.#cx, this.#room];
    const { view } = room;
    for (let mn = 0; mn < view.geometry.config.nodes; mn++) {
      if (!view.isDead(mn) && !(yield* tellNode(cx.allocator.lane, mn, view))) return undefined;
    }
    if (before.controlMn !== view.controlMn) {
      const depth = yield* evenDirectory(room);
      const known = { version: cx.client.directory.version, depth };
      if (depth < 0 || !(yield* makeTable(room, repair, known))) return undefined;
    }
    return yield* this.#decide(repair, before);
  }

  /**
   * Decides every open round in the present view, so that all replicas of everything agree: a node is to
   * join. Answers as {@link repair}.
   */
  *settle(repair: Repair): Op<Map<number, Word> | undefined> {
    return yield* this.#decide(repair, this.#room.view);
  }

  *#decide(repair: Repair, before: View): Op<Map<number, Word> | undefined> {
    const [cx, room] = [this.#cx, this.#room];
    const rounds = [...repair.reports.values()].flatMap((report) => report.rounds);
    const left: LoggedSlots[] = [];
    const { directory } = cx.client;
    const reads = { view: room.view, batch: cx.batch, into: cx.matchArea };
    // Where the slots are that the dead have left open.
    if (repair.dead.length > 0 && !(yield* loadDirectory(directory, reads))) return undefined;
    for (const { cid } of repair.dead) {
      const open = yield* leftByDead(cx, cid, this.#onTorn);
      if (open === undefined) return undefined;
      left.push(...open);
    }
    const slots = [...rounds.map(({ slot }) => slot), ...left.flatMap((object) => object.slots)];
    const decided = yield* this.#arbiter.decide(slots, before, repair.isWhole);
    if (decided === undefined) return undefined;
    const lost = [...lostRounds(rounds, decided), ...lostOfDead(left, decided)];
    for (const object of lost) if (!(yield* clearUsed(room, object))) return undefined;
    return decided;
  }
}

function fails(cid: number, why: string): never {
  throw new CorruptionError(`client ${cid}: ${why}`);
}

/** What the steps of a repair share. */
interface Room {
  readonly local: LocalMemory;
  readonly view: View;
  readonly batch: VerbBatch;
  readonly words: number;
}

/**
 * Tells a node the view: it serves regions whose primary it is now. False: it was silent.
 */
export function* tellNode(lane: Lane, mn: number, view: Pick<View, 'number' | 'dead'>): Op<boolean> {
  const bits = [0, 0];
  for (const dead of view.dead()) bits[dead >>> 5] = (bits[dead >>> 5] | (1 << (dead & 31))) >>> 0;
  const what = { operation: RpcOperation.VIEW, argument: view.number, other: bits[0], pointer: bits[1] };
  return (yield* lane.ask(mn, what, PATIENT)) !== undefined;
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
  rounds.filter(({ slot, object, vOld, wasSwapped }) => {
    const stands = decided.get(slot);
    if (stands === undefined || ownerPointer(stands) === object) return false;
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

/** Clears the used bit of an object's log entry on all replicas. */
function* clearUsed({ local, view, batch: b, words }: Room, { cell, operation }: LostObject): Op<boolean> {
  local.bytes[words] = operation << 1;
  b.reset();
  for (let r = 0; r < view.dataCount(cell); r++)
    b.write(view.dataMn(cell, r), view.dataOffset(cell, r) + LINE_BYTES + LogField.OPERATION, words, 1);
  yield b;
  return !b.anyFailed();
}

/**
 * What a dead client may have had in flight: the latest objects of its log lists, and their candidate slots.
 * Where a list cannot be followed, whatever in its blocks is not committed.
 */
function* leftByDead(
  cx: Context,
  cid: number,
  onTorn: (cid: number, why: string) => void,
): Op<LoggedSlots[] | undefined> {
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
  const objects = lists.flatMap(({ unfinished }) => unfinished);
  const torn = lists.find(({ fault }) => fault !== undefined);
  if (torn?.fault !== undefined) {
    onTorn(cid, torn.fault);
    const more = yield* uncommittedObjects(cx, blocks);
    if (more === undefined) return undefined;
    objects.push(...more);
  }
  const left: LoggedSlots[] = [];
  for (const object of objects) {
    const slots = yield* slotsOfObject(cx, object);
    if (slots === undefined) return undefined;
    left.push(slots);
  }
  return left;
}

/** Entries of the directory that are copied at a time. */
const ENTRIES = CLIENTS_MAX;

/**
 * Makes the directory's backups equal to the one that is its primary now. Of a client that died while it
 * changed entries some may have them, and some not; what only backups had, nobody has seen (`split.ts`).
 * @returns the greatest local depth, which is the global one: word 0 counts on primaries, so this one's may be
 *   as old as the pool, nor need there be a client that could tell; -1: a node was silent.
 */
function* evenDirectory({ local, view, batch: b, words }: Room): Op<number> {
  const { subtables, subtablesMax } = view.geometry.config;
  let depth = Math.log2(subtables);
  if (subtables === subtablesMax) return depth;
  for (let first = 0; first < subtablesMax; first += ENTRIES) {
    const count = Math.min(ENTRIES, subtablesMax - first);
    b.reset().read(view.directoryMn(0), directoryOffset(first), words, 8 * count);
    yield b;
    if (b.anyFailed()) return -1;
    for (let s = 0; s < count; s++) depth = Math.max(depth, entryDepth(local.words[(words >>> 2) + 2 * s]));
    b.reset();
    for (let r = 1; r < view.directoryCount; r++)
      b.write(view.directoryMn(r), directoryOffset(first), words, 8 * count);
    if (b.count > 0) yield b;
    if (b.anyFailed()) return -1;
  }
  return depth;
}

/**
 * The client table on its new node, whole: this node may have had it before, with words of clients long gone.
 * A word for every member; those of the dead stand still, so no grace passes before they are recovered. The
 * directory's version is above all that anybody has seen: all load it anew.
 */
function* makeTable(room: Room, { reports, members }: Repair, known: StopReport['directory']): Op<boolean> {
  const { local, view, batch: b } = room;
  b.reset().read8(view.controlMn, DIRECTORY_VERSION_OFFSET);
  yield b;
  if (b.anyFailed()) return false;
  let version = Math.max(b.found(0, word()).lo, known.version);
  for (const { directory } of reports.values()) version = Math.max(version, directory.version);
  const table = room.words >>> 2;
  local.words.fill(0, table, table + 2 * CLIENTS_MAX);
  for (const { cid, place } of members) {
    const of = reports.get(cid)?.word ?? word(cid, 0);
    local.words.set([of.lo, of.hi], table + 2 * place);
  }
  const versionAt = room.words + 8 * CLIENTS_MAX;
  local.words.set([version + 1, known.depth], versionAt >>> 2);
  b.reset();
  b.write(view.controlMn, CLIENTS_BASE, room.words, 8 * CLIENTS_MAX);
  b.write(view.controlMn, DIRECTORY_VERSION_OFFSET, versionAt, 8);
  yield b;
  return !b.anyFailed();
}
