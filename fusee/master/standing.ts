/** How it stands with the members of a master (`master.ts`). */
import type { MasterRecord, Member } from './effect.js';

/** From alive to gone. */
export const Standing = {
  LIVE: 0,
  /** Told to stop; its report is awaited. */
  STOPPING: 1,
  STOPPED: 2,
  FENCING: 3,
  /** Fenced, and to be recovered. */
  FENCED: 4,
  RECOVERING: 5,
  HALTING: 6,
} as const;

/** A member, and how it stands with it. */
export interface Known extends Member {
  state: number;
  leaseEndNs: number;
  /** Its recovery has ended for good, for the present view: its log contradicts itself. */
  isTorn?: boolean;
}

/** How a master judges. */
export interface MasterOptions {
  /** A client that has not renewed its lease for so long is fenced; 0: leases do not end. */
  readonly leaseNs: number;
  /** A master that has not looked for so long cannot tell who was silent. @default a quarter of a lease */
  readonly sleepNs?: number;
}

/** What a successor must know of members that stand so. */
export function recordOf(of: Omit<MasterRecord, 'members'>, known: Iterable<Known>): MasterRecord {
  const members = [...known].map(({ cid, place, state }) => ({
    cid,
    place,
    isDead: state > Standing.STOPPED,
  }));
  const { lateCid, ...views } = of;
  return { ...views, members, ...(lateCid === 0 ? {} : { lateCid }) };
}
