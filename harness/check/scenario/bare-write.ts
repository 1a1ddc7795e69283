/**
 * SNAPSHOT alone, as a request: WRITE the object beside a READ of the slot, then write the slot. No buckets,
 * no key check, no retry: for cases too large for whole requests.
 */
import { LogOperation } from '../../../fusee/layout/index.js';
import { type Context, Outcome } from '../../../fusee/ops/index.js';
import { Verdict, won } from '../../../fusee/replication/index.js';
import { DONE, type OpLoop } from '../../../fusee/verbs/index.js';

/** Writes the slot at logical offset `slot`, whatever it holds; 3 round trips by Rule 1. */
export function* bareWriteLoop(cx: Context, slot: number): OpLoop {
  const { batch: b, write } = cx;
  for (;;) {
    cx.begin();
    cx.takeCell(LogOperation.UPDATE);
    cx.seal(LogOperation.UPDATE);
    cx.aim(slot, cx.lines);
    cx.startBatch();
    cx.appendObject();
    const read = b.read8(write.slot.mn[0], write.slot.offsetBytes[0]);
    yield b;
    if (b.anyFailed()) cx.outcome = Outcome.UNAVAILABLE;
    else {
      b.found(read, write.vOld);
      yield* cx.propose;
      if (won(write.verdict)) yield* cx.commit;
      const failed = write.verdict === Verdict.FAIL || write.verdict === Verdict.EXPIRED;
      cx.outcome = failed ? Outcome.UNAVAILABLE : Outcome.OK;
    }
    yield DONE;
  }
}
