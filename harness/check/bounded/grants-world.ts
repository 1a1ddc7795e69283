/**
 * Worlds of clients that take blocks and give them back, over RPCs that may be lost, late or doubled (H12).
 *
 * A script says what each client does, clients apart by bars:
 *
 *     alloc   asks for a block
 *     free    gives its latest block back
 *     give    leaves its latest block to whoever takes it
 *     adopt   takes a block that was left
 *
 * No block may ever be in use by two clients, and none by a client that no table names. At the end each
 * client looks for the grants that it has lost; then every block that is one's by the tables is in its use.
 * Excepted are blocks whose TRANSFER was not answered: those are left to recovery.
 */

import { BLOCK_ENTRY_BYTES } from '../../../fusee/layout/index.js';
import { NodeService } from '../../../fusee/node/index.js';
import { type Op, UsageError, word } from '../../../fusee/verbs/index.js';
import { Host, OpActor } from './actors.js';
import type { HashedNodes } from './hashed-nodes.js';
import { BoundedPool, CLIENT_BYTES } from './pool.js';
import { runNow, ScriptActor } from './script.js';
import type { Actor, BoundedWorld } from './world.js';

const SIZE_CLASS = 0;

/** A client without requests. */
class Holder extends Host {
  /** Blocks in its use, oldest first. */
  readonly held: number[] = [];
  /** Blocks that it has given or tried to take: their answers may have been lost. */
  readonly doubtful = new Set<number>();

  constructor(pool: BoundedPool, cid: number) {
    super(pool, { cid, local: pool.memory(CLIENT_BYTES + 2048) });
    const { slab } = this.state;
    const { addBlock } = slab;
    slab.addBlock = (sizeClass, pointer) => {
      this.held.push(pointer);
      return addBlock.call(slab, sizeClass, pointer);
    };
  }

  /** A step of a script. */
  *step(name: string): Op<void> {
    const { allocator } = this.coroutines[0].cx;
    switch (name) {
      case 'alloc':
        yield* allocator.refill(SIZE_CLASS);
        return;
      case 'free':
      case 'give': {
        const pointer = this.held.pop();
        if (pointer === undefined) return;
        if (name === 'give') this.doubtful.add(pointer);
        const isGone = yield* name === 'free' ? allocator.free(pointer) : allocator.giveAway(pointer);
        if (!isGone) this.held.push(pointer);
        return;
      }
      case 'adopt':
        for (let mn = 0; mn < this.pool.config.nodes; mn++) {
          const pointer = yield* allocator.adopt(mn, SIZE_CLASS);
          if (pointer === undefined) continue;
          this.state.slab.addBlock(SIZE_CLASS, pointer);
          return;
        }
        return;
      default:
        throw new UsageError(`"${name}" is no step of a script`);
    }
  }

  /** Gives back what it was granted without its knowing. */
  *lookForLostGrants(): Op<void> {
    for (let mn = 0; mn < this.pool.config.nodes; mn++)
      yield* this.coroutines[0].cx.allocator.reclaimLostGrants(mn, (pointer) => this.held.includes(pointer));
  }
}

/** Who they are. */
export interface GrantsOptions {
  /** With two nodes, odd ones begin at node 1. @default 1 and 3, which meet in its blocks */
  readonly cids?: readonly number[];
  /** False: nobody looks for the grants that it has lost. @default true */
  readonly looks?: boolean;
}

/** Worlds of such clients. */
export function grantsWorld(
  pool: BoundedPool,
  script: string,
  { cids = [1, 3], looks = true }: GrantsOptions = {},
): () => BoundedWorld {
  const scripts = script.split('|').map((text) => text.trim().split(/\s+/));
  return () => {
    pool.begin();
    const holders = scripts.map((_, i) => new Holder(pool, cids[i]));
    const actors = holders.map((holder, i): Actor => {
      const parts = scripts[i].map((name) => new OpActor({ name, op: holder.step(name) }));
      return new ScriptActor(parts, { name: holder.group, group: holder.group, mayCrash: false });
    });
    return {
      nodes: pool.nodes,
      actors,
      describe: (mn, offset) => pool.describe(mn, offset),
      wrongNow: () => usedTwice(holders),
      wrongAtEnd: () => {
        for (const holder of looks ? holders : []) runNow(pool.nodes, holder.lookForLostGrants());
        return misnamed(pool, holders);
      },
    };
  };
}

function usedTwice(holders: readonly Holder[]): string | undefined {
  const users = new Map<number, number>();
  for (const { cid, held } of holders) {
    for (const pointer of held) {
      const other = users.get(pointer);
      if (other !== undefined) return `clients ${other} and ${cid} both use block ${pointer}`;
      users.set(pointer, cid);
    }
  }
  return undefined;
}

function misnamed(pool: BoundedPool, holders: readonly Holder[]): string | undefined {
  const { view, nodes, config } = pool;
  const { geometry } = view;
  const owner = word();
  for (let pointer = 0; pointer < geometry.regions * config.regionBytes; pointer += config.blockBytes) {
    const region = Math.floor(pointer / config.regionBytes);
    const entry = ((pointer % config.regionBytes) / config.blockBytes) * BLOCK_ENTRY_BYTES;
    nodes.load(view.regionMn(region, 0), view.tableOffset(region, 0) + entry, owner);
    for (const { cid, held, doubtful } of holders) {
      const uses = held.includes(pointer);
      if (uses && owner.lo !== cid) return `client ${cid} uses block ${pointer}, which is ${owner.lo}'s`;
      if (!uses && owner.lo === cid && !doubtful.has(pointer) && !mayHaveTaken(holders, pointer))
        return `client ${cid} owns block ${pointer} and does not know it`;
    }
  }
  return undefined;
}

/** A block that was ever left to others may have been taken by a TRANSFER whose answer was lost. */
const mayHaveTaken = (holders: readonly Holder[], pointer: number): boolean =>
  holders.some(({ doubtful }) => doubtful.has(pointer));

/** A pool whose nodes serve each RPC as if it were the first: naive. */
export const forgetfulPool = (): BoundedPool => new BoundedPool({ setUp: forgetEverything });

function forgetEverything({ nodes, config }: BoundedPool): void {
  for (let mn = 0; mn < nodes.count; mn++)
    nodes.serve(mn, (request) => new NodeService(config, mn, memoryOf(nodes, mn)).handle(request));
}

const memoryOf = (nodes: HashedNodes, mn: number): ConstructorParameters<typeof NodeService>[2] => ({
  read: (offset, into, at, lengthBytes) => nodes.read(mn, offset, into, at, lengthBytes),
  write: (offset, from, at, lengthBytes) => nodes.write(mn, offset, from, at, lengthBytes),
});
