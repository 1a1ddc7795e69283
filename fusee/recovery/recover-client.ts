/**
 * Recovery of a dead client (FUSEE section 5.3, Table 1): its requests in flight, its frees, its blocks, its
 * place.
 *
 * Rules of this file:
 * - The client is fenced first, and whoever replaces a recoverer that died has fenced that one too: none of
 *   their verbs executes any more.
 * - Every step may be repeated, and a recoverer that starts from the top finds done what was done. What a
 *   step needs lives until the next one is through: log lists until requests and frees are, cells until lists
 *   have ended, a block's owner until its cells are cleared, the client's word until there is no block left.
 * - While the client's word stands in the client table, no grace passes that began after its last period but
 *   one. So nothing that it has looked at or left behind, nor what its recoverer looks at, is reused
 *   meanwhile: objects named by its log, bits that it has set, words that its rounds left on backups. A
 *   recoverer announces no period of its own. A client that rests has no word; but it has ended all its
 *   requests, and its log heads say that nothing is left to free.
 * - The word goes last: who finds it gone may take the client's locks over. Its place is given up behind it,
 *   since the next holder of the place writes its own word over it.
 * - Of a client whose log contradicts itself only requests are recovered, as far as lists can be followed:
 *   who waits for those can go on. Nothing is freed, handed on or given up, so that the word stands.
 *
 * With several index replicas everything comes back. With one, no old value is logged: an object that the
 * dead client had replaced and not freed yet leaks, and so does one that it had written and not proposed:
 * at most two cells for each entry of its log from `freed` on, and a bit that had reached some replicas only
 * stays so.
 */
import { type Context, loadDirectory } from '../ops/index.js';
import type { Op } from '../verbs/index.js';
import { clearBlocks, endLists } from './clear-block.js';
import { claimBlocks, dropStaleEntries, enterOrphans, giveUpPlace, handOn } from './estate.js';
import { freeReplaced } from './free-bits.js';
import { Recovered, recoverRequest } from './recover-request.js';
import { retireClient } from './retire-client.js';
import { type DeadList, requireWhole, walkLogs } from './walk-log.js';

/**
 * The steps, in order. `connect` and `metadata` to `requests` are what others wait for; then come frees and
 * blocks ("rebuild the free lists"), and the end.
 */
export const RECOVERY_STEPS = ['connect', 'metadata', 'log', 'requests', 'frees', 'blocks', 'place'] as const;
export type RecoveryStep = (typeof RECOVERY_STEPS)[number];

/** Blocks that are cleared together: what is known of their cells is held meanwhile. */
const BLOCKS_AT_ONCE = 16;

/** A client to be recovered: its id, and its place in the client table. */
export interface DeadClient {
  readonly cid: number;
  readonly index: number;
}

/** What a driver hears, and what tests change. */
export interface RecoveryOptions {
  /** A step begins; the last one ends with the recovery. */
  readonly onStep?: (step: RecoveryStep) => void;
  /** The log has been walked: so many entries may have left something to recover. */
  readonly onWalked?: (entries: number) => void;
  /** What became of a request. */
  readonly onRecovered?: (recovered: Recovered) => void;
  /** Recovers one request. @default {@link recoverRequest} */
  readonly recoverRequest?: typeof recoverRequest;
}

/**
 * Recovers a fenced client. `cx` is a coroutine of the recoverer's own, with no request; what is staged there
 * is overwritten. The steps up to `requests` take round trips by the number of blocks and the entries of the
 * longest log list, which the dead client's background kept short; the others read its blocks.
 * @returns false: a node was silent; begin again.
 * @throws CorruptionError when log, slots and lists contradict each other.
 */
export function* recoverClient(cx: Context, dead: DeadClient, options: RecoveryOptions = {}): Op<boolean> {
  const { view, directory } = cx.client;
  const begin = options.onStep ?? (() => {});
  begin('connect');
  const { number } = view;
  const blocks = yield* claimBlocks(cx, dead.cid);
  if (blocks === undefined) return false;
  begin('metadata');
  // Behind the fence: no split that begins later can end, since the dead client's word holds it up.
  if (!(yield* loadDirectory(directory, { view, batch: cx.batch, into: cx.matchArea }))) return false;
  begin('log');
  const lists = yield* walkLogs(cx, blocks);
  if (lists === undefined) return false;
  options.onWalked?.(lists.reduce((sum, { cells }) => sum + cells.length, 0));
  begin('requests');
  if (!(yield* recoverRequests(cx, lists, options))) return false;
  requireWhole(lists);
  begin('frees');
  if (!(yield* freeReplaced(cx, lists)) || !(yield* endLists(cx, blocks))) return false;
  begin('blocks');
  for (let i = 0; i < blocks.length; i += BLOCKS_AT_ONCE) {
    if (!(yield* clearBlocks(cx, blocks.slice(i, i + BLOCKS_AT_ONCE)))) return false;
  }
  if (!(yield* enterOrphans(cx, dead.cid, blocks)) || !(yield* handOn(cx, dead.cid, number))) return false;
  if (!(yield* dropStaleEntries(cx, dead.cid))) return false;
  begin('place');
  return (yield* retireClient(cx.batch, view, dead)) && (yield* giveUpPlace(cx, dead.cid));
}

/**
 * Recovers what may be unfinished in each list. The newest object first: while its log entry is not there,
 * the one before may be the one in flight. False: a node was silent.
 */
export function* recoverRequests(
  cx: Context,
  lists: readonly DeadList[],
  options: RecoveryOptions = {},
): Op<boolean> {
  const recover = options.recoverRequest ?? recoverRequest;
  for (const { unfinished, fault } of lists) {
    for (const object of fault === undefined ? unfinished : []) {
      cx.write.expired = false;
      const recovered = yield* recover(cx, object);
      if (recovered === Recovered.FAILED) return false;
      options.onRecovered?.(recovered);
      if (recovered !== Recovered.DROPPED) break;
    }
  }
  return true;
}
