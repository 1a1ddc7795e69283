/**
 * A client's own view of its lease, over a network. The master fences a client whose lease has ended at the
 * nodes that it can reach; one that it cannot counts as dead then, but may still answer that client. So a
 * client takes no answer of any node once its lease may have ended, until it hears that it is a member still:
 * no view has been made without it then, and what was answered meanwhile holds. Whether it has ended is
 * looked at natively, when answers are taken (`SessionCore::keepToLease`), however late the event loop is.
 *
 * The lease counts from when the client asked, which is ahead of when the master heard it, and is a little
 * shorter than the master's: clocks of two hosts differ in speed.
 */

/** What knows the time, and keeps answers back. */
export interface LeaseKeeper {
  nowNs(): number;
  /** No answer is taken after that time. */
  leaseUntil(atNs: number): void;
}

/** Clocks run within this share of each other. */
const DRIFT = 1 / 64;
/** A client that was not renewed for so many leases gives up: nobody will. */
export const LEASES_LOST = 10;
/** Renewals that have no answer yet. */
const ASKED_MAX = 64;

/** The lease of one client. */
export class Lease {
  readonly #keeper: LeaseKeeper;
  /** When what was asked. */
  readonly #asked = new Map<number, number>();
  #untilNs = 0;

  constructor(keeper: LeaseKeeper) {
    this.#keeper = keeper;
  }

  /** The master is asked for a renewal. */
  asks(seq: number): void {
    this.#asked.set(seq, this.#keeper.nowNs());
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > ASKED_MAX) this.#asked.delete(oldest);
  }

  /** It has answered. */
  granted(seq: number, leaseMs: number): void {
    const atNs = this.#asked.get(seq);
    if (atNs === undefined) return;
    this.#asked.delete(seq);
    this.#untilNs = Math.max(this.#untilNs, atNs + leaseMs * 1e6 * (1 - DRIFT));
    this.#keeper.leaseUntil(this.#untilNs);
  }

  /** It ended so long ago that nothing more is to be hoped for. */
  isLost(leaseMs: number): boolean {
    return this.#untilNs > 0 && this.#keeper.nowNs() > this.#untilNs + LEASES_LOST * leaseMs * 1e6;
  }
}
