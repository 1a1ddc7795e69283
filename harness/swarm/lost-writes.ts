/**
 * Acknowledged writes that are gone, counted by a rule of its own, apart from linearizability: what a key
 * holds at the end comes of a write behind which no acknowledged one began.
 */
import { type Contents, type History, NO_VALUE, Operation, Outcome } from '../check/linearizability/index.js';

/**
 * Keys that have lost an acknowledged write.
 * @param final what was read back of each key; every key was absent at the start.
 */
export function lostWrites(history: History, final: Contents): number[] {
  // By key: when the last acknowledged write began, and when the last write ended that left what is there.
  const acknowledged = new Map<number, number>();
  const source = new Map<number, number>();
  for (let row = 0; row < history.count; row++) {
    const operation = history.operation[row];
    const outcome = history.outcome[row];
    if (operation === Operation.SEARCH) continue;
    const key = history.key[row];
    if (outcome === Outcome.OK)
      acknowledged.set(key, Math.max(acknowledged.get(key) ?? -1, history.invocationNs[row]));
    const isOpen = outcome === Outcome.PENDING || outcome === Outcome.UNAVAILABLE;
    if (!isOpen && outcome !== Outcome.OK) continue;
    const leaves = operation === Operation.DELETE ? NO_VALUE : history.valueWritten[row];
    if (leaves !== final.get(key)) continue;
    const endNs = isOpen ? Number.POSITIVE_INFINITY : history.responseNs[row];
    source.set(key, Math.max(source.get(key) ?? -1, endNs));
  }
  return [...final.keys()].filter((key) => (acknowledged.get(key) ?? -1) > (source.get(key) ?? -1));
}
