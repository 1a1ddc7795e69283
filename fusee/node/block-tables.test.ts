import { describe, expect, it } from 'vitest';
import { Geometry, View } from '../layout/index.js';
import { type ListedBlock, ORPHAN, RpcOperation, RpcStatus, URGENT } from '../memory/index.js';
import { CONFIG, GEOMETRY, node, VIEW } from './by-hand.js';
import { smallPool } from './in-process.js';

describe('FREE', () => {
  const free = (pointer: number, cid = 1) => ({ operation: RpcOperation.FREE, cid, pointer });

  it('gives a block back: its entry is 0, and it is the next to be granted', () => {
    const { ask, at } = node(0);
    const [a, b, c] = [1, 2, 3].map((requestId) => ask({ requestId }).pointer);
    expect(ask({ ...free(b), requestId: 4 }).status).toBe(RpcStatus.OK);
    const region = Math.floor(b / CONFIG.regionBytes);
    expect(at(VIEW.tableOffset(region, 0) + (8 * (b % CONFIG.regionBytes)) / CONFIG.blockBytes)).toEqual([
      0, 0,
    ]);
    expect(ask({ operation: RpcOperation.STATS }).value).toBe(2);
    expect(ask({ cid: 2, requestId: 1, argument: 3 }).pointer).toBe(b);
    expect(ask({ requestId: 5 }).pointer).toBeGreaterThan(Math.max(a, b, c));
  });

  it('repeated does nothing, though the block has an owner again; nor does a late one', () => {
    const { ask } = node(0);
    const { pointer } = ask({ requestId: 1 });
    ask({ ...free(pointer), requestId: 2 });
    // The same client has it again, by another lane.
    expect(ask({ requestId: 1, lane: 1 }).pointer).toBe(pointer);
    expect(ask({ ...free(pointer), requestId: 2 }).status).toBe(RpcStatus.OK);
    ask({ requestId: 3 });
    expect(ask({ ...free(pointer), requestId: 2 }).status).toBe(RpcStatus.STALE);
    expect(ask({ operation: RpcOperation.STATS }).value).toBe(2);
  });

  it('is refused unless the pointer is the start of a block of this node that the caller owns', () => {
    const { ask, memory } = node(0);
    const { pointer } = ask({ requestId: 1 });
    const elsewhere = Array.from({ length: GEOMETRY.regions }, (_, g) => g).find(
      (g) => VIEW.regionMn(g, 0) !== 0,
    );
    const before = memory.slice();
    const bad = [
      [pointer, 2],
      [pointer + 64, 1],
      [pointer + 0.5, 1],
      [pointer + CONFIG.blockBytes, 1],
      [(elsewhere as number) * CONFIG.regionBytes, 1],
      [GEOMETRY.regions * CONFIG.regionBytes, 1],
      [-CONFIG.blockBytes, 1],
      [Number.NaN, 1],
      [Number.POSITIVE_INFINITY, 1],
    ];
    bad.forEach(([at, cid], i) => {
      expect(ask({ ...free(at, cid), requestId: 10 + i }).status, `${at} of ${cid}`).toBe(
        RpcStatus.BAD_REQUEST,
      );
    });
    expect(Buffer.compare(memory, before)).toBe(0);
    expect(ask({ ...free(pointer), requestId: 99 }).status).toBe(RpcStatus.OK);
    expect(ask({ ...free(pointer), requestId: 100 }).status).toBe(RpcStatus.BAD_REQUEST);
  });
});

describe('LIST', () => {
  const big = smallPool({
    nodes: 1,
    indexReplicas: 1,
    dataReplicas: 1,
    blockBytes: 1024,
    regionBytes: 1 << 22,
  });

  it('tells all blocks of a client and their classes, ten an answer, whatever lies between', () => {
    const { ask, listed } = node(0);
    const own: ListedBlock[] = [];
    for (let i = 0; i < 4; i++) {
      ask({ cid: 2, requestId: i + 1 });
      // The last one is of the reserve.
      const alloc = { cid: 5, requestId: i + 1, argument: i, other: URGENT };
      own.push({ pointer: ask(alloc).pointer, sizeClass: i });
    }
    expect(listed(0, { cid: 9, argument: 5 })).toEqual({ pages: [4], blocks: own });
    expect(listed(100, { cid: 9, argument: 77 })).toEqual({ pages: [0], blocks: [] });
    for (let i = 0; i < 3; i++) {
      ask({ cid: 5, operation: RpcOperation.FREE, pointer: own[i].pointer, requestId: 20 + i });
      own.splice(i, 1, {
        pointer: ask({ cid: 5, lane: 3, requestId: i, argument: 40 }).pointer,
        sizeClass: 40,
      });
    }
    expect(listed(200, { cid: 9, argument: 5 }).blocks).toEqual(own);
  });

  it('ends exactly where the blocks do, when they fill its answers', () => {
    const { ask, listed } = node(0, { ...big, regionBytes: 1 << 20 });
    for (let i = 0; i < 20; i++) ask({ cid: 5, requestId: i + 1 });
    expect(listed(0, { cid: 9, argument: 5 }).pages).toEqual([10, 10]);
    ask({ cid: 5, requestId: 21 });
    expect(listed(100, { cid: 9, argument: 5 }).pages).toEqual([10, 10, 1]);
  });

  it('looks at a few thousand entries at a time, and goes on from there', () => {
    const { ask, listed, memory } = node(0, big);
    const view = new View(new Geometry(big));
    // The last block of the last region: 8,192 entries to pass.
    new DataView(memory.buffer).setUint32(view.tableOffset(1, 0) + 8 * 4095, 5, true);
    new DataView(memory.buffer).setUint32(view.tableOffset(1, 0) + 8 * 4095 + 4, 7, true);
    expect(listed(0, { cid: 9, argument: 5 })).toEqual({
      pages: [0, 1],
      blocks: [{ pointer: (1 << 22) + 4095 * 1024, sizeClass: 6 }],
    });
    const end = { operation: RpcOperation.LIST, cid: 9, argument: 5, requestId: 50, pointer: 2 ** 40 };
    expect(ask(end)).toMatchObject({ status: RpcStatus.OK, value: -1 });
  });
});

