/**
 * The caller of the workloads asked for something they cannot give; the message names the value, the limit
 * and the way out. It is the only class of error this folder throws.
 */
export class WorkloadError extends Error {
  override readonly name = 'WorkloadError';
}

/** The closed range an integer must lie in, and what the caller can do when it does not. */
export interface IntegerLimits {
  readonly min: number;
  readonly max: number;
  /** The way out, as a whole clause ("use a smaller record count"); left out when the range says it all. */
  readonly wayOut?: string;
}

/** Returns `value` when it is an integer within the limits. Throws `WorkloadError` naming it otherwise. */
export function requireInteger(name: string, value: number, limits: IntegerLimits): number {
  const { min, max, wayOut } = limits;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const remedy = wayOut === undefined ? '' : `: ${wayOut}`;
  throw new WorkloadError(
    `${name} is ${String(value)}, but must be an integer from ${min} to ${max}${remedy}`,
  );
}

/** Returns `value` when it is one of `known`. Throws `WorkloadError` with the list otherwise. */
export function requireOneOf<T extends string>(name: string, value: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw new WorkloadError(`${name} '${value}' is unknown; known: ${known.join(', ')}`);
}
