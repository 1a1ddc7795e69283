/**
 * Names for the round trips of a request, so that a timeline can say "the primary CAS" and need not count:
 * a hit, a miss and a lost round put the same step in different places.
 *
 * A batch is named by what it does to memory, not by who made it: protocol code knows nothing of faults.
 * README.md in this folder has the table.
 */
import { LOG_COMMIT_BYTES } from '../../fusee/layout/index.js';
import type { SlotWrite } from '../../fusee/replication/index.js';
import { Field, Opcode, type VerbBatch, type Word } from '../../fusee/verbs/index.js';

/** Names of steps. */
export const STEPS = [
  'read',
  'write',
  'backup CAS',
  'read primary',
  'fix CAS',
  'log commit',
  'primary CAS',
  'undo CAS',
  'poll',
  'reset',
  'RPC',
] as const;
/** One of {@link STEPS}. */
export type Step = (typeof STEPS)[number];

/** Those with WRITEs in them, which a crash can tear. */
export const TEARABLE: readonly Step[] = ['write', 'log commit', 'reset'];

/**
 * The name of a batch that the coroutine with this slot write posts. Background verbs ahead of its own, such
 * as deferred resets, do not count.
 */
export function stepOf(batch: VerbBatch, write: SlotWrite): Step {
  const first = batch.backgroundCount;
  if (batch.isPoll) return 'poll';
  if (first >= batch.count) return 'reset';
  switch (batch.opcode(first)) {
    case Opcode.WRITE:
      return writeStep(batch.field(first, Field.LENGTH));
    case Opcode.CAS:
      return casStep(batch, first, write);
    case Opcode.RPC:
      return 'RPC';
    default:
      return isPrimary(batch, first, write) && batch.count === first + 1 ? 'read primary' : 'read';
  }
}

/** Objects are whole lines, so no object is as short as a log commit or a used bit. */
function writeStep(lengthBytes: number): Step {
  if (lengthBytes === LOG_COMMIT_BYTES) return 'log commit';
  return lengthBytes === 1 ? 'reset' : 'write';
}

function casStep(batch: VerbBatch, i: number, write: SlotWrite): Step {
  // An undo puts a tombstone there; with one replica the tentative word differs from the final in its kind.
  if (!swapsTo(batch, i, write.vNew) && write.slot.count > 1) return 'undo CAS';
  if (isPrimary(batch, i, write)) return 'primary CAS';
  const expectsOld =
    batch.field(i, Field.EXPECT_LO) === write.vOld.lo && batch.field(i, Field.EXPECT_HI) === write.vOld.hi;
  return expectsOld ? 'backup CAS' : 'fix CAS';
}

const swapsTo = (batch: VerbBatch, i: number, word: Word): boolean =>
  batch.field(i, Field.SWAP_LO) === word.lo && batch.field(i, Field.SWAP_HI) === word.hi;

const isPrimary = (batch: VerbBatch, i: number, { slot }: SlotWrite): boolean =>
  batch.mn(i) === slot.mn[0] && batch.remote(i) === slot.offsetBytes[0];
