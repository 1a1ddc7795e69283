/**
 * Linearizability of recorded histories: record, merge, check, explain; and correct histories to test with.
 */
export { type CheckOptions, type CheckResult, type Contents, checkHistory } from './check.js';
export { type ExplainOptions, explain } from './explain.js';
export { History, NO_VALUE, Operation, type OperationRecord, Outcome } from './history.js';
export { decodeHistory, encodeHistory, mergeHistories, readHistory, writeHistory } from './history-file.js';
export { JournalWriter, readJournal } from './journal.js';
export { FINAL_READ } from './key-operations.js';
export { type Simulation, type SimulationOptions, simulate } from './simulate.js';
export type { Violation } from './violation.js';
