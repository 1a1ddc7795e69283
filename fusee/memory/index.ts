/** Two-level memory management, from the client's side. */
export * from './allocate.js';
export * from './block.js';
export * from './frees.js';
export * from './grace.js';
export { Allocation } from './holdings.js';
export type { Lane } from './lane.js';
export * from './log-head.js';
export * from './rpc.js';
export * from './slab.js';
