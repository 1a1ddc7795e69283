/** Which plans a run of seeds is made of, and how one of them is run again. */
import { crashPlanOf } from './crash-plan.js';
import { planOf, type SwarmPlan } from './plan.js';

/** `any`: whatever may be; `crash`: small clusters in which somebody dies. */
export type Profile = 'any' | 'crash';

/** The plan of a seed. */
export const profilePlan = (profile: Profile, seed: number): SwarmPlan =>
  profile === 'crash' ? crashPlanOf(seed) : planOf(seed);

/** The command that runs it again, and tells it in full. */
export const replayOf = (profile: Profile, seed: number): string =>
  `fusee verify ${profile === 'crash' ? '--crash-runs 1 ' : ''}--seed ${seed}`;
