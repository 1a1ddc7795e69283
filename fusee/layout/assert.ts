import { CorruptionError } from '../verbs/index.js';

/** Checks a relation of the layout when it is made; these hold or nothing starts (hazard H14). */
export function assertLayout(holds: boolean, relation: string): void {
  if (!holds) throw new CorruptionError(`layout: it does not hold that ${relation}`);
}
