/** What a client does besides its requests. */
export * from './split.js';
