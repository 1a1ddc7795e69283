/**
 * What a dead client owned, as its nodes know it: asked for and handed on by its recoverer.
 *
 * Rules of this file:
 * - A node is told first whom to refuse from now on, and who recovers (RETIRE). What the client had asked and
 *   not been answered is then either executed, and LIST shows it, or never will be; and of two recoverers,
 *   the first of which has been taken for dead, the node lets only the one that came last hand blocks on.
 * - Blocks go to ORPHAN together, when all are cleared: backups' entries and headers first, then the primaries'
 *   entries, by HAND_ON. Until then those name the dead, and the next recoverer finds them. So nobody writes
 *   the backups' entries but on behalf of whom the primary names (`memory/allocate.ts`). A HAND_ON says of
 *   which view the list of blocks was: in the next one a primary may have entries that nobody has looked at.
 * - Where the primary itself has died, a backup took its place: a block that its client had entered by half
 *   is free by that one, and the client's by another. Nobody else looks there, so the entry is taken out.
 * - That also mends blocks that were on their way when their client died: granted and not entered, zeroed to
 *   be given back, handed on or taken over by half.
 */
import { BLOCK_ENTRY_BYTES, CLASS_LINES, MAX_REPLICAS } from '../layout/index.js';
import { ORPHAN, RpcOperation, type RpcResponse, RpcStatus } from '../memory/index.js';
import type { Context } from '../ops/index.js';
import { type Op, replicaRef, word } from '../verbs/index.js';
import type { DeadBlock } from './walk-log.js';

/** Verbs of one batch. */
const BATCH_VERBS = 64;

/** Nobody waits for an answer, and starting again costs more. */
const PATIENT = { isBackground: false, attempts: 8 };

/**
 * Declares a client dead to all nodes and gives its blocks. One round trip for each node, and one for each
 * ten blocks there. Undefined: a node was silent.
 */
export function* claimBlocks(cx: Context, dead: number): Op<DeadBlock[] | undefined> {
  const blocks: DeadBlock[] = [];
  for (let mn = 0; mn < cx.client.view.geometry.config.nodes; mn++) {
    if (cx.client.view.isDead(mn)) continue;
    if (!(yield* ask(cx, mn, { operation: RpcOperation.RETIRE, argument: dead }))) return undefined;
    const listed = yield* cx.allocator.list(mn, dead);
    if (listed === undefined) return undefined;
    blocks.push(...listed);
  }
  return blocks;
}

/**
 * Takes out the entries, and headers, by which backups call blocks the dead client's that are free by
 * primaries that have taken a dead node's place. By CAS: a new owner may be writing its own. A round trip for
 * each table of such a region, and one for each block. False: a node was silent.
 */
export function* dropStaleEntries(cx: Context, dead: number): Op<boolean> {
  const { view } = cx.client;
  const { regions, config } = view.geometry;
  for (let region = 0; region < regions; region++) {
    if (!view.isTakenOver(region) || view.dataCount(region * config.regionBytes) < 2) continue;
    const stale = yield* staleEntries(cx, region, dead);
    if (stale === undefined) return false;
    for (const { pointer, replica, sizeClass } of stale) {
      const mn = view.dataMn(pointer, replica);
      const b = cx.batch.reset();
      b.cas(mn, view.dataOffset(pointer, replica), word(CLASS_LINES[sizeClass], dead), word());
      b.cas(mn, view.entryOffset(pointer, replica), word(sizeClass + 1, dead), word());
      yield b;
      if (b.anyFailed()) return false;
    }
  }
  return true;
}

/** A backup's entry of a block that is free by its primary. */
interface StaleEntry extends DeadBlock {
  readonly replica: number;
}

