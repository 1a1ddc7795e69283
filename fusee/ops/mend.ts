/**
 * What a driver does with a batch of which verbs FAILed (FUSEE section 5.2): a silent path is no crash
 * (hazard H18), so nobody goes on until the view says that the node is dead, or the request's deadline has
 * passed.
 *
 * Protocol code is not written for it. A request begins again, or goes on, in the new view (`new-view.ts`);
 * everything else is mended here: a replica that is no more needs no WRITE, FAA or CAS, and what was to be
 * read from it is read from the first replica that is left. Calls are not: who asks for blocks asks
 * elsewhere.
 */
import type { View } from '../layout/index.js';
import { Field, Opcode, Status, type VerbBatch } from '../verbs/index.js';

/** What is to be done with a batch that was answered. */
export const Fate = {
  /** Its generator goes on. */
  GO_ON: 0,
  /** It waits for another view. */
  WAIT: 1,
  /** Every verb that failed was to a node that is dead: {@link mend} it, or let the request begin again. */
  BEREFT: 2,
} as const;
export type Fate = (typeof Fate)[keyof typeof Fate];

/** Looks at an answered batch. */
export function fateOf(batch: VerbBatch, view: View): Fate {
  let fate: Fate = Fate.GO_ON;
  for (let i = 0; i < batch.count; i++) {
    if (batch.status(i) !== Status.FAIL) continue;
    if (batch.opcode(i) === Opcode.RPC) return Fate.GO_ON;
    if (!view.isDead(batch.mn(i))) return Fate.WAIT;
    fate = Fate.BEREFT;
  }
  return fate;
}

/**
 * Was a verb for something that has no replica left? A request that needs it waits for its deadline: nothing
 * can be told of it.
 */
export function isForLost(batch: VerbBatch, view: View): boolean {
  for (let i = 0; i < batch.count; i++) {
    const isDead = batch.status(i) === Status.FAIL && view.isDead(batch.mn(i));
    if (isDead && view.elsewhere(batch.mn(i), batch.remote(i)) === undefined) return true;
  }
  return false;
}

/** Most verbs that have to be posted once more: as many as a batch may have. */
export const MEND_VERBS = 256;

/**
 * Mends a bereft batch: what needs no other replica counts as done, the rest is appended to `again`, which
 * the driver runs and hands to {@link mended}. What has no replica left stays failed.
 */
export function mend(batch: VerbBatch, view: View, again: VerbBatch): void {
  again.reset();
  for (let i = 0; i < batch.count; i++) {
    if (batch.status(i) !== Status.FAIL) continue;
    const elsewhere = view.elsewhere(batch.mn(i), batch.remote(i));
    if (elsewhere === undefined) continue;
    if (isRepeated(batch, i)) again.copyVerb(batch, i, elsewhere);
    else batch.setField(i, Field.STATUS, Status.OK);
  }
}

/**
 * Takes over what the verbs that were posted once more came to. One that has failed there too was that
 * node's: its batch waits for the next view. Were it still the dead node's, it would be mended for ever.
 */
export function mended(batch: VerbBatch, view: View, again: VerbBatch): void {
  let k = 0;
  for (let i = 0; i < batch.count && k < again.count; i++) {
    if (batch.status(i) !== Status.FAIL || !isRepeated(batch, i)) continue;
    // It was posted once more unless nothing is left of what it was for.
    const elsewhere = view.elsewhere(batch.mn(i), batch.remote(i));
    if (elsewhere === undefined) continue;
    if (again.status(k) === Status.FAIL) batch.readdress(i, elsewhere);
    if (batch.opcode(i) === Opcode.CAS) {
      batch.setField(i, Field.FOUND_LO, again.field(k, Field.FOUND_LO));
      batch.setField(i, Field.FOUND_HI, again.field(k, Field.FOUND_HI));
    }
    batch.setField(i, Field.STATUS, again.status(k++));
  }
}

/** What its caller wants an answer of, and not only that it happens everywhere. */
const isRepeated = (batch: VerbBatch, i: number): boolean =>
  batch.opcode(i) === Opcode.READ || batch.opcode(i) === Opcode.CAS;
