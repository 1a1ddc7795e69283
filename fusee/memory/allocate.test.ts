import { describe, expect, it } from 'vitest';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import { CLASS_LINES, Geometry, LogOperation, type PoolConfig, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { Ledger, type Op, type VerbBatch } from '../verbs/index.js';
import { Allocator } from './allocate.js';
import { Allocation } from './holdings.js';
import { RpcOperation, readRequest, writeRequest } from './rpc.js';
import { Slab } from './slab.js';

const CID = 4;
const CLASS = 6;

function client(options: Partial<PoolConfig> & { cid?: number } = {}) {
  const { cid = CID, ...pool } = options;
  const config = smallPool({ regionBytes: 1 << 18, regionsPerNode: 1, ...pool });
  const nodes = makeNodes(config);
  const geometry = new Geometry(config);
  const view = new View(geometry);
  const fabric = new MemoryFabric(nodes);
  const slab = new Slab(view, 2);
  const allocators = [0, 1].map(
    (coroutine) => new Allocator({ view, slab, cid, local: fabric.local }, coroutine),
  );
  return { config, nodes, geometry, view, fabric, slab, allocators, ledger: new Ledger() };
}

type Client = ReturnType<typeof client>;

function execute(c: Client, batch: VerbBatch): void {
  c.fabric.post(batch);
  c.fabric.poll([]);
  c.ledger.add(batch);
}

function run<T>(c: Client, op: Op<T>): T {
  for (let step = op.next(); ; step = op.next()) {
    if (step.done) return step.value;
    execute(c, step.value);
  }
}

function words(nodes: MemoryNodes, mn: number, offset: number): [number, number] {
  const bytes = new Uint8Array(8);
  nodes.read(mn, offset, bytes, 0, 8);
  const view = new DataView(bytes.buffer);
  return [view.getUint32(0, true), view.getUint32(4, true)];
}

/** Passes each answer of a node's service through `filter`; notes the ids of the requests that reached it. */
function intercept(c: Client, filter: (call: number, answer: Uint8Array) => Uint8Array): { ids: string[] } {
  const seen: { ids: string[] } = { ids: [] };
  for (let mn = 0; mn < c.config.nodes; mn++) {
    const behind = makeNodes(c.config);
    c.nodes.serve(mn, (request) => {
      const { lane, requestId } = readRequest(request, 0);
      seen.ids.push(`${lane}.${requestId}`);
      return filter(seen.ids.length, behind.call(mn, request) as Uint8Array);
    });
  }
  return seen;
}

/** A cell of coroutine 0's list, which is opened if need be. */
function takeCell({ slab }: Client): number {
  if (!slab.isOpen(0, CLASS)) slab.open(0, CLASS);
  return slab.take(0, CLASS);
}

const blocksUsed = (c: Client, mn: number): number => {
  const request = new Uint8Array(32);
  writeRequest(request, 0, { operation: RpcOperation.STATS, cid: CID, requestId: 0, argument: 0 });
  return new DataView((c.nodes.call(mn, request) as Uint8Array).buffer).getFloat64(16, true);
};

describe('a block', () => {
  it.each([1, 2, 3])(
    'is in every table and has its headers before use, with %i data replicas',
    (dataReplicas) => {
      const c = client({ dataReplicas });
      const op = c.allocators[0].refill(CLASS);
      const rpc = op.next().value as VerbBatch;
      execute(c, rpc);
      const enter = op.next().value as VerbBatch;
      expect(takeCell(c)).toBe(0);
      execute(c, enter);
      expect(takeCell(c)).toBe(0);
      expect(op.next()).toEqual({ done: true, value: Allocation.OK });
      const cell = takeCell(c);
      const pointer = cell - (cell % c.config.blockBytes);
      const region = Math.floor(pointer / c.config.regionBytes);
      const block = (pointer % c.config.regionBytes) / c.config.blockBytes;
      for (let r = 0; r < dataReplicas; r++) {
        const mn = c.view.dataMn(pointer, r);
        expect(words(c.nodes, mn, c.view.tableOffset(region, r) + 8 * block)).toEqual([CID, CLASS + 1]);
        expect(words(c.nodes, mn, c.view.dataOffset(pointer, r))).toEqual([CID, CLASS_LINES[CLASS]]);
      }
      // One RPC; a header on every replica, and a table entry on every backup: the node wrote its own.
      const bytes = 32 + 8 * (2 * dataReplicas - 1);
      expect({ ...c.ledger }).toMatchObject({ rtts: 2, verbs: 1 + 2 * dataReplicas - 1, bytes, polls: 0 });
    },
  );

  it('goes to the second and third entry of a table when those before are taken', () => {
    const c = client({ nodes: 1, indexReplicas: 1, dataReplicas: 1 });
    for (const block of [0, 1, 2]) {
      expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.OK);
      expect(words(c.nodes, 0, c.view.tableOffset(0, 0) + 8 * block)).toEqual([CID, CLASS + 1]);
      expect(words(c.nodes, 0, c.view.dataOffset(c.config.blockBytes * block, 0))).toEqual([CID, 7]);
    }
  });

  it('comes first from the node that the client id says, so that clients spread', () => {
    for (const cid of [3, 4, 5]) {
      const c = client({ cid });
      expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.OK);
      expect([0, 1, 2].map((mn) => blocksUsed(c, mn))).toEqual(
        [0, 1, 2].map((mn) => (mn === cid % 3 ? 1 : 0)),
      );
    }
  });
});

