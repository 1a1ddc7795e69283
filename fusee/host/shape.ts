/** Who may be a node of a pool: one that is as the others are, on a fabric over which places are filled. */
import type { PoolConfig } from '../layout/index.js';

/** What tells a fresh process from the pool, if anything does. */
export function differenceOf(its: PoolConfig, ours: PoolConfig): string | undefined {
  const name = (Object.keys(ours) as (keyof PoolConfig)[]).find((one) => its[one] !== ours[one]);
  return name === undefined
    ? undefined
    : `it was started with ${name} ${its[name]}, the pool with ${ours[name]}; use the same options`;
}

/** Why the places of a pool cannot be filled by spares, by what its master reaches it over. */
export const unfillable = (kind: string): string | undefined =>
  kind === 'shm' ? undefined : `the master reaches the pool over ${kind}, where spares take no places yet`;
