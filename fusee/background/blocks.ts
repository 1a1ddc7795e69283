/**
 * Whole blocks, in the background: those that have run empty go back to their nodes, and those of a client
 * that leaves go to whoever needs them next.
 *
 * Rules of this file:
 * - A block is empty when nothing holds a cell of it but log lists at rest, which are taken apart first:
 *   their heads are zeroed, then nobody will look there for anything.
 * - Between zeroing a block and giving it back lies a grace. A request with a cached word may have read bytes
 *   of an object where it expects its own key; what it read must not become the truth while it lasts.
 * - Each class keeps one empty block, so that churn does not send a block to and fro; none while the client
 *   rests, or while a request of it waits for memory. One that is set aside for DELETEs is never kept: other
 *   clients may need it to free memory at all.
 */
import { CLASS_COUNT } from '../layout/index.js';
import { Allocator, type Block, type Detached, Grace, ZERO_BYTES } from '../memory/index.js';
import type { ClientState } from '../ops/index.js';
import type { Op } from '../verbs/index.js';
import type { Reclaim } from './reclaim.js';

/** Registered memory that one {@link Blocks} takes. */
export const BLOCKS_BYTES: number = ZERO_BYTES + 4096;

/** Looks at the client table after which a grace is given up: some client is stuck, and the block stays. */
const LOOKS_MAX = 1000;

/** One client's giving of blocks; its steps are run by its janitor. */
export class Blocks {
  readonly #client: ClientState;
  readonly #reclaim: Reclaim;
  readonly #allocator: Allocator;
  readonly #mark = Grace.newMark();
  readonly #tick: () => Op<unknown>;
  /** Blocks given back to their nodes, and left behind, so far. */
  freed = 0;
  left = 0;

  /** @param tick what goes on while a grace runs: it must end periods. */
  constructor(client: ClientState, reclaim: Reclaim, tick: () => Op<unknown>) {
    const { view, slab, cid, local, coroutines } = client;
    this.#client = client;
    this.#reclaim = reclaim;
    this.#tick = tick;
    this.#allocator = new Allocator({ view, slab, cid, local }, coroutines);
  }

  /** Gives empty blocks back, all but `keep` of each class. */
  *giveBack(keep: 0 | 1): Op<void> {
    for (let sizeClass = 0; sizeClass < CLASS_COUNT; sizeClass++) {
      let kept = 0;
      for (const block of [...this.#client.slab.blocksOf(sizeClass)]) {
        if (!this.#client.slab.isEmpty(block)) continue;
        if (!block.isReserved && kept++ < keep) continue;
        if (!(yield* this.#giveBackOne(block))) return;
      }
    }
  }

  /**
   * Leaves all blocks behind, when no request is under way and none will be. Whatever is on its way to being
   * free gets its bit first: the next owner knows nothing but what the memory says.
   * @returns false: a node was silent, or recovery has still to look for something here, or a block may be
   * this client's without its knowing. What is left is for whoever recovers this client.
   */
  *leave(): Op<boolean> {
    const { slab, frees } = this.#client;
    yield* this.giveBack(0);
    // Lists say first that nothing is left to free: should this client die now, nobody else could tell.
    if (!(yield* this.#reclaim.settleLog())) return false;
    const { lists, returned } = slab.detachAll();
    if (!(yield* this.#zeroHeads(lists))) return false;
    for (const cell of [...returned, ...this.#reclaim.unsettled(), ...frees.cells.take(frees.cells.count)])
      frees.objects.push(cell);
    if (!(yield* this.#reclaim.settleLog())) return false;
    for (const block of slab.allBlocks()) {
      // Its next owner could not tell what a list that was abandoned here still needs.
      if (slab.hasAbandoned(block)) continue;
      slab.removeBlock(block);
      if (!(yield* this.#allocator.giveAway(block.pointer))) return false;
      this.left++;
    }
    let isSure = yield* this.#allocator.settle();
    for (const { allocator } of this.#client.contexts) isSure = (yield* allocator.settle()) && isSure;
    return isSure && slab.blocks === 0;
  }

  /** False: a node was silent, or somebody is stuck. */
  *#giveBackOne(block: Block): Op<boolean> {
    const { slab } = this.#client;
    const lists = slab.takeOut(block);
    // Requests may have used it since: there are round trips between two blocks.
    if (lists === undefined) return true;
    if (!(yield* this.#zeroHeads(lists))) return false;
    if (yield* this.#allocator.free(block.pointer, () => this.#awaitGrace())) {
      this.freed++;
      this.#client.blocksGivenBack++;
      return true;
    }
    // It is still this client's, and as empty as a fresh one.
    slab.addBlock(block.sizeClass, block.pointer);
    return false;
  }

  /** Zeroes the heads of lists that were taken apart, before anybody may use what they leave. */
  *#zeroHeads(lists: readonly Detached[]): Op<boolean> {
    const zero = lists.map(({ head }) => ({ pointer: head, head: 0, freed: 0 }));
    if (!(yield* this.#reclaim.writeHeads(zero))) return false;
    for (const list of lists) this.#client.slab.reuse(list);
    return true;
  }

  *#awaitGrace(): Op<boolean> {
    const { grace } = this.#client;
    if (!(yield* grace.mark(this.#mark))) return false;
    for (let look = 0; look < LOOKS_MAX; look++) {
      yield* this.#tick();
      if (yield* grace.hasPassed(this.#mark)) return true;
    }
    return false;
  }
}
