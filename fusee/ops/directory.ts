/**
 * What requests have to do with the directory: who may not write now waits, who met a stale one loads it
 * anew.
 *
 * Rules of this file:
 * - A request that waits holds no period: it has nothing in flight and remembers nothing, and begins again.
 *   Otherwise the split that it waits for would wait for it.
 * - It waits with empty batches, for the background (`fusee/background`) to bring another directory.
 */
import { Directory } from '../index/index.js';
import { COMBINED_BYTES, DIRECTORY_VERSION_OFFSET, directoryOffset, type View } from '../layout/index.js';
import type { Op, VerbBatch } from '../verbs/index.js';
import type { ClientState } from './client-state.js';
import { type Context, Outcome } from './context.js';

/** Entries that one READ brings. */
const ENTRIES = 512;
/** Registered memory that {@link loadDirectory} reads into. */
export const DIRECTORY_READ_BYTES: number = ENTRIES * 8;
/** Verbs of its batches. */
export const DIRECTORY_READ_VERBS = 2;

/**
 * Loads the directory. One round trip for each 512 suffixes; again when it changed under the READs.
 * @param into room for {@link DIRECTORY_READ_BYTES} in registered memory.
 * @returns false when a node was silent.
 */
export function* loadDirectory(
  directory: Directory,
  { view, batch: b, into }: { view: View; batch: VerbBatch; into: number },
): Op<boolean> {
  const { subtablesMax } = view.geometry.config;
  const mn = view.directoryMn(0);
  const { words } = b.local;
  let version: number;
  let depth: number;
  let entries: Uint32Array;
  do {
    version = 0;
    depth = 0;
    entries = new Uint32Array(2);
    for (let first = 0; first < 2 ** depth; first += ENTRIES) {
      b.reset();
      // The version first: entries may be newer than it says, never older.
      if (first === 0) b.read8(mn, DIRECTORY_VERSION_OFFSET);
      const count = Math.min(ENTRIES, subtablesMax - first);
      b.read(mn, directoryOffset(first), into, count * 8);
      yield b;
      if (b.anyFailed()) return false;
      if (first === 0) {
        const word0 = b.found(0, { hi: 0, lo: 0 });
        version = word0.lo;
        depth = word0.hi;
        entries = new Uint32Array(2 * Math.max(subtablesMax, ENTRIES));
      }
      entries.set(words.subarray(into >>> 2, (into >>> 2) + 2 * count), 2 * first);
    }
  } while (!directory.load(version, depth, entries));
  return true;
}

/** May the staged key's subtable not be written to now? */
export const isLocked = ({ place: { directory, placeHash } }: Context): boolean =>
  directory.lockedOf[placeHash & directory.mask] !== 0;

/**
 * Waits until the begun request may write, and begins it again; one yield per look, and no verb. False: the
 * deadline passed; the request has ended, with its outcome set and without an effect.
 */
export function* awaitUnlocked(cx: Context): Op<boolean> {
  return yield* awaitDirectory(cx, () => !isLocked(cx));
}

/** How an INSERT that found no vacancy goes on. */
export const Room = { AGAIN: 0, NONE: 1, EXPIRED: 2 } as const;
export type Room = (typeof Room)[keyof typeof Room];

/**
 * Has the key's subtable split, and begins the request again; {@link awaitUnlocked} comes next. NONE: it can
 * split no further, EXPIRED: the deadline passed; the request has then ended, with its outcome set.
 */
export function* awaitRoom(cx: Context): Op<Room> {
  const { client } = cx;
  const { directory } = client;
  const { subtables, subtablesMax } = client.view.geometry.config;
  // As the full buckets say: the directory may have gone on since.
  const { words } = client.local;
  const depth = words[cx.buckets >>> 2];
  const subtable = words[(cx.buckets >>> 2) + 1];
  if (subtable + 2 ** depth >= subtablesMax) {
    cx.outcome = subtables === subtablesMax ? Outcome.INDEX_FULL : Outcome.NO_MEMORY;
    cx.end();
    return Room.NONE;
  }
  const hasSplit = (): boolean => {
    if (directory.depthOf(subtable) !== depth) return true;
    // Again and again: whoever was splitting it may have died, and its lock been lifted.
    if (directory.ownerOf(subtable) === 0) client.splitsWanted.set(subtable, depth);
    return false;
  };
  return (yield* awaitDirectory(cx, hasSplit)) ? Room.AGAIN : Room.EXPIRED;
}

function* awaitDirectory(cx: Context, isOver: () => boolean): Op<boolean> {
  const { client } = cx;
  // A cell that it has had is finished with: proposed and lost, or handed back.
  cx.outcome = Outcome.OK;
  cx.end();
  client.waiting++;
  while (!isOver()) {
    cx.batch.reset().isPoll = true;
    yield cx.batch;
    if (!cx.write.expired) continue;
    client.waiting--;
    cx.outcome = Outcome.UNAVAILABLE;
    return false;
  }
  client.waiting--;
  cx.begin();
  return true;
}

/** Do the headers of the buckets just read say that the key belongs elsewhere? */
export function isStale(cx: Context): boolean {
  const { words } = cx.client.local;
  const { placeHash } = cx.place;
  const first = cx.buckets >>> 2;
  const second = (cx.buckets + COMBINED_BYTES) >>> 2;
  return !(
    Directory.covers(words[first], words[first + 1], placeHash) &&
    Directory.covers(words[second], words[second + 1], placeHash)
  );
}

/**
 * Buckets that do not cover the key: the directory is too old, which grace keeps from clients that announce
 * their periods. Loads it, and places the key anew. One round trip. False when a node was silent.
 */
export function* followSplit(cx: Context): Op<boolean> {
  const { client } = cx;
  client.staleDirectories++;
  const loaded = yield* loadDirectory(client.directory, {
    view: client.view,
    batch: cx.batch,
    into: cx.matchArea,
  });
  if (loaded) cx.begin();
  return loaded;
}

/**
 * Ends the client's period if nothing of an earlier one is in flight: announces the next, loads the directory
 * if it has changed, and lets requests begin in the new period. One round trip, or two. False: not now.
 */
export function* advancePeriod(client: ClientState, room: { batch: VerbBatch; into: number }): Op<boolean> {
  if (!client.grace.mayAdvance(client.contexts)) return false;
  return yield* commitPeriod(client, yield* client.grace.announce(), room);
}

/**
 * Makes the client one that may have requests in flight: before its first, and after a rest. Three round
 * trips. False when a node was silent.
 */
export function* enterPool(client: ClientState, room: { batch: VerbBatch; into: number }): Op<boolean> {
  return yield* commitPeriod(client, yield* client.grace.enter(), room);
}

function* commitPeriod(
  client: ClientState,
  version: number,
  room: { batch: VerbBatch; into: number },
): Op<boolean> {
  if (version < 0) return false;
  const { directory, view } = client;
  if (version !== directory.version && !(yield* loadDirectory(directory, { view, ...room }))) return false;
  client.grace.commit();
  return true;
}
