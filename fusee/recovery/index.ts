/** Putting right what a crashed client left half done. */
export { uncommittedObjects } from './clear-block.js';
export * from './free-bits.js';
export * from './recover-client.js';
export * from './recover-request.js';
export * from './retire-client.js';
export * from './walk-log.js';
