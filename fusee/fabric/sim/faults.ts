/** What goes wrong in a simulation, by chance. */

/** Probabilities are from 0 to 1; times are nanoseconds. */
export interface SimFaults {
  /** A READ or WRITE over 8 bytes executes in two parts, split at a random 8-byte step of the MN's memory. */
  readonly tear: number;
  /** Longest time between the two parts. */
  readonly tearNs: number;
  /** A verb is late; what its client posts to the same MN behind it waits too. */
  readonly delay: number;
  /** Longest delay: short ones are as likely as those ten times as long. */
  readonly delayNs: number;
  /** A request to a weak CPU is lost on its way, or its answer is. */
  readonly rpcLoss: number;
  /** A request to a weak CPU arrives twice. */
  readonly rpcDuplication: number;
  /**
   * A verb of a crashed client that was in flight executes only if all before it on its way did, and with
   * this.
   */
  readonly survival: number;
}

/** A network that keeps every promise. */
export const NO_FAULTS: SimFaults = {
  tear: 0,
  tearNs: 0,
  delay: 0,
  delayNs: 0,
  rpcLoss: 0,
  rpcDuplication: 0,
  survival: 0.75,
};
