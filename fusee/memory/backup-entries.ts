/**
 * The backups' entries of a block, which its owner keeps as the primary's says (`allocate.ts`).
 *
 * A node that joins copies tables as they were. So it may have an entry from before its owner changed those
 * of the other backups, which nobody would change any more.
 */
import { MAX_REPLICAS, type View } from '../layout/index.js';
import { type Op, replicaRef, Status, type VerbBatch, type Word, word } from '../verbs/index.js';

/** What both ways need: a batch with room for a verb for each replica. */
interface Room {
  readonly view: View;
  readonly batch: VerbBatch;
}

/** Writes the first bytes of the entry staged at `from`: one round trip. False: a replica was silent. */
export function* writeBackupEntries(
  { view, batch: b }: Room,
  pointer: number,
  { from, lengthBytes }: { from: number; lengthBytes: number },
): Op<boolean> {
  const { count, mn } = view.dataReplicas(pointer, replicaRef(MAX_REPLICAS));
  if (count === 1) return true;
  b.reset();
  for (let r = 1; r < count; r++) b.write(mn[r], view.entryOffset(pointer, r), from, lengthBytes);
  b.markBackground();
  yield b;
  return !b.hasFailures();
}

/**
 * If a node has joined since, entries that still name the former owner are made to name the next one, 0 for
 * none. By CAS: a new owner may be writing its own. Two round trips; one where no entry does, and none where
 * no node has joined.
 * @param owner.joinedIn of the view when the entries were written.
 */
export function* mendBackupEntries(
  { view, batch: b }: Room,
  pointer: number,
  owner: { readonly before: number; readonly now: number; readonly joinedIn: number },
): Op<void> {
  if (view.joinedIn === owner.joinedIn) return;
  const { count, mn } = view.dataReplicas(pointer, replicaRef(MAX_REPLICAS));
  if (count === 1) return;
  b.reset();
  for (let r = 1; r < count; r++) b.read8(mn[r], view.entryOffset(pointer, r));
  b.markBackground();
  yield b;
  const stale: { replica: number; found: Word }[] = [];
  for (let r = 1; r < count; r++) {
    const found = b.found(r - 1, word());
    if (b.status(r - 1) === Status.OK && found.lo === owner.before) stale.push({ replica: r, found });
  }
  if (stale.length === 0) return;
  b.reset();
  for (const { replica, found } of stale) {
    const next = owner.now === 0 ? word() : word(found.hi, owner.now);
    b.cas(mn[replica], view.entryOffset(pointer, replica), found, next);
  }
  b.markBackground();
  yield b;
}
