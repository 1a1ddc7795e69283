/** Every experiment, by name. */
import { crashEverySecond, kills } from './deaths.js';
import type { Experiment } from './experiment.js';
import { fig20 } from './fig20.js';
import { fig21 } from './fig21.js';
import { recovery } from './recovery.js';
import { table1 } from './table1.js';

/** In the order in which they are listed. */
export const EXPERIMENTS: readonly Experiment[] = [table1, fig20, fig21, crashEverySecond, recovery, kills];

export { hasBrokenPromise } from './experiment.js';
