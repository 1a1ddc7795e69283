/**
 * A stored result, or what was about to be stored, is not what it must be. The message names the file and
 * line, or the value and the limit.
 */
export class ResultError extends Error {
  readonly code = 'RESULT';
  override readonly name = 'ResultError';
}
