/** Errors as a user meets them. */
import { FuseeError, UsageError } from '../../fusee/verbs/index.js';
import { ResultError } from '../../results/error.js';
import { WorkloadError } from '../../workloads/index.js';

/** What to print about an error, and the exit status: 2 for usage, else 1. Only a bug brings its stack. */
export function explain(error: unknown): { text: string; status: 1 | 2 } {
  if (!(error instanceof Error)) return { text: String(error), status: 1 };
  if (error instanceof UsageError || error instanceof WorkloadError)
    return { text: error.message, status: 2 };
  const foreseen = error instanceof FuseeError || error instanceof ResultError || 'syscall' in error;
  return { text: foreseen ? error.message : (error.stack ?? error.message), status: 1 };
}
