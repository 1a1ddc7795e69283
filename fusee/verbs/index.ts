/** The vocabulary every other part speaks: words, verbs, batches, and the shape of a protocol operation. */
export * from './batch.js';
export * from './errors.js';
export * from './ledger.js';
export * from './local-memory.js';
export * from './op.js';
export * from './word.js';
