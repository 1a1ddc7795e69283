/**
 * Changes to histories for tests: some that are certainly wrong, some whose verdict the definition must tell.
 */
import {
  History,
  isLegal,
  NO_VALUE,
  Operation,
  type OperationRecord,
  Outcome,
  writesValue,
} from './history.js';
import type { Random } from './random.js';

/** A copy of the history, with operation `row` changed when given. */
export function copyHistory(
  history: History,
  change?: { row: number; to: Partial<OperationRecord> },
): History {
  const copy = new History({ capacity: Math.max(1, history.count) });
  for (let i = 0; i < history.count; i++) {
    copy.append({
      client: history.client[i],
      key: history.key[i],
      operation: history.operation[i] as Operation,
      outcome: history.outcome[i] as Outcome,
      valueWritten: history.valueWritten[i],
      valueRead: history.valueRead[i],
      invocationNs: history.invocationNs[i],
      responseNs: history.responseNs[i],
      ...(change?.row === i ? change.to : {}),
    });
  }
  return copy;
}

/** A copy in which one operation ends otherwise, reads another value below 4, or happens at another time. */
export function mutateAny(history: History, random: Random): History {
  const row = random.below(history.count);
  const operation = history.operation[row];
  const outcome = history.outcome[row] as Outcome;
  if (outcome === Outcome.PENDING) return copyHistory(history);
  if (random.happens(0.2)) {
    const invocationNs = Math.max(0, history.invocationNs[row] + random.below(1200) - 600);
    return copyHistory(history, { row, to: { invocationNs, responseNs: invocationNs + random.below(600) } });
  }
  if (operation === Operation.SEARCH && outcome === Outcome.OK && random.happens(0.7)) {
    return copyHistory(history, { row, to: { valueRead: random.below(4) } });
  }
  const others = [Outcome.OK, Outcome.NOT_FOUND, Outcome.EXISTS, Outcome.UNAVAILABLE];
  const legal = others.filter((other) => other !== outcome && isLegal(operation, other));
  const other = legal[random.below(legal.length)];
  const reads = operation === Operation.SEARCH && other === Outcome.OK;
  return copyHistory(history, { row, to: { outcome: other, valueRead: reads ? random.below(4) : NO_VALUE } });
}

/**
 * A copy in which a SEARCH of `key` returns a value that had been overwritten before it began: a write W
 * ended, then a write of another value began and ended, then the SEARCH began, and now returns what W wrote.
 * Certainly wrong when every written value is unique. Undefined when the key's history has no such three.
 */
export function makeStale(history: History, key: number, random: Random): History | undefined {
  const rows = Array.from({ length: history.count }, (_, i) => i).filter(
    (i) => history.key[i] === key && history.outcome[i] === Outcome.OK,
  );
  const searches = rows.filter((i) => history.operation[i] === Operation.SEARCH);
  const writes = rows.filter((i) => writesValue(history.operation[i]));
  const from = random.below(Math.max(1, searches.length));
  for (const search of [...searches.slice(from), ...searches.slice(0, from)]) {
    const before = writes.filter((w) => history.responseNs[w] < history.invocationNs[search]);
    const last = before.reduce(
      (a, b) => (history.invocationNs[a] > history.invocationNs[b] ? a : b),
      before[0],
    );
    const old = before.find((w) => history.responseNs[w] < history.invocationNs[last]);
    if (old === undefined) continue;
    return copyHistory(history, { row: search, to: { valueRead: history.valueWritten[old] } });
  }
  return undefined;
}
