/**
 * SEARCH (FUSEE section 4.6): one round trip on a valid cache hit, two on a miss without false matches.
 *
 * Deviation: the paper's hit reads both combined buckets and trusts an invalidation byte in the object. Here
 * the hit reads the 8-byte slot, and is valid only if it still holds the cached word (hazard H6).
 */
import { LINE_BYTES, LogField, ownerPointer, slotLines } from '../layout/index.js';
import { DONE, type OpLoop, Status } from '../verbs/index.js';
import { type Context, Outcome } from './context.js';
import { appendHintRead, appendObjectRead, Hint, hasHint, hintHolds, Located } from './locate.js';
import { checkObject, ObjectIs } from './object-check.js';

/**
 * Serves SEARCH requests: OK with the value in `cx.foundAt`, NOT_FOUND, or UNAVAILABLE.
 *
 * The work stands in plain functions: each suspension of a generator saves its registers, so a small body is
 * fast.
 */
export function* searchLoop(cx: Context): OpLoop {
  for (;;) {
    if (startHit(cx)) yield cx.batch;
    if (!endHit(cx)) {
      yield* cx.locate;
      cx.outcome =
        cx.located === Located.FOUND
          ? Outcome.OK
          : cx.located === Located.NOT_FOUND
            ? Outcome.NOT_FOUND
            : Outcome.UNAVAILABLE;
    }
    cx.end();
    yield DONE;
  }
}

function startHit(cx: Context): boolean {
  cx.begin();
  cx.startBatch();
  cx.isHit = hasHint(cx);
  if (!cx.isHit) return false;
  appendHintRead(cx);
  appendObjectRead(cx, ownerPointer(cx.hintWord), slotLines(cx.hintWord));
  return true;
}

/** True when the hit holds: the request is answered. */
function endHit(cx: Context): boolean {
  if (!cx.isHit) return false;
  const objectRead = cx.hintRead + 1;
  if (!hintHolds(cx)) return false;
  cx.hint = Hint.USELESS;
  if (cx.batch.status(objectRead) !== Status.OK) return false;
  const lines = slotLines(cx.hintWord);
  if (checkObject(cx, cx.matchArea, lines, objectRead) !== ObjectIs.THE_KEYS) return false;
  // The cached word may be of a time long past: its cell may have been freed since, and be in use again by
  // the time the slot is read. Reclaim clears the used bit a grace ahead of that, so whoever reads it set has
  // read what the slot names.
  if ((cx.client.local.bytes[cx.matchArea + lines * LINE_BYTES + LogField.OPERATION] & 1) === 0) return false;
  cx.outcome = Outcome.OK;
  return true;
}
