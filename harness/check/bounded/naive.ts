/** Reclaim, recovery and takeover with a rule left out: what H4, H5, H9, H13, H16 and H17 are made of. */
import { CANDIDATES, candidateSlot, candidateWord } from '../../../fusee/index/index.js';
import {
  LINE_BYTES,
  LOG_ENTRY_BYTES,
  LogField,
  LogOperation,
  makeSlot,
  readOldValue,
  slotLines,
} from '../../../fusee/layout/index.js';
import { type Context, RequestKind } from '../../../fusee/ops/index.js';
import { searchLoop } from '../../../fusee/ops/search.js';
import { walkLogs } from '../../../fusee/recovery/index.js';
import {
  DONE,
  Field,
  type Op,
  Opcode,
  type OpLoop,
  Status,
  sameWord,
  VerbBatch,
  word,
} from '../../../fusee/verbs/index.js';
import { type Keeper, recoverLogs } from './reclaim-world.js';

/** Does something else in place of a batch, or adds to it; undefined: the batch is posted as it is. */
type Change = (batch: VerbBatch) => Op<void> | undefined;

/** Runs an operation with some of its batches changed. */
function* changed<T>(op: Op<T>, change: Change): Op<T> {
  for (let step = op.next(); ; step = op.next()) {
    if (step.done === true) return step.value;
    const other = change(step.value);
    if (other === undefined) yield step.value;
    else {
      yield* other;
      for (let i = 0; i < step.value.count; i++) step.value.setField(i, Field.STATUS, Status.OK);
    }
  }
}

function changeReclaim(keeper: Keeper, change: Change): void {
  const { reclaim } = keeper;
  const { free, collect, settle } = reclaim;
  reclaim.free = () => changed(free.call(reclaim), change);
  reclaim.collect = () => changed(collect.call(reclaim), change);
  reclaim.settle = () => changed(settle.call(reclaim), change);
}

function* nothing(): Op<void> {}

/** Is this the batch that zeroes trailers? */
const zeroes = (batch: VerbBatch): boolean =>
  batch.opcode(0) === Opcode.WRITE && batch.field(0, Field.LENGTH) === LOG_ENTRY_BYTES;
const adds = (batch: VerbBatch): boolean => batch.opcode(0) === Opcode.FAA;

/** H4: cells are handed out again at once. */
export function withoutGrace(keeper: Keeper): void {
  keeper.state.grace.hasPassed = function* () {
    return true;
  };
}

/** H4: grace waits for one period in place of two. */
export function withOnePeriod({ state: { grace } }: Keeper): void {
  const { hasPassed } = grace;
  grace.hasPassed = (mark) => {
    const earlier = mark.slice();
    for (let i = 0; i + 1 < earlier.length; i += 2) if (earlier[i + 1] !== 0) earlier[i]--;
    return hasPassed.call(grace, earlier);
  };
}

/** H4: a cached word counts as fresh for ever. */
export function everyHintIsFresh({ coroutines }: Keeper): void {
  for (const { cx } of coroutines)
    Object.defineProperty(cx, 'isHintFresh', { get: () => true, set: () => {} });
}

/** H4: a hit that reads what its slot names is an answer, used bit or not. */
export function searchWithoutUsedBit(cx: Context): readonly OpLoop[] {
  const loops: OpLoop[] = [];
  loops[RequestKind.SEARCH] = setsUsedBit(cx);
  return loops;
}

function* setsUsedBit(cx: Context): OpLoop {
  const loop = searchLoop(cx);
  for (;;) {
    const batch = loop.next().value;
    yield batch;
    if (batch !== DONE && cx.isHit)
      cx.client.local.bytes[cx.matchArea + slotLines(cx.hintWord) * LINE_BYTES + LogField.OPERATION] |= 1;
  }
}

/** H9: cells come back with their old trailers. */
export const keepsTrailers = (keeper: Keeper): void =>
  changeReclaim(keeper, (batch) => (zeroes(batch) ? nothing() : undefined));

/** H9: trailers are zeroed on the primary alone. */
export function zeroesOnPrimary(keeper: Keeper): void {
  const { local } = keeper;
  const one = new VerbBatch(local, 32);
  changeReclaim(keeper, (batch) => (zeroes(batch) ? onPrimary(batch, one) : undefined));
}

function* onPrimary(batch: VerbBatch, one: VerbBatch): Op<void> {
  one.reset();
  // Replicas stand one after the other, primary first.
  for (let i = 0; i < batch.count; i += 2)
    one.write(batch.mn(i), batch.remote(i), batch.field(i, Field.LOCAL), LOG_ENTRY_BYTES);
  yield one;
}

/** H4: trailers are zeroed behind the grace, not ahead of it. */
export function zeroesBehindGrace(keeper: Keeper): void {
  const { reclaim, local } = keeper;
  const later = new VerbBatch(local, 32);
  changeReclaim(keeper, (batch) => {
    if (!zeroes(batch)) return undefined;
    for (let i = 0; i < batch.count; i++)
      later.write(batch.mn(i), batch.remote(i), batch.field(i, Field.LOCAL), LOG_ENTRY_BYTES);
    return nothing();
  });
  const { settle } = reclaim;
  reclaim.settle = function* () {
    const settled = yield* settle.call(reclaim);
    if (settled) yield later;
    return settled;
  };
}

