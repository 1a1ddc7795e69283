/** The requests: SEARCH, INSERT, UPDATE, DELETE, put. */
import { LogOperation } from '../layout/index.js';
import type { OpLoop } from '../verbs/index.js';
import type { ClientState } from './client-state.js';
import { Context } from './context.js';
import { insertLoop } from './insert.js';
import { locateLoop } from './locate.js';
import { matchLoop } from './match.js';
import { modifyLoop } from './modify.js';
import { putLoop } from './put.js';
import { searchLoop } from './search.js';

export { ClientState } from './client-state.js';
export { CONTEXT_BYTES, Context, Outcome } from './context.js';
export {
  advancePeriod,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  enterPool,
  loadDirectory,
} from './directory.js';

/** Kinds of requests, as indices of {@link Coroutine.loops}. */
export const RequestKind = { SEARCH: 0, INSERT: 1, UPDATE: 2, DELETE: 3, PUT: 4 } as const;
export type RequestKind = (typeof RequestKind)[keyof typeof RequestKind];

/** One coroutine with a re-armed loop for each kind of request. */
export interface Coroutine {
  readonly cx: Context;
  readonly loops: readonly OpLoop[];
}

/** Makes coroutine number `index` of a client. */
export function makeCoroutine(client: ClientState, index: number): Coroutine {
  const cx = new Context(client, index, { match: matchLoop, locate: locateLoop });
  const update = modifyLoop(cx, LogOperation.UPDATE);
  const insert = insertLoop(cx);
  const remove = modifyLoop(cx, LogOperation.DELETE);
  return { cx, loops: [searchLoop(cx), insert, update, remove, putLoop(cx, { update, insert })] };
}
