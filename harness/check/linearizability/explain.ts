/**
 * Prints a verdict for people: the longest linearizable prefix of the failing key and what cannot be placed.
 */
import type { CheckResult } from './check.js';
import {
  type History,
  NO_VALUE,
  OPERATION_NAMES,
  Operation,
  OUTCOME_NAMES,
  Outcome,
  writesValue,
} from './history.js';
import { FINAL_READ } from './key-operations.js';
import type { Violation } from './violation.js';

/** How much `explain` shows. */
export interface ExplainOptions {
  /**
   * Operations of the linearization shown, the last ones; those that bear on the failure come in addition.
   */
  rowCountMax?: number;
}

const ROW_COUNT_MAX = 12;

/**
 * The verdict as text. For a violation: a timeline with one line per operation and one column per distinct
 * time (order is exact, distance is not), each line with its place in the linearization.
 */
export function explain(history: History, result: CheckResult, options: ExplainOptions = {}): string {
  if (result.verdict === 'ok') {
    const { operationCount, keyCount, stateCount } = result;
    return `linearizable: ${operationCount} operations on ${keyCount} keys, ${stateCount} states`;
  }
  const { violation } = result;
  if (violation === undefined) {
    const shown = result.unknownKeys.slice(0, 10).join(', ');
    return `unknown: the budget ended before ${result.unknownKeys.length} keys were decided: ${shown}`;
  }
  const { key, unplaced, prefixCount, linearization } = violation;
  const rows = rowsToShow(history, violation, options.rowCountMax ?? ROW_COUNT_MAX);
  const hidden = linearization.filter((row) => !rows.includes(row)).length;
  const bound = violation.clockBoundNs > 0 ? `, intervals widened by ${violation.clockBoundNs} ns` : '';
  return [
    `not linearizable: key ${key}${bound}`,
    `initially ${valueName(violation.initial)}; the first ${prefixCount} responses can be explained,` +
      ` and then the key holds ${valueName(stateAfter(history, violation))};`,
    `but nothing explains ${nameOf(history, unplaced, violation)}`,
    ...(hidden > 0 ? [`(${hidden} earlier operations not shown)`] : []),
    ...timeline(history, violation, rows),
    'left: place in the linearization, "!" cannot be placed, "?" left out (was still open)',
  ].join('\n');
}

function rowsToShow(history: History, violation: Violation, rowCountMax: number): number[] {
  const { unplaced, linearization, stillOpen } = violation;
  const shown = new Set([...linearization.slice(-rowCountMax), ...stillOpen.slice(-rowCountMax)]);
  if (unplaced !== FINAL_READ) {
    shown.add(unplaced);
    const value = history.valueRead[unplaced];
    const writers = linearization.filter((row) => value !== NO_VALUE && history.valueWritten[row] === value);
    for (const row of writers.slice(-rowCountMax)) shown.add(row);
  }
  return [...shown].sort((a, b) => history.invocationNs[a] - history.invocationNs[b]);
}

/** The value the key holds after the linearization, by replaying it. */
function stateAfter(history: History, violation: Violation): number {
  let state = violation.initial;
  for (const row of violation.linearization) {
    const outcome = history.outcome[row];
    if (outcome === Outcome.NOT_FOUND || outcome === Outcome.EXISTS) continue;
    if (writesValue(history.operation[row])) state = history.valueWritten[row];
    else if (history.operation[row] === Operation.DELETE) state = NO_VALUE;
  }
  return state;
}

function valueName(value: number): string {
  return value === NO_VALUE ? 'absent' : `value ${value}`;
}

function labelOf(history: History, row: number): string {
  const operation = history.operation[row];
  const written = writesValue(operation) ? `(${history.valueWritten[row]})` : '';
  const read = history.valueRead[row] === NO_VALUE ? '' : `(${history.valueRead[row]})`;
  return `${OPERATION_NAMES[operation]}${written} ${OUTCOME_NAMES[history.outcome[row]]}${read}`;
}

function nameOf(history: History, row: number, violation: Violation): string {
  if (row === FINAL_READ) return `the final contents of key ${violation.key}`;
  const { invocationNs, responseNs } = history;
  const during = `${invocationNs[row]} to ${responseNs[row]} ns`;
  return `${labelOf(history, row)} of client ${history.client[row]} (operation ${row}, ${during})`;
}

function isOpenEnded(history: History, row: number): boolean {
  return history.outcome[row] === Outcome.PENDING || history.outcome[row] === Outcome.UNAVAILABLE;
}

function timeline(history: History, violation: Violation, rows: number[]): string[] {
  const bound = violation.clockBoundNs;
  const times = new Set<number>();
  for (const row of rows) {
    times.add(history.invocationNs[row] - bound);
    if (!isOpenEnded(history, row)) times.add(history.responseNs[row] + bound);
  }
  const columnOf = new Map([...times].sort((a, b) => a - b).map((time, column) => [time, column]));
  const place = new Map(violation.linearization.map((row, at) => [row, String(at + 1)]));
  place.set(violation.unplaced, '!');
  const lines = rows.map((row) => {
    const begin = columnOf.get(history.invocationNs[row] - bound)!;
    const end = isOpenEnded(history, row) ? times.size : columnOf.get(history.responseNs[row] + bound)!;
    const bar =
      begin === end ? '|' : `[${'='.repeat(end - begin - 1)}${isOpenEnded(history, row) ? '>' : ']'}`;
    return {
      place: place.get(row) ?? '?',
      who: `client ${history.client[row]}`,
      what: labelOf(history, row),
      bar: ' '.repeat(begin) + bar,
    };
  });
  const width = (of: (line: (typeof lines)[number]) => string) =>
    Math.max(...lines.map((line) => of(line).length), 0);
  const [places, whos, whats] = [width((l) => l.place), width((l) => l.who), width((l) => l.what)];
  return lines.map((l) =>
    `${l.place.padStart(places + 2)}  ${l.who.padEnd(whos)}  ${l.what.padEnd(whats)}  ${l.bar}`.trimEnd(),
  );
}
