/** One coroutine of a client: what it owns, and a re-armed loop for each kind of request. */
import { LogOperation } from '../layout/index.js';
import type { OpLoop } from '../verbs/index.js';
import type { Claimant } from './claim.js';
import type { ClientState } from './client-state.js';
import { Context } from './context.js';
import { insertLoop, newClaimant } from './insert.js';
import { locateLoop } from './locate.js';
import { matchLoop } from './match.js';
import { modifyLoop } from './modify.js';
import { putLoop } from './put.js';
import { searchLoop } from './search.js';

/** Kinds of requests, as indices of {@link Coroutine.loops}. */
export const RequestKind = { SEARCH: 0, INSERT: 1, UPDATE: 2, DELETE: 3, PUT: 4 } as const;
export type RequestKind = (typeof RequestKind)[keyof typeof RequestKind];

/** One coroutine; its loops are replaced in place when a request has been interrupted. */
export interface Coroutine {
  readonly cx: Context;
  readonly claimant: Claimant;
  readonly loops: OpLoop[];
}

/** Makes coroutine number `index` of a client. */
export function makeCoroutine(client: ClientState, index: number): Coroutine {
  const cx = new Context(client, index, { match: matchLoop, locate: locateLoop });
  const coroutine: Coroutine = { cx, claimant: newClaimant(cx), loops: [] };
  makeLoops(coroutine);
  return coroutine;
}

/** Makes loops and stages anew, for a coroutine whose request was interrupted in the middle of them. */
export function rearm(coroutine: Coroutine): void {
  coroutine.cx.arm();
  makeLoops(coroutine);
}

function makeLoops({ cx, claimant, loops }: Coroutine): void {
  const update = modifyLoop(cx, LogOperation.UPDATE);
  const insert = insertLoop(cx, claimant);
  loops[RequestKind.SEARCH] = searchLoop(cx);
  loops[RequestKind.INSERT] = insert;
  loops[RequestKind.UPDATE] = update;
  loops[RequestKind.DELETE] = modifyLoop(cx, LogOperation.DELETE);
  loops[RequestKind.PUT] = putLoop(cx, { update, insert });
}
