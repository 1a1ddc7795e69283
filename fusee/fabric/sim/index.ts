/** The simulated fabric: virtual time, latencies, and what may go wrong; one seed gives one run. */
export * from './fabric.js';
export * from './faults.js';
export * from './latency.js';
export * from './memory.js';
export * from './random.js';
export * from './world.js';
