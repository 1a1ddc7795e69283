/**
 * UPDATE and DELETE the way the paper's text, or its public code, has them: what hazards H2, H3, H6 and H11
 * need.
 */
import { candidateSlot } from '../../../fusee/index/index.js';
import { LogOperation } from '../../../fusee/layout/index.js';
import { type Context, Outcome } from '../../../fusee/ops/index.js';
import { won } from '../../../fusee/replication/index.js';
import { copyWord, DONE, type Op, type OpLoop } from '../../../fusee/verbs/index.js';
import { contest } from './propose.js';

export interface ModifyPolicy {
  /** H6: `cached` proposes with the word that the cache remembers as old value, without looking. */
  readonly vOld: 'read' | 'cached';
  /** H3: a losing DELETE reports success. H11: `takes the slot` goes on with whatever it observed there. */
  readonly loser: 'says OK' | 'takes the slot';
}

/** UPDATE or DELETE under a policy. */
export function* modifyWith(
  cx: Context,
  operation: typeof LogOperation.UPDATE | typeof LogOperation.DELETE,
  policy: ModifyPolicy,
): OpLoop {
  for (;;) {
    cx.begin();
    cx.outcome = cx.takeCell(operation) ? yield* modify(cx, operation, policy) : Outcome.NO_MEMORY;
    yield DONE;
  }
}

function* modify(cx: Context, operation: LogOperation, policy: ModifyPolicy): Op<Outcome> {
  const { batch: b, write, client } = cx;
  cx.seal(operation);
  cx.startBatch();
  cx.appendObject();
  let slot = -1;
  const { local, cache } = client;
  if (policy.vOld === 'cached' && cache.lookup(cx.place, local, cx.keyAt, cx.keyBytes, write.vOld)) {
    slot = cache.slot;
    b.read8(client.view.slotMn(slot, 0), client.view.slotOffset(slot));
    yield b;
  } else {
    cx.appendBuckets(0, cx.buckets);
    yield b;
    yield* cx.match;
    if (cx.matched < 0) return Outcome.NOT_FOUND;
    slot = candidateSlot(cx.place, cx.matched);
    copyWord(write.vOld, cx.matchedWord);
  }
  cx.aim(slot, operation === LogOperation.DELETE ? 0 : cx.lines);
  for (;;) {
    write.verdict = yield* contest(cx, { votes: 'owner', reads: 'none' });
    if (won(write.verdict)) {
      yield* cx.commit;
      return Outcome.OK;
    }
    if (policy.loser === 'says OK') return Outcome.OK;
    copyWord(write.vOld, write.lost);
  }
}
