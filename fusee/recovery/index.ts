/** Putting right what a crashed client left half done. */
export * from './recover-request.js';
export * from './retire-client.js';
export * from './walk-log.js';