/** H5, H17: memory is freed and reused while log heads stay where they are. */
export function leavesHeads({ state }: Keeper): void {
  state.slab.staleHeads = () => [];
}

/** H24: periods end while log heads do not cover bits that have been set. */
export function paysNoDebts(keeper: Keeper): void {
  keeper.paysDebts = false;
}

/** H5: all coroutines of a client share the list of the first. */
export function sharesOneList({ state: { slab } }: Keeper): void {
  const { take, giveBack, finish, abandon, nextOf, prevOf, isOpen } = slab;
  slab.take = (_, sizeClass) => take.call(slab, 0, sizeClass);
  slab.giveBack = (_, sizeClass) => giveBack.call(slab, 0, sizeClass);
  slab.finish = (_, sizeClass) => finish.call(slab, 0, sizeClass);
  slab.abandon = (_, sizeClass) => abandon.call(slab, 0, sizeClass);
  slab.nextOf = (_, sizeClass) => nextOf.call(slab, 0, sizeClass);
  slab.prevOf = (_, sizeClass) => prevOf.call(slab, 0, sizeClass);
  slab.isOpen = (_, sizeClass) => isOpen.call(slab, 0, sizeClass);
}

/** H13: the locks of the dead stay. */
export function liftsNoLocks(keeper: Keeper): void {
  keeper.lift = nothing;
}

/** H16: a FAA whose answer is late is sent once more. */
export const freesTwice = (keeper: Keeper): void =>
  changeReclaim(keeper, (batch) =>
    adds(batch) && batch.field(0, Field.EXPECT_HI) === 0 ? twice(batch) : undefined,
  );

function* twice(batch: VerbBatch): Op<void> {
  yield batch;
  yield batch;
}

/** H16: the owner clears the bits that it has read by a WRITE. */
export function clearsByWrite(keeper: Keeper): void {
  const { local } = keeper;
  const zero = local.reserve(8);
  const writes = new VerbBatch(local, 32);
  changeReclaim(keeper, (batch) =>
    adds(batch) && batch.field(0, Field.EXPECT_HI) !== 0 ? overwrite(batch, writes, zero) : undefined,
  );
}

function* overwrite(batch: VerbBatch, writes: VerbBatch, zero: number): Op<void> {
  writes.reset();
  for (let i = 0; i < batch.count; i++) writes.write(batch.mn(i), batch.remote(i), zero, 8);
  yield writes;
}

/** H5: a log walk that ends at the first clear used bit. */
export const walksToUnused = (cx: Context, dead: Keeper): Op<void> =>
  recoverLogs(
    cx,
    dead,
    changed(walkLogs(cx, dead.pool.blocksOf(dead.cid)), (batch) =>
      batch.field(0, Field.LENGTH) === LOG_ENTRY_BYTES ? endsAtUnused(batch) : undefined,
    ),
  );

function* endsAtUnused(batch: VerbBatch): Op<void> {
  yield batch;
  const { bytes } = batch.local;
  for (let i = 0; i < batch.count; i++) {
    const operation = batch.field(i, Field.LOCAL) + LOG_ENTRY_BYTES + LogField.OPERATION;
    if ((bytes[operation] & 1) === 0) bytes[operation] = 0;
  }
}

/**
 * H17: recovery by the text: where a log is committed and the primary holds its old value, the operation is
 * finished.
 */
export function* goesByOldValue(cx: Context, dead: Keeper): Op<void> {
  for (const { unfinished } of (yield* walkLogs(cx, dead.pool.blocksOf(dead.cid))) ?? []) {
    for (const { cell } of unfinished) yield* finishByOldValue(cx, cell);
  }
}

function* finishByOldValue(cx: Context, cell: number): Op<void> {
  const { view, local } = cx.client;
  const b = cx.batch.reset();
  b.read(view.dataMn(cell, 0), view.dataOffset(cell, 0), cx.object, LINE_BYTES);
  yield b;
  const end = cx.object + LINE_BYTES;
  const vOld = word();
  if ((local.bytes[end + LogField.OPERATION] & 1) === 0 || !readOldValue(local.bytes, end, vOld)) return;
  cx.keyBytes = local.words[cx.object >>> 2] & 0xffff;
  cx.begin();
  b.reset();
  cx.appendBuckets(0, cx.buckets);
  yield b;
  const w = word();
  for (let q = 0; q < CANDIDATES; q++) {
    if (!sameWord(candidateWord(local.words, cx.buckets, q, w), vOld)) continue;
    const isDelete = local.bytes[end + LogField.OPERATION] >> 1 === LogOperation.DELETE;
    makeSlot(cx.write.vNew, cell, isDelete ? 0 : 1, cx.place.fingerprint);
    const slot = view.slotReplicas(candidateSlot(cx.place, q), cx.write.slot);
    b.reset();
    for (let r = slot.count - 1; r >= 0; r--) b.cas(slot.mn[r], slot.offsetBytes[r], vOld, cx.write.vNew);
    yield b;
    return;
  }
}
