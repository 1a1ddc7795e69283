/**
 * Reads a history drawn as text, for tests. One operation a line:
 *
 *     <invocation>-<response> c<client> [k<key>] <operation>[(value written)] <outcome>[(value read)]
 *
 * as in `0-10 c1 INSERT(5) OK` and `12-20 c2 k3 SEARCH OK(5)`; a pending
 * operation has no response, as in `30- c1 DELETE PENDING`.
 */
import { UsageError } from '../../../fusee/verbs/errors.js';
import { History, Operation, Outcome } from './history.js';

const LINE = /^(\d+)-(\d*) c(\d+)(?: k(\d+))? ([A-Z]+)(?:\((\d+)\))? ([A-Z_]+)(?:\((\d+)\))?$/;

/**
 * The history drawn in `text`; the key is 0 where none is given. UsageError names a line that cannot be read.
 */
export function parseHistory(text: string): History {
  const history = new History({ capacity: 16 });
  for (const line of text.split('\n').map((part) => part.trim())) {
    if (line === '') continue;
    const match = LINE.exec(line);
    const operation = Operation[match?.[5] as keyof typeof Operation];
    const outcome = Outcome[match?.[7] as keyof typeof Outcome];
    if (match === null || operation === undefined || outcome === undefined) {
      throw new UsageError(`cannot read "${line}" as an operation`);
    }
    history.append({
      client: Number(match[3]),
      key: Number(match[4] ?? 0),
      operation,
      outcome,
      valueWritten: match[6] === undefined ? undefined : Number(match[6]),
      valueRead: match[8] === undefined ? undefined : Number(match[8]),
      invocationNs: Number(match[1]),
      responseNs: match[2] === '' ? undefined : Number(match[2]),
    });
  }
  return history;
}
