/** What a master remembers, is told, and has done: the types of its state machine (`master.ts`). */
import type { OpenRound } from '../ops/index.js';
import type { MasterView, NextView } from './next-view.js';
import type { Assignment } from './spares.js';

/** A member that is not recovered yet: its id, and its place in the client table. */
export interface Member {
  readonly cid: number;
  readonly place: number;
}

/** What a successor must know; of a place that was being filled, that it is to begin anew. */
export interface MasterRecord {
  readonly view: MasterView;
  /** The view that is being made: nodes may know it already, clients do not. */
  readonly next?: NextView | undefined;
  /** Every client that may have left something behind, the dead included. */
  readonly members: readonly (Member & { readonly isDead: boolean })[];
  /** Who comes for the first time under that id, or a lower one, has come too late (`Master.missed`). */
  readonly lateCid?: number | undefined;
}

/** What a client that has stopped tells. */
export interface StopReport {
  /** What its requests may have changed on some replicas only. */
  readonly rounds: readonly OpenRound[];
  /** Its word for the client table: period, and CID while it may have requests in flight. */
  readonly word: { readonly hi: number; readonly lo: number };
  /** The directory that it knows: its version and global depth. */
  readonly directory: { readonly version: number; readonly depth: number };
  /** Pages written to since the last report, while a place is filled (`marks.ts`). */
  readonly marks?: readonly string[];
}

/** What {@link Effect} `repair` needs: everybody named here has stopped or is fenced. */
export interface Repair {
  readonly view: MasterView;
  readonly before: MasterView;
  /** The node that joins by this view, with memory that was filled. */
  readonly joins?: number;
  /** Every open round is to be decided, and clients are to go by that: it is so since a node was to join. */
  readonly isWhole: boolean;
  /** That node was to join in this stop already: some of it may have been done. */
  readonly isAgain: boolean;
  readonly reports: ReadonlyMap<number, StopReport>;
  readonly members: readonly Member[];
  /** Fenced clients that are not recovered: their logs name what they had in flight. */
  readonly dead: readonly Member[];
}

/** What the driver is to do. */
export type Effect =
  /**
   * A client is to stop for a change of the view, and to answer `stopped`. What it has posted to nodes that
   * are `out` by the view that is made is not to be waited for: they may be silent for long. Told again when
   * there are more of them.
   */
  | { readonly do: 'stop'; readonly cid: number; readonly out: readonly number[] }
  /** A client's verbs are to be kept from executing; `fenced` tells when none does any more. */
  | { readonly do: 'fence'; readonly cid: number }
  /** Nodes learn the view, slots are decided, the client table is made anew; then `repaired`. */
  | { readonly do: 'repair'; readonly repair: Repair }
  /** A stopped client goes on in the present view, with what the latest repair decided. */
  | { readonly do: 'adopt'; readonly cid: number }
  /** A client that asked to join is in. */
  | { readonly do: 'welcome'; readonly cid: number }
  /** A fenced client is to be recovered; then `recovered`. */
  | { readonly do: 'recover'; readonly member: Member }
  /** A recovery is to end as it stands; `halted` tells when none of its verbs executes any more. */
  | { readonly do: 'halt'; readonly cid: number }
  /** What is not copied yet of a place is to be copied, while clients work; then `filled`. */
  | { readonly do: 'fill'; readonly mn: number }
  /** The node has joined, and that is kept: its process is told, and the one before it may end. */
  | { readonly do: 'enter'; readonly mn: number }
  /** A spare is to offer itself for a place. */
  | ({ readonly do: 'assign' } & Assignment)
  /** The record has changed. */
  | { readonly do: 'store'; readonly record: MasterRecord };
