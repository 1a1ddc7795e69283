/**
 * Swarm testing: random small clusters in the simulator, each from one seed, checked when they have come to
 * rest.
 */

export type { Finding } from './cluster.js';
export { planOf, type SwarmPlan } from './plan.js';
export type { SwarmHooks } from './run.js';
export { formatFailure, runPlan, runSeed, type SeedReport } from './seed.js';
