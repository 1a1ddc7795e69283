/**
 * put: UPDATE, and INSERT when there is nothing to update; again when somebody came between. Not in the
 * paper.
 *
 * Lock-free, not wait-free: a stream of INSERTs and DELETEs of the key by others can keep it going.
 */
import { DONE, type OpLoop, Stage } from '../verbs/index.js';
import { type Context, Outcome } from './context.js';

/** Serves put requests with the given stages: OK, NO_MEMORY, INDEX_FULL or UNAVAILABLE. */
export function* putLoop(cx: Context, stages: { update: OpLoop; insert: OpLoop }): OpLoop {
  const update = new Stage(stages.update);
  const insert = new Stage(stages.insert);
  for (;;) {
    do {
      yield* update;
      if (ended(cx, Outcome.NOT_FOUND)) yield* insert;
    } while (ended(cx, Outcome.EXISTS) && !cx.write.expired);
    if (ended(cx, Outcome.EXISTS)) cx.outcome = Outcome.UNAVAILABLE;
    yield DONE;
  }
}

const ended = (cx: Context, outcome: Outcome): boolean => cx.outcome === outcome;
