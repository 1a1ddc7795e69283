/** The memory node. */
export * from './service.js';