describe('when nodes are full', () => {
  it('the next node is asked, and NO_MEMORY comes only when all are', () => {
    const c = client();
    const perNode = c.geometry.blocksPerRegion - c.geometry.reservedPerNode;
    const blocks = 3 * perNode;
    const costs: number[] = [];
    for (let i = 0; i < blocks; i++) {
      c.ledger = new Ledger();
      expect(run(c, c.allocators[i & 1].refill(CLASS))).toBe(Allocation.OK);
      costs.push(c.ledger.rtts);
    }
    // One more round trip for each full node before it.
    expect(costs).toEqual(costs.map((_, i) => 2 + Math.floor(i / perNode)));
    expect(c.slab.blocks).toBe(blocks);
    for (let again = 0; again < 2; again++) {
      c.ledger = new Ledger();
      expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.NO_MEMORY);
      expect(c.ledger.rtts).toBe(3);
    }
    expect(c.slab.blocks).toBe(blocks);
  });

  it('no block is handed out twice', () => {
    const c = client();
    const cells = new Set<number>();
    while (run(c, c.allocators[0].refill(CLASS)) === Allocation.OK);
    for (let cell = takeCell(c); cell !== 0; cell = takeCell(c)) cells.add(cell);
    const perNode = c.geometry.blocksPerRegion - c.geometry.reservedPerNode;
    expect(cells.size).toBe(3 * perNode * c.geometry.cellsPerBlock(CLASS) - 1);
  });

  it('a DELETE gets a block of the reserve of each, and nobody else has its cells', () => {
    const c = client();
    const [allocator] = c.allocators;
    while (run(c, allocator.refill(CLASS)) === Allocation.OK);
    while (takeCell(c) !== 0);
    for (let mn = 0; mn < 3; mn++) {
      expect(c.slab.cellsFor(CLASS, LogOperation.DELETE)).toBe(mn * c.geometry.cellsPerBlock(CLASS));
      expect(run(c, allocator.refill(CLASS, undefined, true))).toBe(Allocation.OK);
    }
    expect(run(c, allocator.refill(CLASS, undefined, true))).toBe(Allocation.NO_MEMORY);
    expect([c.slab.cellsFor(CLASS, LogOperation.INSERT), c.slab.take(0, CLASS)]).toEqual([0, 0]);
    expect(c.slab.open(1, CLASS, LogOperation.UPDATE)).toBeUndefined();
    // The list's next cell, which is an ordinary one, and then those that are set aside.
    const cells = Array.from({ length: 3 }, () => c.slab.take(0, CLASS, LogOperation.DELETE));
    expect(cells.map((cell) => c.view.isReserved(cell))).toEqual([false, true, true]);
  });
});

describe('a silent node', () => {
  it('is asked three times under one id, then the next node is', () => {
    // With one data replica, nothing of the next node's region lies on the silent one.
    const c = client({ dataReplicas: 1 });
    c.nodes.kill(CID % 3);
    expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.OK);
    expect(c.ledger.rtts).toBe(3 + 2);
    expect(blocksUsed(c, (CID + 1) % 3)).toBe(1);
  });

  it('that holds a replica of the block makes the allocation go elsewhere', () => {
    const c = client();
    const region = [0, 1, 2].find((g) => c.view.regionMn(g, 0) === CID % 3) as number;
    const silent = c.view.regionMn(region, 1);
    c.nodes.kill(silent);
    expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.OK);
    const cell = takeCell(c);
    expect([c.view.dataMn(cell, 0), c.view.dataMn(cell, 1)]).not.toContain(silent);
    expect(blocksUsed(c, CID % 3)).toBe(1);
    expect(c.slab.blocks).toBe(1);
  });

  it('of several makes the allocation UNAVAILABLE, not NO_MEMORY: later it may be granted', () => {
    const c = client();
    for (let mn = 0; mn < 3; mn++) c.nodes.kill(mn);
    expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.UNAVAILABLE);
    expect(c.ledger.rtts).toBe(9);
    expect(c.slab.blocks).toBe(0);
  });

  it('whose answer is lost is asked again with the same id, and allocates once', () => {
    const c = client();
    const seen = intercept(c, (call, answer) => (call < 3 ? new Uint8Array(33) : answer));
    expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.OK);
    expect(new Set(seen.ids).size).toBe(1);
    expect(seen.ids.length).toBe(3);
    expect([0, 1, 2].map((mn) => blocksUsed(c, mn))).toEqual([0, 1, 0]);
    expect(c.slab.blocks).toBe(1);
  });

  it('that answers another request is not believed', () => {
    const c = client();
    const seen = intercept(c, (call, answer) => {
      if (call > 1) return answer;
      const stale = answer.slice();
      new DataView(stale.buffer).setUint32(4, 12345, true);
      new DataView(stale.buffer).setFloat64(8, 0, true);
      return stale;
    });
    expect(run(c, c.allocators[0].refill(CLASS))).toBe(Allocation.OK);
    expect(seen.ids.length).toBe(2);
    const cell = takeCell(c);
    expect(c.view.dataMn(cell, 0)).toBe(CID % 3);
  });
});

