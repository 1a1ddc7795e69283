/** A run's requests, for its trace. */
import { Outcome, RequestKind } from '../../fusee/ops/index.js';
import { NO_VALUE } from '../check/linearizability/index.js';
import type { Run } from './run.js';
import type { Teller } from './trace.js';

/** A coroutine begins the request that was drawn last. */
export function tellRequest({ load, trace }: Run, teller: Teller, value: number): void {
  teller.request = `${Object.keys(RequestKind)[load.kind]} key ${load.key}`;
  teller.key = load.key;
  trace?.note(value === NO_VALUE ? 'begins' : `begins, value ${value}`, teller);
}

/** A coroutine's request is answered. */
export function tellAnswer(
  { trace }: Run,
  teller: Teller,
  { outcome, value }: { outcome: Outcome; value: number },
): void {
  const found = value === NO_VALUE ? '' : `, value ${value}`;
  trace?.note(`answers ${Object.keys(Outcome)[outcome - 1]}${found}`, teller);
}
