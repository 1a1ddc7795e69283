/** Who is in the pool, who is alive, and what becomes of what the dead have left. */
export * from './master.js';
export * from './repair.js';
