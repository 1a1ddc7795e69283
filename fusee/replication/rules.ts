/**
 * Who wins a slot: Rules 1 to 3 of SNAPSHOT (FUSEE section 4.3, Algorithm 2), pure.
 *
 * A vote is what a backup holds after the CAS broadcast. Votes are compared, and ordered, by owner and never
 * by the whole word: an INSERT that undoes itself keeps its place in every count (control X7).
 */
import { lessOwner, sameOwner } from '../layout/index.js';
import type { Word } from '../verbs/index.js';

/** How a round ended, as one writer sees it. TIE is provisional: the primary decides. */
export const Verdict = {
  RULE_1: 1,
  RULE_2: 2,
  RULE_3: 3,
  TIE: 4,
  LOSE: 5,
  FINISH: 6,
  FAIL: 7,
  EXPIRED: 8,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** True for the verdicts of a last writer. */
export const won = (v: Verdict): boolean => v <= Verdict.RULE_3;

/** Counts `count` votes; the caller has put `vNew` where its CAS succeeded. */
export function countVotes(votes: readonly Word[], count: number, vNew: Word): Verdict {
  let mine = 0;
  for (let i = 0; i < count; i++) if (sameOwner(votes[i], vNew)) mine++;
  if (mine === count) return Verdict.RULE_1;
  if (2 * mine > count) return Verdict.RULE_2;
  if (mine === 0) return Verdict.LOSE;
  for (let i = 0; i < count; i++) {
    let same = 0;
    for (let j = 0; j < count; j++) if (sameOwner(votes[i], votes[j])) same++;
    if (2 * same > count) return Verdict.LOSE;
  }
  return Verdict.TIE;
}

/** Rule 3: the least owner among the votes wins, and only while nobody has won yet. */
export function isLeast(votes: readonly Word[], count: number, vNew: Word): boolean {
  for (let i = 0; i < count; i++) if (lessOwner(votes[i], vNew)) return false;
  return true;
}
