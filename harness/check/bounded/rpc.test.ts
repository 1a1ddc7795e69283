/** RPCs that are lost, late or doubled; siblings that wait for one another; actors that never end. */
import { describe, expect, it } from 'vitest';
import { BLOCK_ENTRY_BYTES } from '../../../fusee/layout/index.js';
import { NodeService } from '../../../fusee/node/index.js';
import { RequestKind } from '../../../fusee/ops/index.js';
import { type LocalMemory, type OpLoop, VerbBatch, word } from '../../../fusee/verbs/index.js';
import {
  BoundedPool,
  type BoundedWorld,
  ClientActor,
  ContentsReader,
  explore,
  HistoryRecorder,
  Host,
  OpActor,
  requestWorld,
} from './index.js';

/** Owner of every block that a table names, with its pointer. */
function grantedBlocks({ view, nodes, config }: BoundedPool): { cid: number; pointer: number }[] {
  const entry = word();
  const granted: { cid: number; pointer: number }[] = [];
  for (let region = 0; region < view.geometry.regions; region++) {
    for (let block = 0; block < view.geometry.blocksPerRegion; block++) {
      nodes.load(view.regionMn(region, 0), view.tableOffset(region, 0) + block * BLOCK_ENTRY_BYTES, entry);
      const pointer = region * config.regionBytes + block * config.blockBytes;
      if (entry.lo !== 0) granted.push({ cid: entry.lo, pointer });
    }
  }
  return granted;
}

/** Clients that note the blocks they are given; at the end those must be all that tables say are theirs. */
function worldOf(pool: BoundedPool): () => BoundedWorld {
  const known = new Set<string>();
  const make = requestWorld(pool, 'I0 | I1', {
    mayCrash: false,
    background: ({ cid, state: { slab } }) => {
      const { addBlock } = slab;
      slab.addBlock = (sizeClass, pointer) => {
        known.add(`${cid}: ${pointer}`);
        return addBlock.call(slab, sizeClass, pointer);
      };
      return [];
    },
    wrongAtEnd: () => {
      const lost = grantedBlocks(pool).find(({ cid, pointer }) => !known.has(`${cid}: ${pointer}`));
      return lost && `client ${lost.cid} owns block ${lost.pointer} and does not know it`;
    },
  });
  return () => {
    known.clear();
    return make();
  };
}

describe('H12: an ALLOC that is lost, late or doubled', () => {
  const bounds = { preemptions: 1, lostRpcs: 1 };

  it('loses a block when the node does not remember what it has answered', () => {
    const pool = new BoundedPool({
      setUp: ({ nodes, config }) => {
        for (let mn = 0; mn < nodes.count; mn++) {
          nodes.serve(mn, (request) => {
            const memory = {
              read: (at: number, into: Uint8Array, to: number, n: number) => nodes.read(mn, at, into, to, n),
              write: (at: number, from: Uint8Array, of: number, n: number) =>
                nodes.write(mn, at, from, of, n),
            };
            return new NodeService(config, mn, memory).handle(request);
          });
        }
      },
    });
    const { failure } = explore(worldOf(pool), bounds);
    expect(failure?.message).toMatch(/client \d owns block \d+ and does not know it/);
    expect(failure?.told.join('\n')).toMatch(
      /RPC to MN \d, (the answer is lost|arrives later|and will arrive)/,
    );
  });

  it('loses none in ours', () => {
    const found = explore(worldOf(new BoundedPool()), bounds);
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });
});

function* pollsForEver(batch: VerbBatch): OpLoop {
  for (;;) {
    batch.reset().read8(0, 0);
    batch.isPoll = true;
    yield batch;
  }
}

const batchOf = (local: LocalMemory): VerbBatch => new VerbBatch(local, 2);

describe('two coroutines of one client', () => {
  const pool = new BoundedPool();
  const contents = new ContentsReader(pool);
  const makeWorld = (): BoundedWorld => {
    pool.begin();
    const recorder = new HistoryRecorder({ initial: pool.contents });
    const host = new Host(pool, { cid: 1, coroutines: 2 });
    const actors = [0, 1].map((coroutine) => {
      const program = [{ kind: RequestKind.INSERT, key: coroutine, value: 1 + coroutine }];
      return new ClientActor(host, { program, recorder, coroutine });
    });
    const daemon = new OpActor({
      name: 'daemon',
      isDaemon: true,
      op: pollsForEver(batchOf(pool.memory(1024))),
    });
    const wrongAtEnd = (): string | undefined =>
      contents.wrong(recorder) ??
      (grantedBlocks(pool).length === 1 ? undefined : 'not one block was granted');
    return { nodes: pool.nodes, actors: [...actors, daemon], wrongAtEnd, addTo: (d) => recorder.addTo(d) };
  };

  it('share one refill: the second waits with empty batches, beside somebody who never ends', () => {
    const found = explore(makeWorld, { preemptions: 1 });
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });
});

it('who only waits for what nobody does is found', () => {
  const pool = new BoundedPool();
  const makeWorld = (): BoundedWorld => {
    pool.begin();
    const op = pollsForEver(batchOf(pool.memory(1024)));
    return { nodes: pool.nodes, actors: [new OpActor({ name: 'waiter', op })], wrongAtEnd: () => undefined };
  };
  const { failure } = explore(makeWorld, { preemptions: 0 });
  expect(failure?.message).toBe('nobody can go on: waiter would wait for ever');
});
