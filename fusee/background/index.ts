/** What a client does beside its requests. */
export * from './janitor.js';
export * from './split.js';