describe('TRANSFER', () => {
  const transfer = (pointer: number, options: { cid: number; from: number; to: number }) => ({
    operation: RpcOperation.TRANSFER,
    pointer,
    cid: options.cid,
    argument: options.from,
    other: options.to,
  });

  it('gives a block away to ORPHAN, and the first of two takers gets it, with its class', () => {
    const { ask, listed } = node(0);
    const { pointer } = ask({ cid: 1, requestId: 1, argument: 9 });
    expect(ask({ ...transfer(pointer, { cid: 1, from: 1, to: ORPHAN }), requestId: 2 }).status).toBe(
      RpcStatus.OK,
    );
    const takes = [2, 3].map((cid) => ask(transfer(pointer, { cid, from: ORPHAN, to: cid })).status);
    expect(takes).toEqual([RpcStatus.OK, RpcStatus.BAD_REQUEST]);
    // Repeated: the same answers.
    expect([2, 3].map((cid) => ask(transfer(pointer, { cid, from: ORPHAN, to: cid })).status)).toEqual(takes);
    expect(listed(10, { cid: 9, argument: 2 }).blocks).toEqual([{ pointer, sizeClass: 9 }]);
    expect(listed(20, { cid: 9, argument: ORPHAN }).blocks).toEqual([]);
    // The giver's, late: it is not its own any more.
    const late = { ...transfer(pointer, { cid: 1, from: 1, to: ORPHAN }), requestId: 3 };
    expect(ask(late).status).toBe(RpcStatus.BAD_REQUEST);
    expect(ask({ operation: RpcOperation.STATS }).value).toBe(1);
  });

  it('is refused when the caller takes what another has, or gives to one that does not ask', () => {
    const { ask, memory } = node(0);
    const { pointer } = ask({ cid: 1, requestId: 1 });
    const before = memory.slice();
    for (const [i, who] of [
      { cid: 2, from: 1, to: 2 },
      { cid: 2, from: 1, to: ORPHAN },
      { cid: 1, from: 1, to: 2 },
      { cid: 1, from: 1, to: 1 },
      { cid: 1, from: 1, to: 0 },
      { cid: 1, from: 0, to: 1 },
      { cid: 2, from: ORPHAN, to: 3 },
      { cid: 2, from: ORPHAN, to: 0 },
      { cid: 2, from: ORPHAN, to: ORPHAN },
      { cid: 2, from: ORPHAN, to: 2 },
    ].entries())
      expect(ask({ ...transfer(pointer, who), requestId: 10 + i }).status, JSON.stringify(who)).toBe(
        RpcStatus.BAD_REQUEST,
      );
    const wrong = { ...transfer(pointer + 64, { cid: 1, from: 1, to: ORPHAN }), requestId: 99 };
    expect(ask(wrong).status).toBe(RpcStatus.BAD_REQUEST);
    expect(Buffer.compare(memory, before)).toBe(0);
  });

  it('lets anyone take over from a client that has left, and from no other', () => {
    const { ask } = node(1);
    ask({ operation: RpcOperation.JOIN, cid: 1, pointer: 0 });
    ask({ operation: RpcOperation.JOIN, cid: 2, pointer: 1 });
    const { pointer } = ask({ cid: 1, requestId: 1 });
    const take = transfer(pointer, { cid: 2, from: 1, to: ORPHAN });
    expect(ask({ ...take, requestId: 1 }).status).toBe(RpcStatus.BAD_REQUEST);
    ask({ operation: RpcOperation.LEAVE, cid: 1 });
    expect(ask({ ...take, requestId: 2 }).status).toBe(RpcStatus.OK);
  });
});