describe('coroutines of one client', () => {
  it('never send two requests under one lane and id', () => {
    const c = client();
    const seen = intercept(c, (_, answer) => answer);
    for (let i = 0; i < 4; i++) {
      for (const allocator of c.allocators) expect(run(c, allocator.refill(CLASS))).toBe(Allocation.OK);
    }
    expect(seen.ids.length).toBeGreaterThanOrEqual(8);
    expect(new Set(seen.ids).size).toBe(seen.ids.length);
    expect(new Set(seen.ids.map((id) => id.split('.')[0]))).toEqual(new Set(['0', '1']));
  });

  it('wait no longer than their own deadline, and go away without a block', () => {
    const c = client();
    const request = { expired: false };
    const asks = c.allocators[0].refill(CLASS);
    const waits = c.allocators[1].refill(CLASS, request);
    asks.next();
    for (let i = 0; i < 3; i++) expect(waits.next().done).toBe(false);
    request.expired = true;
    expect(waits.next()).toEqual({ done: true, value: Allocation.UNAVAILABLE });
    // A deadline that has passed does not keep it from asking by itself: that has an end of its own.
    expect(run(c, c.allocators[1].refill(CLASS + 1, request))).toBe(Allocation.OK);
  });

  it('wait for the sibling that already asks for a block of their class, and cost nothing by it', () => {
    const c = client();
    const [asks, waits] = c.allocators.map((allocator) => allocator.refill(CLASS));
    const first = asks.next().value as VerbBatch;
    for (let i = 0; i < 3; i++) {
      const waiting = waits.next().value as VerbBatch;
      expect([waiting.count, waiting.isPoll]).toEqual([0, true]);
      c.ledger.add(waiting);
    }
    expect({ ...c.ledger }).toEqual({ ...new Ledger() });
    execute(c, first);
    execute(c, asks.next().value as VerbBatch);
    expect((waits.next().value as VerbBatch).count).toBe(0);
    expect(asks.next()).toEqual({ done: true, value: Allocation.OK });
    expect(waits.next()).toEqual({ done: true, value: Allocation.OK });
    expect(c.slab.blocks).toBe(1);
  });

  it('do not wait for a block of another class, and ask again after a sibling that failed', () => {
    const c = client();
    const asks = c.allocators[0].refill(CLASS);
    asks.next();
    expect(run(c, c.allocators[1].refill(CLASS + 1))).toBe(Allocation.OK);
    for (let mn = 0; mn < 3; mn++) c.nodes.kill(mn);
    const waits = c.allocators[1].refill(CLASS);
    expect((waits.next().value as VerbBatch).count).toBe(0);
    expect(run(c, asks)).toBe(Allocation.UNAVAILABLE);
    expect(waits.next().done).toBe(true);
    expect(run(c, c.allocators[1].refill(CLASS))).toBe(Allocation.UNAVAILABLE);
  });
});

describe('the blocks of a client', () => {
  it('are told node by node, with their classes, over as many answers as it takes', () => {
    const c = client({ regionBytes: 1 << 20 });
    const own: { pointer: number; sizeClass: number }[] = [];
    const add = c.slab.addBlock.bind(c.slab);
    c.slab.addBlock = (sizeClass, pointer) => {
      own.push({ pointer, sizeClass });
      return add(sizeClass, pointer);
    };
    for (let i = 0; i < 20; i++) expect(run(c, c.allocators[0].refill(i))).toBe(Allocation.OK);
    // A node has 16 blocks, one of them set aside.
    const told = [1, 2, 0].map((mn) => run(c, c.allocators[1].list(mn, CID)));
    expect(told).toEqual([own.slice(0, 15), own.slice(15), []]);
    expect(run(c, c.allocators[1].list(1, 77))).toEqual([]);
  });

  it('are unknown, not none, when the node is silent; and none is taken over from it', () => {
    const c = client();
    c.nodes.kill(1);
    expect(run(c, c.allocators[0].list(1, CID))).toBeUndefined();
    expect(run(c, c.allocators[0].adopt(1, CLASS))).toBeUndefined();
  });
});
