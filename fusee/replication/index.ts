/** Writing one replicated slot. */
export * from './rules.js';
export * from './snapshot.js';