function* staleEntries(cx: Context, region: number, dead: number): Op<StaleEntry[] | undefined> {
  const { view, local } = cx.client;
  const { blockBytes, regionBytes } = view.geometry.config;
  const start = region * regionBytes;
  const blocks = regionBytes / blockBytes;
  const perRead = Math.min(blocks, Math.floor(cx.matchBytes / MAX_REPLICAS / BLOCK_ENTRY_BYTES));
  const stale: StaleEntry[] = [];
  for (let first = 0; first < blocks; first += perRead) {
    const count = Math.min(perRead, blocks - first);
    const b = cx.batch.reset();
    const areaOf = (replica: number): number => cx.matchArea + replica * perRead * BLOCK_ENTRY_BYTES;
    const to = view.dataReplicas(start, replicaRef(MAX_REPLICAS));
    for (let r = 0; r < to.count; r++) {
      const at = view.entryOffset(start + first * blockBytes, r);
      b.read(to.mn[r], at, areaOf(r), count * BLOCK_ENTRY_BYTES);
    }
    yield b;
    if (b.anyFailed()) return undefined;
    for (let i = 0; i < count; i++) {
      const entryOf = (r: number): number => (areaOf(r) + i * BLOCK_ENTRY_BYTES) >>> 2;
      if (local.words[entryOf(0)] !== 0) continue;
      for (let r = 1; r < to.count; r++) {
        if (local.words[entryOf(r)] !== dead) continue;
        const sizeClass = local.words[entryOf(r) + 1] - 1;
        stale.push({ pointer: start + (first + i) * blockBytes, replica: r, sizeClass });
      }
    }
  }
  return stale;
}

/** Writes into backups' entries and all headers that these cleared blocks are nobody's. False: silence. */
export function* enterOrphans(cx: Context, dead: number, blocks: readonly DeadBlock[]): Op<boolean> {
  const { view, local } = cx.client;
  const perBatch = Math.floor(BATCH_VERBS / (2 * view.geometry.config.dataReplicas));
  const to = replicaRef(MAX_REPLICAS);
  for (let first = 0; first < blocks.length; first += perBatch) {
    const b = cx.batch.reset();
    for (const [i, { pointer, sizeClass }] of blocks.slice(first, first + perBatch).entries()) {
      const entry = cx.matchArea + i * (BLOCK_ENTRY_BYTES + 8);
      const header = entry + BLOCK_ENTRY_BYTES;
      // As of any block that was left behind: its header names who had it.
      local.words.set([ORPHAN, sizeClass + 1, dead, CLASS_LINES[sizeClass]], entry >>> 2);
      view.dataReplicas(pointer, to);
      for (let r = 0; r < to.count; r++) {
        if (r > 0) b.write(to.mn[r], view.entryOffset(pointer, r), entry, BLOCK_ENTRY_BYTES);
        b.write(to.mn[r], to.offsetBytes[r], header, 8);
      }
    }
    yield b;
    if (b.anyFailed()) return false;
  }
  return true;
}

/**
 * Leaves all blocks, cleared and entered, to whoever adopts them. A round trip for each node, or each 4,096
 * blocks there. False: a node was silent, or is of another view.
 * @param number the view in which the blocks were listed.
 */
export function* handOn(cx: Context, dead: number, number: number): Op<boolean> {
  const { view } = cx.client;
  for (let mn = 0; mn < view.geometry.config.nodes; mn++) {
    if (view.isDead(mn)) continue;
    for (let cursor = 0; cursor >= 0; ) {
      const what = { operation: RpcOperation.HAND_ON, argument: dead, other: number, pointer: cursor };
      const answered = yield* ask(cx, mn, what);
      if (answered === undefined) return false;
      cursor = answered.value;
    }
  }
  return true;
}

/**
 * Gives the dead client's place back, when its word is out of the client table: node 0 grants it to the next
 * client. One round trip for each node. False: one was silent.
 */
export function* giveUpPlace(cx: Context, dead: number): Op<boolean> {
  // Node 0 last: while its place is taken, nobody else can be announced to the others there.
  const { view } = cx.client;
  for (let mn = view.geometry.config.nodes - 1; mn >= 0; mn--)
    if (!view.isDead(mn) && !(yield* ask(cx, mn, { operation: RpcOperation.LEAVE, argument: dead })))
      return false;
  return true;
}

/** Undefined: the node was silent, or another recoverer has taken over. */
function* ask(
  cx: Context,
  mn: number,
  what: Parameters<Context['allocator']['lane']['ask']>[1],
): Op<RpcResponse | undefined> {
  const answered = yield* cx.allocator.lane.ask(mn, what, PATIENT);
  return answered?.status === RpcStatus.OK ? answered : undefined;
}
