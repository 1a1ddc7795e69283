/** What a request may cost at most when it meets nobody: the cost tables, over all states of the cache. */
import { RequestKind } from '../../fusee/ops/index.js';
import type { Run } from './run.js';

/**
 * Round trips of a request that met no other writer, blocks not counted.
 *
 * Looking a key up costs 2 without a cache. With one, a stale hint may cost a READ of the slot and one of an
 * object before that.
 */
export function roundTripLimit(kind: RequestKind, indexReplicas: number, hasCache: boolean): number {
  const lookUp = hasCache ? 4 : 2;
  const replace = indexReplicas > 1 ? 3 : 1;
  const insert = 2 + (indexReplicas > 1 ? 3 : 2);
  switch (kind) {
    case RequestKind.SEARCH:
      return lookUp;
    case RequestKind.INSERT:
      return insert;
    case RequestKind.PUT:
      return lookUp + insert;
    default:
      return lookUp + replace;
  }
}

/** Holds a request that met no writer to the cost tables. */
export function checkCost(
  run: Run,
  { kind, cid, rtts }: { kind: RequestKind; cid: number; rtts: number },
): void {
  run.quietRequests++;
  const { pool, cache } = run.plan;
  const limit = roundTripLimit(kind, pool.indexReplicas, cache.bytes > 0);
  if (rtts <= limit) return;
  const what = `${Object.keys(RequestKind)[kind]} of client ${cid}`;
  run.fail('cost', `${what} took ${rtts} round trips and met no writer; the limit is ${limit}`);
}
