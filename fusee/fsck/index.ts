/** The walk over a quiet pool's memory: where every byte belongs, and what does not add up. */
export { checkPool } from './check-pool.js';
export { WALK_BYTES } from './reader.js';
export * from './report.js';
export type { WalkOptions } from './walk.js';
