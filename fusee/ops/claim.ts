/** What an INSERT's claim of a slot came to; shared by the replicated and the one-replica way. */
import type { DuplicateCheck } from './duplicate-check.js';

/** How a claim ended. */
export const Claim = {
  /** The key is visible, under this INSERT's object. */
  INSERTED: 1,
  /** Another INSERT of the key won this slot. */
  EXISTS_LOST: 2,
  /** The key is visible elsewhere; this INSERT's object is a tombstone now. */
  EXISTS_UNDONE: 3,
  /** Another key took the slot: look again, the object may be used again. */
  AGAIN: 4,
  /** Gave way to another INSERT of the key: look again, with a new object. */
  AGAIN_NEW_OBJECT: 5,
  /** A replica did not answer. */
  FAILED: 6,
  /** The deadline passed; nothing of this INSERT is visible or ever will be. */
  EXPIRED: 7,
} as const;
export type Claim = (typeof Claim)[keyof typeof Claim];

/** One INSERT's attempt at one slot; made once per coroutine. */
export interface Claimant {
  readonly check: DuplicateCheck;
  /** The candidate it claims, and that slot's logical index offset. */
  own: number;
  slot: number;
  claim: Claim;
}
