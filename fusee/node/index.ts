/** The memory node. */
export * from './service.js';
export * from './shm.js';
