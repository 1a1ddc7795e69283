/**
 * Errors of the product. An outcome that another client can cause (not found, lost, index full) is a value
 * and never one of these.
 */
export abstract class FuseeError extends Error {
  abstract readonly code: string;
}

/** The caller is wrong: the message names the value, the limit and the way out. */
export class UsageError extends FuseeError {
  readonly code = 'USAGE';
  override readonly name = 'UsageError';
}

/** The outside failed: a node died, a pool is not running, the system refused memory. */
export class FabricError extends FuseeError {
  readonly code = 'FABRIC';
  override readonly name = 'FabricError';
  /** False when the failed request may have taken effect all the same. */
  readonly definite: boolean;
  constructor(message: string, options: { definite: boolean; cause?: unknown } = { definite: true }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.definite = options.definite;
  }
}

/** Bytes are wrong: a checksum, a magic number or an invariant of the layout does not hold. */
export class CorruptionError extends FuseeError {
  readonly code = 'CORRUPTION';
  override readonly name = 'CorruptionError';
}
