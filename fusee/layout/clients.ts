/**
 * The client table: one word for each client of the pool, on the control node.
 *
 *     lo  its period: grows by one each time that all requests in flight at the last growth have ended
 *     hi  its CID while it may have requests in flight, 0 while it has none
 *
 * A word outlives its client: who gets the place next goes on counting from there. So whoever has seen a word
 * can tell, when it has grown by {@link GRACE_PERIODS} or belongs to nobody, that every request that was in
 * flight then has ended: the grace of reclaim (hazard H4) and of splits.
 */
import type { Word } from '../verbs/index.js';

/**
 * Growths that a grace waits for. One is not enough: a request may have begun after the latest growth and
 * before the word was read.
 */
export const GRACE_PERIODS = 2;

/** True when every request that was in flight when the word read `before` has ended, as it reads `now`. */
export const hasPassed = (before: Word, now: Word): boolean =>
  before.hi === 0 || now.hi !== before.hi || (now.lo - before.lo) >>> 0 >= GRACE_PERIODS;
