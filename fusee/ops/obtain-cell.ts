/**
 * Off the hot path: a cell for an object whose log list is not open yet, or whose class has none left.
 *
 * A request that waits here has seen nothing yet, so it holds no period: the grace that its cells wait for
 * must not wait for the request.
 *
 * DELETE is the way out of a full pool, and it too needs a cell: when it is refused a block, it asks for one
 * of those that the nodes set aside.
 */
import { LOG_HEAD_BYTES, LogOperation, MAX_REPLICAS } from '../layout/index.js';
import { Allocation, NO_PERIOD, putHead } from '../memory/index.js';
import { type Op, replicaRef, Status } from '../verbs/index.js';
import { adoptBlock } from './adopt-block.js';
import { type Context, Outcome } from './context.js';
import { awaitUnlocked, isLocked } from './directory.js';

/**
 * Fruitless looks through all blocks of a class, begun while a request waits, after which there is no memory.
 */
const FRUITLESS_LOOKS = 2;
/** Rounds of background work that a request waits for when its class has no block to look through. */
const ROUNDS = 32;

/**
 * Makes a begun request ready to write: its subtable is not locked, and it has a cell. Begins it again if it
 * had to wait. False: the request has ended without effect, with its outcome set.
 */
export function* getReady(cx: Context, operation: LogOperation): Op<boolean> {
  for (;;) {
    if (isLocked(cx) && !(yield* awaitUnlocked(cx))) return false;
    if (cx.takeCell(operation)) return true;
    cx.period = NO_PERIOD;
    if (!(yield* obtain(cx, operation))) return false;
    cx.begin();
    if (!isLocked(cx)) return true;
    cx.returnCell();
  }
}

function* obtain(cx: Context, operation: LogOperation): Op<boolean> {
  const { slab } = cx.client;
  let isFull = false;
  for (;;) {
    const opened = yield* openList(cx, operation);
    if (opened === undefined) {
      cx.outcome = Outcome.UNAVAILABLE;
      return false;
    }
    if (opened && cx.takeCell(operation)) return true;
    const before = slab.cellsFor(cx.sizeClass, operation);
    const hasMore = (): boolean => slab.cellsFor(cx.sizeClass, operation) > before;
    yield* adoptBlock(cx, hasMore);
    // A block of another client's, or one that a sibling has fetched meanwhile.
    if (hasMore()) continue;
    let refilled = yield* cx.allocator.refill(cx.sizeClass, cx.write);
    if (refilled === Allocation.NO_MEMORY && operation === LogOperation.DELETE && !hasMore())
      refilled = yield* cx.allocator.refill(cx.sizeClass, cx.write, true);
    if (refilled === Allocation.OK) continue;
    if (refilled === Allocation.UNAVAILABLE && (yield* awaitView(cx))) continue;
    isFull ||= refilled === Allocation.NO_MEMORY;
    if (refilled === Allocation.NO_MEMORY && (yield* awaitReclaim(cx, operation))) continue;
    // Whoever has been told that there is none, and then ran out of time, has waited for memory.
    cx.outcome = isFull ? Outcome.NO_MEMORY : Outcome.UNAVAILABLE;
    return false;
  }
}

/**
 * Opens the list of the coroutine and class. False: the class has no cell; undefined: a replica was silent.
 */
export function* openList(cx: Context, operation: LogOperation): Op<boolean | undefined> {
  const { slab, view, local } = cx.client;
  if (slab.isOpen(cx.coroutine, cx.sizeClass)) return true;
  const list = slab.open(cx.coroutine, cx.sizeClass, operation);
  if (list === undefined) return false;
  putHead(local, cx.headWords, list);
  const to = view.dataReplicas(list.pointer, replicaRef(MAX_REPLICAS));
  const b = cx.batch.reset();
  for (let r = 0; r < to.count; r++) b.write(to.mn[r], to.offsetBytes[r], cx.headWords, LOG_HEAD_BYTES);
  b.markBackground();
  yield b;
  for (let i = 0; i < b.count; i++) {
    if (b.status(i) === Status.OK) continue;
    slab.close(cx.coroutine, cx.sizeClass);
    return undefined;
  }
  slab.opened(cx.coroutine, cx.sizeClass);
  return true;
}

/** A node was silent: it may be dead, and others take its place then. True: worth asking again. */
function* awaitView(cx: Context): Op<boolean> {
  if (!cx.client.hasMaster || cx.write.expired) return false;
  cx.batch.reset().isPoll = true;
  yield cx.batch;
  return true;
}

/**
 * Waits until reclaim has freed a cell of the class, or given back a block of any: then it is worth asking
 * again. False when there is none to be found, or time is up.
 */
function* awaitReclaim(cx: Context, operation: LogOperation): Op<boolean> {
  const { client, sizeClass } = cx;
  if (!client.hasJanitor) return false;
  const { slab, fruitless } = client;
  const limit = fruitless[sizeClass] + FRUITLESS_LOOKS;
  // Of a class without blocks nothing can be found: what is left is that blocks of others run empty.
  const roundsMax = slab.blocksOf(sizeClass).length > 0 ? Number.POSITIVE_INFINITY : client.rounds + ROUNDS;
  // A list takes its next cell ahead, and a new one its first cell too.
  const least = slab.isOpen(cx.coroutine, sizeClass) ? 1 : 2;
  const blocks = client.blocksGivenBack;
  const hasMore = (): boolean =>
    slab.cellsFor(sizeClass, operation) >= least || client.blocksGivenBack !== blocks;
  client.short++;
  // At least once, so that the driver sees that the request waits: its deadline ends it at the latest.
  do {
    cx.batch.reset().isPoll = true;
    yield cx.batch;
  } while (!hasMore() && fruitless[sizeClass] < limit && client.rounds < roundsMax && !cx.write.expired);
  client.short--;
  return hasMore() && !cx.write.expired;
}
