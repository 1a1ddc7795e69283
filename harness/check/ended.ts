/** Outcomes of the product, as histories have them. */
import { Outcome as Product } from '../../fusee/ops/index.js';
import { Outcome } from './linearizability/index.js';

const ENDED: readonly Outcome[] = Object.entries(Product).reduce<Outcome[]>((ended, [name, product]) => {
  ended[product] = Outcome[name as keyof typeof Product];
  return ended;
}, []);

/** What a history says of a request that ended so. */
export const endedAs = (outcome: Product): Outcome => ENDED[outcome];
