/** The last step of a client's recovery: nobody waits for it any more. */
import type { View } from '../layout/index.js';
import { type Op, Status, type VerbBatch, word } from '../verbs/index.js';

/**
 * Takes a dead client out of the client table, so that graces pass again and its locks may be taken over. It
 * has been fenced, and its requests have been recovered: until then its word protects what they, and whoever
 * recovers them, may look at. Two round trips; may be repeated.
 * @returns false when the control node was silent.
 */
export function* retireClient(
  batch: VerbBatch,
  view: View,
  client: { readonly cid: number; readonly index: number },
): Op<boolean> {
  const at = view.clientOffset(client.index);
  batch.reset().read8(view.controlMn, at);
  yield batch;
  if (batch.status(0) !== Status.OK) return false;
  const found = batch.found(0, word());
  // Its place may have been given to another client since.
  if (found.hi !== client.cid) return true;
  batch.reset().cas(view.controlMn, at, found, word(0, found.lo));
  yield batch;
  return batch.status(0) === Status.OK;
}
