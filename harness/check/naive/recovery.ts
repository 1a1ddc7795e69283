/** Recovery in ways that look right: what hazard H15 and controls X10, X10b and X10c need. */
import { CANDIDATES, candidateSlot, candidateWord } from '../../../fusee/index/index.js';
import {
  HEADER_BYTES,
  LogField,
  LogOperation,
  ownerPointer,
  readOldValue,
} from '../../../fusee/layout/index.js';
import type { Context } from '../../../fusee/ops/index.js';
import { recoverRequest } from '../../../fusee/recovery/index.js';
import { won } from '../../../fusee/replication/index.js';
import { DONE, type Op, type OpLoop, word } from '../../../fusee/verbs/index.js';
import type { TakenObject } from '../scenario/client-run.js';
import type { RecoveryRun } from '../scenario/recovery-run.js';
import { type Variant, writtenValue } from '../scenario/scenario.js';

/** Cells of the dead client's block that its own requests never reach. */
const FIRST_SPARE_CELL = 8;

/** When a request is done once more, from scratch and with a new object. */
export type Redo =
  /** X10c: its log is not committed; what it left on backups stays there. */
  | 'if uncommitted'
  /** X10b: its log is committed, but no slot names its object. */
  | 'if committed and nowhere'
  /** H15: always, as where one replica keeps no log commit to tell by. */
  | 'always';

/** Recovery that redoes. */
export const redoVariant = (redo: Redo): Variant => ({
  name: `recovery that redoes ${redo}`,
  recovery: (run) => recoverByRedo(run, redo),
});

function* recoverByRedo(run: RecoveryRun, redo: Redo): OpLoop {
  for (;;) {
    for (const { cell, request } of [...run.task.objects].reverse()) {
      const log = yield* readLog(run.cx, cell);
      if (!log.isUsed) continue;
      const isNowhere =
        redo === 'if committed and nowhere' && log.isCommitted && (yield* findHolder(run, request, cell)) < 0;
      if (redo === 'always' || isNowhere || (redo === 'if uncommitted' && !log.isCommitted))
        yield* redoRequest(run, request);
      else yield* recoverRequest(run.cx, { cell, sizeClass: 0 });
      break;
    }
    yield DONE;
  }
}

function* readLog(cx: Context, cell: number): Op<{ isUsed: boolean; isCommitted: boolean }> {
  const { view, local } = cx.client;
  cx.batch.reset().read(view.dataMn(cell, 0), view.dataOffset(cell, 0), cx.tombstone, 64);
  yield cx.batch;
  const end = cx.tombstone + 64;
  const isUsed = (local.bytes[end + LogField.OPERATION] & 1) === 1;
  return { isUsed, isCommitted: readOldValue(local.bytes, end, word()) };
}

function stageRequest(run: RecoveryRun, request: number): number {
  const { client } = run.task;
  const step = run.pool.scenario.programs[client][request];
  const { cx } = run;
  const { bytes } = cx.client.local;
  const key = run.pool.keys[step.key].bytes;
  bytes.set(key, cx.object + HEADER_BYTES);
  bytes[cx.object + HEADER_BYTES + key.length] = writtenValue(client, request);
  cx.keyBytes = key.length;
  cx.valueBytes = 1;
  return step.kind;
}

/** Serves the request once more. */
function* redoRequest(run: RecoveryRun, request: number): Op<void> {
  const kind = stageRequest(run, request);
  const { slab } = run.cx.client;
  slab.addBlock(0, run.pool.blockOf(run.task.client));
  slab.open(0, 0);
  for (let i = 0; i < FIRST_SPARE_CELL; i++) slab.take(0, 0);
  const loop = run.coroutine.loops[kind];
  for (let batch = loop.next().value; batch !== DONE; batch = loop.next().value) yield batch;
}

/** The candidate that names the object on any replica, or -1. */
function* findHolder(run: RecoveryRun, request: number, cell: number): Op<number> {
  const { cx } = run;
  stageRequest(run, request);
  cx.begin();
  for (let r = 0; r < run.pool.scenario.replicas; r++) {
    const held = yield* holderOn(cx, r, cell);
    if (held >= 0) return held;
  }
  return -1;
}

function* holderOn(cx: Context, replica: number, cell: number): Op<number> {
  cx.batch.reset();
  cx.appendBuckets(replica, cx.backupBuckets);
  yield cx.batch;
  for (let q = 0; q < CANDIDATES; q++) {
    if (ownerPointer(candidateWord(cx.client.local.words, cx.backupBuckets, q, word())) === cell) return q;
  }
  return -1;
}

/** X10: looks on the backups first, and takes what the primary holds afterwards for the old value. */
export const backupsFirst: Variant = {
  name: 'recovery that reads the backups first',
  recovery: recoverBackupsFirst,
};

function* recoverBackupsFirst(run: RecoveryRun): OpLoop {
  const { cx } = run;
  for (;;) {
    const object = run.task.objects.at(-1);
    if (object !== undefined) {
      const log = yield* readLog(cx, object.cell);
      if (log.isUsed) yield* finishFromBackups(run, object);
    }
    yield DONE;
  }
}

function* finishFromBackups(run: RecoveryRun, object: TakenObject): Op<void> {
  const { cell, operation, request } = object;
  const { cx } = run;
  const { write } = cx;
  stageRequest(run, request);
  cx.begin();
  let found = -1;
  for (let r = 1; r < run.pool.scenario.replicas && found < 0; r++) found = yield* holderOn(cx, r, cell);
  if (found < 0) return;
  cx.cell = cell;
  cx.lines = 1;
  cx.aim(candidateSlot(cx.place, found), operation === LogOperation.DELETE ? 0 : 1);
  cx.client.view.dataReplicas(cell, write.objectEnd);
  for (let r = 0; r < write.objectEnd.count; r++) write.objectEnd.offsetBytes[r] += 64;
  write.stagedEnd = cx.tombstone + 64;
  if ((yield* holderOn(cx, 0, cell)) >= 0) return;
  candidateWord(cx.client.local.words, cx.backupBuckets, found, write.vOld);
  write.expired = true;
  yield* cx.propose;
  if (won(write.verdict)) yield* cx.commit;
}
