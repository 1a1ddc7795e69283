/** The requests: SEARCH, INSERT, UPDATE, DELETE, put. */
export { ClientState } from './client-state.js';
export { CONTEXT_BYTES, Context, Outcome } from './context.js';
export { type Coroutine, makeCoroutine, RequestKind } from './coroutine.js';
export {
  advancePeriod,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  enterPool,
  loadDirectory,
} from './directory.js';
export {
  continueRequest,
  type Decisions,
  isInterrupted,
  leavesHalfDone,
  NO_DECISIONS,
  type OpenRound,
  openRounds,
} from './new-view.js';
