/** RACE hashing on bytes already read, and the client's cache of what it saw. */
export * from './cache.js';
export * from './candidates.js';
export * from './directory.js';
export * from './hash.js';
