/** Who is in the pool, who is alive, and what becomes of what the dead have left. */
export * from './fill.js';
export * from './join.js';
export * from './marks.js';
export * from './master.js';
export * from './next-view.js';
export * from './node-leases.js';
export * from './repair.js';
export * from './spares.js';
