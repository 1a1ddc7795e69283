/**
 * Leases of memory nodes (design: section 11). A node renews its lease by its pulse, which its weak CPU lets
 * beat in its memory and the master READs: so the same holds on every fabric, and no connection is needed. A
 * node that is stopped, or hangs, beats no more; its lease runs out, and its master goes on without it.
 *
 * Pure: whoever looks says what it has seen, and when.
 */

/** Shorter ones would end between two beats of a busy machine. */
export const NODE_LEASE_LEAST_NS = 500e6;

interface Seen {
  beats: number;
  leaseEndNs: number;
}

/** The leases of one pool's nodes. */
export class NodeLeases {
  readonly leaseNs: number;
  readonly #sleepNs: number;
  readonly #seen = new Map<number, Seen>();
  #lookedNs: number | undefined;

  /** @param options.leaseNs who is silent for so long is dead; {@link NODE_LEASE_LEAST_NS} at least. */
  constructor(options: { leaseNs: number }) {
    this.leaseNs = Math.max(options.leaseNs, NODE_LEASE_LEAST_NS);
    this.#sleepNs = this.leaseNs / 4;
  }

  /**
   * All nodes are looked at. A master that has not looked for long knows of nobody's silence: everybody gets
   * a lease anew.
   */
  looks(nowNs: number): void {
    const hasSlept = this.#lookedNs !== undefined && nowNs - this.#lookedNs > this.#sleepNs;
    this.#lookedNs = nowNs;
    if (hasSlept) for (const seen of this.#seen.values()) seen.leaseEndNs = nowNs + this.leaseNs;
  }

  /** A node's pulse has been READ. True: it has beaten since. One that never beats holds no lease. */
  read(mn: number, beats: number, nowNs: number): boolean {
    if (beats === 0 || this.#seen.get(mn)?.beats === beats) return false;
    this.#seen.set(mn, { beats, leaseEndNs: nowNs + this.leaseNs });
    return true;
  }

  /** Has the lease of a node run out? */
  hasEnded(mn: number, nowNs: number): boolean {
    const seen = this.#seen.get(mn);
    return seen !== undefined && nowNs > seen.leaseEndNs;
  }

  /** The node's place is another process's, or nobody's. */
  forget(mn: number): void {
    this.#seen.delete(mn);
  }
}
