/** Every byte on a memory node, in one place; nothing above computes an offset of its own. */
export * from './assert.js';
export * from './clients.js';
export * from './directory.js';
export * from './geometry.js';
export * from './object.js';
export * from './ring.js';
export * from './size-class.js';
export * from './slot.js';
export * from './superblock.js';
export * from './view.js';
