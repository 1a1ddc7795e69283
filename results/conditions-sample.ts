/** Conditions for tests: those of a quiet machine, of which a test overrides what it is about. */
import type { Conditions } from './conditions.js';

/** Valid conditions, with `changes` on top. */
export const sampleConditions = (changes: Partial<Conditions> = {}): Conditions => ({
  nullOperationNs: 110,
  clockReadNs: 60,
  clockStepNs: 30,
  clockBackwards: 0,
  hiccups: { count: 4700, p50Ns: 61_000, p99Ns: 140_000, maxNs: 900_000 },
  stolenShare: 0.001,
  foreignCores: 0.02,
  coreWaitShare: 0.004,
  voluntarySwitches: 400,
  involuntarySwitches: 90,
  isSteady: true,
  shift: null,
  throughputInterval: {
    lowOps: 237_000,
    highOps: 243_000,
    level: 0.95,
    effectiveCount: 41.5,
    correlation: 0.08,
  },
  ...changes,
});
