/**
 * Which candidate holds the key? READs every object whose fingerprint matches (FUSEE section 4.2).
 *
 * One round trip when something matches and fits the match area, none when nothing matches.
 */
import { candidateWord, nextMatch } from '../index/index.js';
import { LINE_BYTES, ownerPointer, slotLines } from '../layout/index.js';
import { copyWord, DONE, type OpLoop, Status, word } from '../verbs/index.js';
import type { Context } from './context.js';
import { checkObject, ObjectIs } from './object-check.js';

/** Values of `cx.matched` that name no candidate. */
export const NO_MATCH = -1;
/** A replica did not answer. */
export const MATCH_FAILED = -2;
/** An object was torn: what was read is no basis for an answer; read the buckets again. */
export const MATCH_TORN = -3;

/**
 * Works on the buckets in `cx.buckets`; result in `cx.matched`, `cx.matchedWord`, `cx.foundAt`,
 * `cx.foundBytes`.
 */
export function* matchLoop(cx: Context): OpLoop {
  const { words } = cx.client.local;
  const { view } = cx.client;
  const candidates = new Int8Array(32);
  const w = word();
  for (;;) {
    cx.matched = NO_MATCH;
    let next = nextMatch(words, cx.buckets, 0, cx.place.fingerprint);
    while (next >= 0 && cx.matched === NO_MATCH) {
      const b = cx.batch.reset();
      let used = 0;
      let count = 0;
      for (; next >= 0; next = nextMatch(words, cx.buckets, next + 1, cx.place.fingerprint)) {
        candidateWord(words, cx.buckets, next, w);
        const lengthBytes = slotLines(w) * LINE_BYTES;
        if (used + lengthBytes > cx.matchBytes) break;
        const pointer = ownerPointer(w);
        b.readObject(view.dataMn(pointer, 0), view.dataOffset(pointer, 0), cx.matchArea + used, lengthBytes);
        candidates[count++] = next;
        used += lengthBytes;
      }
      yield b;
      for (let i = 0, at = cx.matchArea; i < count && cx.matched === NO_MATCH; i++) {
        candidateWord(words, cx.buckets, candidates[i], w);
        if (b.status(i) !== Status.OK) cx.matched = MATCH_FAILED;
        else {
          const is = checkObject(cx, at, slotLines(w), i);
          if (is === ObjectIs.TORN) cx.matched = MATCH_TORN;
          else if (is === ObjectIs.THE_KEYS) {
            cx.matched = candidates[i];
            copyWord(cx.matchedWord, w);
          }
        }
        at += slotLines(w) * LINE_BYTES;
      }
    }
    yield DONE;
  }
}
