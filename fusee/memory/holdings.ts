/** What the lanes of one client share: which blocks are its own, and which are on their way. */
import type { Slab } from './slab.js';

/** What the lanes of one client must know of each other's blocks. */
export interface Holdings {
  /** Blocks in use by this client, and those that it must never take for lost grants. */
  readonly kept: Set<number>;
  /**
   * Blocks that lanes give back, hand on or take over, until that is no longer in doubt: how many lanes. More
   * than one, when a block is granted to a sibling before the lane that gave it back has its answer.
   */
  readonly moving: Map<number, number>;
  /** Grows when a block has left the client, or may have. */
  departures: number;
  /** Registered zeros, from the first free on; -1 before. */
  zeros: number;
}

/** By slab, which is what all lanes of a client share. */
const known = new WeakMap<Slab, Holdings>();

/** The holdings of a slab's client. */
export function holdingsOf(slab: Slab): Holdings {
  let holdings = known.get(slab);
  if (holdings === undefined) {
    holdings = { kept: new Set(), moving: new Map(), departures: 0, zeros: -1 };
    known.set(slab, holdings);
  }
  return holdings;
}

/** Takes what was in doubt at a node out of what is: by pointer, the node that was asked. */
export function takeAll(inDoubt: Map<number, number>, mn: number): number[] {
  const taken = [...inDoubt.keys()].filter((pointer) => inDoubt.get(pointer) === mn);
  for (const pointer of taken) inDoubt.delete(pointer);
  return taken;
}

/** How an allocation ended. */
export const Allocation = { OK: 0, NO_MEMORY: 1, UNAVAILABLE: 2 } as const;
export type Allocation = (typeof Allocation)[keyof typeof Allocation];
